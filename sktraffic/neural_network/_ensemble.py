"""The transformer ensemble of Qi et al. (2025), section 3, as an estimator."""

import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktraffic._compat import Interval
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._member import TransformerMember, fit_members
from sktraffic.neural_network._runtime import derive_seed, draw_seed
from sktraffic.neural_network._uncertainty import mutual_information
from sktraffic.nn import stack_members, stacked_forward


class TransformerEnsemble(BaseTorchClassifier):
    """Ensemble of feature-token transformers with averaged probabilities.

    Qi et al. (2025), doi 10.62177/apemr.v2i5.632, sections 3.2 to 3.4: every feature is a token
    of a transformer (embedding 128, 8 heads) with an MLP head; three members, each with its own
    seed, its own draw of the over-sampler and its own validation cut; focal loss, early stopping
    on weighted F1 with patience 15. Standardise the features first.

    Parameters
    ----------
    n_members : int, default=3
        Members.
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
    lr : float, default=0.001
        Learning rate of Adam.
    batch_size : int, default=256
        Rows of one step.
    max_epochs : int, default=100
        Passes over the training part, at most.
    weight_decay : float, default=0.0
        Decoupled decay (AdamW); 0 is Adam.
    warmup_ratio : float, default=0.0
        Share of the steps in which the learning rate climbs from 0, after which it falls to 0
        linearly; 0 keeps it constant.
    loss : {"cross_entropy", "focal"}, default="focal"
        What is minimised.
    gamma : float, default=2.0
        Focusing exponent of the focal loss; unused by the cross-entropy.
    alpha : float, array-like of shape (n_classes,), "balanced" or None, default=None
        Class weights of the focal loss; unused by the cross-entropy.
    class_weight : dict, "balanced" or None, default=None
        Factor of each class's rows in either loss; "balanced" is computed from the training
        part, after resampling.
    weighted_sampling : bool, default=False
        Draw batches with replacement so that all classes come equally often.
    resampler : imbalanced-learn sampler, default=None
        Cloned, seeded and applied to the training part, after the validation part is cut.
    validation_fraction : float, default=0.1
        Share of real rows to watch with ``early_stopping``; stratified, groups kept whole.
    early_stopping : bool, default=True
        Cut a validation part, stop when ``monitor`` no longer improves, keep the best weights.
    patience : int, default=15
        Epochs without improvement after which to stop.
    monitor : {"f1_weighted", "f1_macro", "accuracy", "balanced_accuracy", "valid_loss"}, \
default="f1_weighted"
        What early stopping watches.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", or "auto" for a GPU where there is one.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        bfloat16 keeps float32 weights.
    random_state : int, RandomState or None, default=None
        Seed of cut, resampler, weights, order and dropout. None takes a fresh one and leaves
        NumPy's global generator alone.
    verbose : int, default=0
        1 prints a line an epoch.
    warm_start : bool, default=False
        Go on from the last fit's weights.
    net_params : dict, default=None
        Further parameters of the skorch net, such as ``callbacks`` or ``optimizer``.
    n_jobs : int, default=None
        Processes that fit members at the same time; the result does not depend on it.

    Attributes
    ----------
    members_ : list of TransformerMember
        The fitted members, single classifiers on class indices with ``net_`` and ``history_``.
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

    _parameter_constraints: dict = {
        **TransformerMember._parameter_constraints,
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    _predict_rows = 1024

    def __init__(
        self,
        n_members=3,
        *,
        d_token=128,
        n_heads=8,
        n_layers=2,
        d_hidden=128,
        dropout=0.1,
        lr=0.001,
        batch_size=256,
        max_epochs=100,
        weight_decay=0.0,
        warmup_ratio=0.0,
        loss="focal",
        gamma=2.0,
        alpha=None,
        class_weight=None,
        weighted_sampling=False,
        resampler=None,
        validation_fraction=0.1,
        early_stopping=True,
        patience=15,
        monitor="f1_weighted",
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
        warm_start=False,
        net_params=None,
        n_jobs=None,
    ):
        self.n_members = n_members
        self.d_token = d_token
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.d_hidden = d_hidden
        self.dropout = dropout
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        self.loss = loss
        self.gamma = gamma
        self.alpha = alpha
        self.class_weight = class_weight
        self.weighted_sampling = weighted_sampling
        self.resampler = resampler
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.monitor = monitor
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.net_params = net_params
        self.n_jobs = n_jobs

    def predict_proba(self, X):
        """Probability of each class, the mean over the members.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``; rows sum to 1.

        Examples
        --------
        >>> from sktraffic.neural_network import TransformerEnsemble
        >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
        >>> clf.fit([[0.0], [1.0]], [0, 1]).predict_proba([[0.5]]).shape
        (1, 2)
        """
        return self._member_proba(X).mean(axis=0)

    def predict_log_proba(self, X):
        """Logarithm of each class's mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms in the order of ``classes_``.

        Examples
        --------
        >>> from sktraffic.neural_network import TransformerEnsemble
        >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
        >>> clf.fit([[0.0], [1.0]], [0, 1]).predict_log_proba([[0.5]]).shape
        (1, 2)
        """
        log_proba = self._logits(X).double().log_softmax(dim=-1)  # (M, n, K)
        return (log_proba.logsumexp(dim=0) - np.log(len(log_proba))).numpy()

    def predict(self, X):
        """Class of the largest mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.

        Examples
        --------
        >>> from sktraffic.neural_network import TransformerEnsemble
        >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
        >>> clf.fit([[0.0], [1.0]], ["a", "b"]).predict([[0.5]]).shape
        (1,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

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
        return mutual_information(self._member_proba(X))

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

    def _member_proba(self, X):
        """Probabilities of all members: (M, n, K)."""
        return self._logits(X).double().softmax(dim=-1).numpy()

    def _logits(self, X):
        """Logits of all members: (M, n, K)."""
        check_is_fitted(self)
        x = self._encode(self._validate_X(X, reset=False))
        stacked, device = self._stack()
        n_heads = self._fit_params["n_heads"]
        return self._forward(lambda rows: stacked_forward(stacked, rows, n_heads), x, device)

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

    def _fit_arrays(self, X, target, weight, groups, context):
        """Fit every member on all rows; each cuts and resamples for itself."""
        members = self._new_members(draw_seed(self.random_state))
        fitted = fit_members(members, self, (X, target, weight, groups), context, self.n_jobs)
        self.members_ = fitted
        self.__dict__.pop("_stacked", None)
        self._stack()
        if len(fitted) < len(members):
            warnings.warn(
                f"TransformerEnsemble.fit was interrupted with {len(fitted)} of {len(members)} "
                "members fitted; the estimator averages these and can be used.",
                UserWarning,
                stacklevel=3,
            )

    def _train(self, train, valid, seed, epochs, context=None, hook_data=(None, None)):
        """Train every member one epoch more, for ``partial_fit``."""
        X, target, weight = train
        self.members_ = self._new_members(seed)
        for member in self.members_:
            member.partial_fit(X, target, np.arange(len(self.classes_)), weight)
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
