"""One feature-token transformer as an estimator: the member of an ensemble."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from torch import nn

from sktraffic.neural_network._callbacks import SlowFit
from sktraffic.neural_network._embedding import FeatureTableClassifier, token_groups
from sktraffic.neural_network._params import COUNT, NATURAL, SHARE, parameter
from sktraffic.neural_network._runtime import derive_seed
from sktraffic.nn import FeatureTransformer, GroupTokenizer


class TransformerParams(FeatureTableClassifier):
    """What one transformer and an ensemble of them share: parameters and module."""

    embedding: str = "linear"
    max_tokens: int | None = parameter(None, COUNT, None)
    d_token: int = parameter(128, COUNT)
    n_heads: int = parameter(8, COUNT)
    n_layers: int = parameter(2, NATURAL)
    d_hidden: int = parameter(128, COUNT)
    dropout: float = parameter(0.1, SHARE)
    gamma: float = 2.0

    def _learn_inputs(self, X, weight, seed):
        super()._learn_inputs(X, weight, seed)
        if self.embedding == "piecewise":
            counts = np.sum(~np.isnan(self.bin_edges_[:, 1:]), axis=1)
        else:
            counts = np.ones(X.shape[1], dtype=np.int64)
        self.token_groups_ = token_groups(counts, self.max_tokens, derive_seed(seed, 5))

    def _build_module(self, n_features, n_classes):
        sizes = self.d_token, self.n_heads, self.n_layers, self.d_hidden
        tokenizer = None  # one token a feature
        if self.embedding == "piecewise":
            encode = self._encoding()
            groups = self.token_groups_[encode.column]
            tokenizer = nn.Sequential(encode, GroupTokenizer(groups, self.d_token))
        elif self.token_groups_.max() + 1 < n_features:
            tokenizer = GroupTokenizer(self.token_groups_, self.d_token)
        return FeatureTransformer(n_features, n_classes, *sizes, self.dropout, tokenizer)

    def _forget(self):
        super()._forget()
        self.__dict__.pop("token_groups_", None)


class TransformerMember(TransformerParams):
    """One member of a `TransformerEnsemble`, which documents the parameters.

    Examples
    --------
    >>> from sktraffic.neural_network import TransformerEnsemble
    >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
    >>> clf.fit([[0.0], [1.0]], ["a", "b"]).members_[0].predict([[0.0]]).dtype.kind
    'U'
    """

    #: Fits one after another that an ensemble begins with this one; 0 of a later one.
    _n_in_turn = 0

    def _watchers(self, n_batches, epochs):
        if not self._n_in_turn:
            return []
        n_tokens = self.token_groups_.max() + 1
        remedy = (
            f"It costs by the token, of which there are {n_tokens}: lower max_tokens, select "
            "features (ForestSelector), or lower max_epochs; n_jobs fits members side by side."
        )
        what = "TransformerEnsemble.fit"
        return [("slow_fit", SlowFit(what, n_batches, epochs, self._n_in_turn, remedy))]


def fit_members(members, ensemble, data, context):
    """Fit the members of an ensemble; returns those fitted, fewer where Ctrl-C came.

    Parameters
    ----------
    members : list of TransformerMember
    ensemble : TransformerEnsemble
    data : dict
        Arguments of the members' fits.
    context : CallbackContext
        Of the ensemble's fit.

    Returns
    -------
    list of TransformerMember
    """
    in_turn = -(-len(members) // effective_n_jobs(ensemble.n_jobs))
    jobs = [
        delayed(_fit_member)(
            member, ensemble, data, context.subcontext("fit-member"), 0 if i else in_turn
        )
        for i, member in enumerate(members)
    ]
    fitted = []
    try:
        for member in Parallel(n_jobs=ensemble.n_jobs, return_as="generator")(jobs):
            fitted.append(member)
            if member._interrupted:
                break
    except KeyboardInterrupt:
        if not fitted:
            raise
    return fitted


def _fit_member(member, ensemble, data, context, n_in_turn):
    """Fit one member, maybe in another process, as a subtask of the ensemble's fit."""
    hook = {"estimator": ensemble, "X": data["X"], "y": data["y"]}
    member._n_in_turn = n_in_turn
    with context.propagate_callback_context(member):
        context.call_on_fit_task_begin(**hook)
        member.fit(**data)
    del member._n_in_turn
    context.call_on_fit_task_end(**hook)
    return member
