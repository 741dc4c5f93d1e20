"""The transformer ensemble of Qi et al. (2025), section 3, as an estimator."""

import warnings
from functools import partial
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktraffic.neural_network._member import TransformerMember, TransformerParams, fit_members
from sktraffic.neural_network._params import COUNT, parameter
from sktraffic.neural_network._runtime import derive_seed, draw_seed
from sktraffic.neural_network._uncertainty import mutual_information
from sktraffic.nn import member_mean, stack_members, stacked_forward


class TransformerEnsemble(TransformerParams):
    """Ensemble of feature-token transformers with averaged probabilities.

    Qi et al. (2025), doi 10.62177/apemr.v2i5.632, sections 3.2 to 3.4: every feature is a token
    of a transformer (embedding 128, 8 heads) with an MLP head; three members, each with its own
    seed, its own draw of the over-sampler and its own validation cut; focal loss, early stopping
    on weighted F1 with patience 15. Standardise the features first, but for
    ``embedding="piecewise"``, which reads how far a number has come through the quantiles of its
    column.

    Parameters
    ----------
    n_members : int, default=3
        Members.
    max_tokens : int, default=None
        Tokens that the features share where there are more, dealt out at random in each member: a
        token is then the sum of what its features are embedded as. Attention and layers cost by
        the token, so that wide tables become practical. None gives every feature a token of its
        own, as in the paper.
    d_token : int, default=128
        Length of a feature's token; a multiple of ``n_heads``.
    n_heads : int, default=8
        Attention heads.
    n_layers : int, default=2
        Encoder layers; the paper does not say how many.
    d_hidden : int, default=128
        Width inside an encoder layer and of the head's hidden layer.
    dropout : float, default=0.1
        Dropout after attention, in and after the inner layer, and in the head.
    n_jobs : int, default=None
        Processes that fit members at the same time; the result does not depend on it, up to the
        rounding of a torch that has fewer threads there.
    {shared parameters}

    Attributes
    ----------
    members_ : list of TransformerMember
        The fitted members: classifiers of the same labels with ``net_`` and ``history_``.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where X had any.
    history_ : pandas.DataFrame
        One row an epoch and member.
    n_epochs_, best_epoch_ : ndarray of int of shape (n_members,)
        Epochs trained, and epoch whose weights are kept, of each member.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from sktraffic.neural_network import TransformerEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TransformerEnsemble(d_token=16, n_heads=2, lr=0.01, batch_size=32, random_state=0)
    >>> clf = clf.set_params(max_epochs=10).fit(scale(X), y)
    >>> bool(clf.score(scale(X), y) > 0.9), len(clf.members_)
    (True, 3)
    """

    n_members: int = parameter(3, COUNT, kw_only=False)
    n_jobs: int | None = parameter(None, Integral, None)

    _predict_rows = 1024

    def predict_uncertainty(self, X):
        """Disagreement between the members, in bits.

        The mutual information between the label and the member that is asked: the entropy of the
        mean probabilities minus the mean of the members' entropies,
        ``H(mean_m p_m) - mean_m H(p_m)``. It is 0 where all members say the same, however unsure
        they are, and at most log2 of the number of members or classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Bits, at least 0.

        Examples
        --------
        >>> from sktraffic.neural_network import TransformerEnsemble
        >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
        >>> bits = clf.fit([[0.0], [1.0]], [0, 1]).predict_uncertainty([[0.5]])
        >>> bool(0 <= bits[0] <= 1)
        True
        """
        return mutual_information(self._member_logits(X).softmax(dim=-1).numpy())

    @property
    def net_(self):
        """An ensemble has one net a member."""
        raise AttributeError("A TransformerEnsemble has no net_; see members_[i].net_.")

    @property
    def history_(self):
        """One row an epoch and member."""
        check_is_fitted(self)
        parts = [m.history_.assign(member=i) for i, m in enumerate(self.members_)]
        return pd.concat(parts, ignore_index=True)

    @property
    def n_epochs_(self):
        """Epochs of each member."""
        check_is_fitted(self)
        return np.array([member.n_epochs_ for member in self.members_])

    @property
    def best_epoch_(self):
        """Epoch of each member's weights, counted from 1."""
        check_is_fitted(self)
        return np.array([member.best_epoch_ for member in self.members_])

    def _member_logits(self, X):
        """Logits of all members: (M, n, K), float64."""
        check_is_fitted(self)
        x = self._encode(self._validate_X(X, reset=False))
        stacked, device = self._stack()
        n_heads = self._fit_params["n_heads"]
        forward = partial(stacked_forward, stacked, n_heads=n_heads)
        return self._forward(forward, x, device).double()

    def _logits(self, X):
        """Logarithms of the mean probabilities: (n, K), which a softmax leaves as they are."""
        return member_mean(self._member_logits(X))

    def _stack(self):
        """Members' weights side by side, and their device."""
        if "_stacked" not in self.__dict__:
            nets = [member.net_ for member in self.members_]
            self._stacked = stack_members([net.module_ for net in nets]), nets[0].device
        return self._stacked

    def _n_subtasks(self):
        return self.n_members

    def _forget(self):
        for name in ("members_", "_stacked"):
            self.__dict__.pop(name, None)

    def _new_members(self, seed):
        """Members to train: new ones, or the fitted ones with today's parameters."""
        names = set(TransformerMember._get_param_names()) - {"random_state"}
        params = {name: getattr(self, name) for name in names}
        members = list(getattr(self, "members_", []))
        if len(members) > self.n_members:
            raise ValueError(
                f"n_members={self.n_members} is below the {len(members)} members fitted so far, "
                "and warm_start or partial_fit drops none. Set it to that or more, or fit anew."
            )
        members += [TransformerMember() for _ in range(self.n_members - len(members))]
        for i, member in enumerate(members):
            member.set_params(**params, random_state=derive_seed(seed, 4, i) % 2**31)
        return members

    def _fit_arrays(self, X, target, weight, groups, context, valid=None):
        """Fit every member on all rows; each cuts and resamples for itself."""
        members = self._new_members(draw_seed(self.random_state))
        data = {"X": X, "y": self.classes_[target], "sample_weight": weight, "groups": groups}
        if valid is not None:
            data |= {"X_valid": valid[0], "y_valid": self.classes_[valid[1]]}
        fitted = fit_members(members, self, data, context)
        self._set_members(fitted)
        if len(fitted) < len(members):
            warnings.warn(
                f"TransformerEnsemble.fit was interrupted with {len(fitted)} of {len(members)} "
                "members fitted; the estimator averages these and can be used.",
                UserWarning,
                stacklevel=3,
            )

    def _train(self, train, valid, seed, epochs, **options):
        """Train every member one epoch more, for ``partial_fit``."""
        X, target, weight = train
        members = self._new_members(seed)
        for member in members:
            member.partial_fit(X, self.classes_[target], self.classes_, weight)
        self._set_members(members)

    def _set_members(self, members):
        self.members_ = members
        self.__dict__.pop("_stacked", None)
        self._stack()

    def __sklearn_is_fitted__(self):
        """Whether there are members."""
        return "members_" in self.__dict__

    def __getstate__(self):
        """State for pickling; the members hold the weights."""
        state = super().__getstate__()
        state.pop("_stacked", None)
        return state
