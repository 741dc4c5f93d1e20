"""One feature-token transformer as an estimator: the member of an ensemble."""

from numbers import Integral

from joblib import Parallel, delayed

from sktraffic._compat import Interval
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._params import COUNT, SHARE
from sktraffic.nn import FeatureTransformer


class TransformerParams(BaseTorchClassifier):
    """What one transformer and an ensemble of them share: parameters and module."""

    d_token: int = 128
    n_heads: int = 8
    n_layers: int = 2
    d_hidden: int = 128
    dropout: float = 0.1
    gamma: float = 2.0

    _parameter_constraints = {
        **BaseTorchClassifier._parameter_constraints,
        "d_token": [COUNT],
        "n_heads": [COUNT],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "d_hidden": [COUNT],
        "dropout": [SHARE],
    }

    def _build_module(self, n_features, n_classes):
        sizes = self.d_token, self.n_heads, self.n_layers, self.d_hidden
        return FeatureTransformer(n_features, n_classes, *sizes, self.dropout)


class TransformerMember(TransformerParams):
    """One member of a `TransformerEnsemble`, which documents the parameters.

    Examples
    --------
    >>> from sktraffic.neural_network import TransformerEnsemble
    >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
    >>> clf.fit([[0.0], [1.0]], ["a", "b"]).members_[0].predict([[0.0]]).dtype.kind
    'U'
    """


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
    jobs = [
        delayed(_fit_member)(member, ensemble, data, context.subcontext("fit-member"))
        for member in members
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


def _fit_member(member, ensemble, data, context):
    """Fit one member, maybe in another process, as a subtask of the ensemble's fit."""
    hook = {"estimator": ensemble, "X": data["X"], "y": data["y"]}
    with context.propagate_callback_context(member):
        context.call_on_fit_task_begin(**hook)
        member.fit(**data)
    context.call_on_fit_task_end(**hook)
    return member
