"""What all neural estimators share: scikit-learn outside, a skorch net inside."""

from numbers import Integral, Real

import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sktraffic._compat import CallbackSupportMixin, HasMethods, Interval, StrOptions, _fit_context
from sktraffic.neural_network import _inputs
from sktraffic.neural_network._core import TorchCore
from sktraffic.neural_network._monitor import MONITORS
from sktraffic.neural_network._runtime import (
    DTYPES,
    draw_seed,
    isolated_rng,
    load_numpy_state,
    usable_device,
)

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")


class BaseTorchClassifier(TorchCore, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Base of the neural classifiers; a subclass gives ``__init__`` and ``_build_module``.

    Everything that trains, validates, stops, pickles and predicts is here. A subclass names
    all shared parameters in its own ``__init__`` (scikit-learn reads the signature), extends
    ``_parameter_constraints`` and may override the hooks below.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where X had any.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is the torch module. Built again from NumPy weights
        when first used after unpickling.
    history_ : pandas.DataFrame
        One row an epoch: losses (means), scores of the validation part, seconds.
    n_epochs_ : int
        Epochs trained.
    best_epoch_ : int
        Epoch whose weights are kept, counted from 1.

    Notes
    -----
    Hooks, in the order in which ``fit`` calls them:

    - ``_validate_X(X, reset, **y)``: `validate_data` with this estimator's dtype; further checks.
    - ``_build_module(n_features, n_classes)``: the module, (B, ...) -> logits (B, K). Reads
      parameters of ``self`` only: it is called again, with the parameters of the time of
      ``fit``, when a pickle is loaded.
    - ``_initialize_module(module)``: after building, in ``fit`` only; for pre-trained weights.
    - ``_encode(X)``: validated array -> tensor (n, ...) on the CPU. The module gets slices of it
      on its device.
    - ``_optimizer_params()``: skorch's ``optimizer`` and ``optimizer__*``.
    - ``_schedule()``: None, or a function (step, number of steps) -> factor of ``lr``.
    - ``_predict_rows``: rows of one forward pass outside training; a limit on memory.

    Examples
    --------
    >>> from sktraffic.neural_network import BaseTorchClassifier
    >>> from torch import nn
    >>> class Linear(BaseTorchClassifier):
    ...     def __init__(self, lr=0.1, batch_size=64, max_epochs=20, weight_decay=0.0,
    ...                  warmup_ratio=0.0, loss="cross_entropy", gamma=2.0, alpha=None,
    ...                  class_weight=None, weighted_sampling=False, resampler=None,
    ...                  validation_fraction=0.1, early_stopping=False, patience=15,
    ...                  monitor="f1_weighted", device="auto", precision="float32",
    ...                  random_state=None, verbose=0, warm_start=False, net_params=None):
    ...         for name, value in list(locals().items()):
    ...             if name != "self":
    ...                 setattr(self, name, value)
    ...     def _build_module(self, n_features, n_classes):
    ...         return nn.Linear(n_features, n_classes)
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["left", "left", "right", "right"]
    >>> Linear(random_state=0).fit(X, y).predict([[3.0]])
    array(['right'], dtype='<U5')
    """

    _parameter_constraints: dict = {
        "lr": [_POSITIVE],
        "batch_size": [_COUNT],
        "max_epochs": [_COUNT],
        "weight_decay": [_NOT_NEGATIVE],
        "warmup_ratio": [Interval(Real, 0, 1, closed="both")],
        "loss": [StrOptions({"focal", "cross_entropy"})],
        "gamma": [_NOT_NEGATIVE],
        "alpha": [_POSITIVE, "array-like", StrOptions({"balanced"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "weighted_sampling": ["boolean"],
        "resampler": [HasMethods(["fit_resample"]), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "early_stopping": ["boolean"],
        "patience": [_COUNT],
        "monitor": [StrOptions(set(MONITORS))],
        "device": [str],
        "precision": [StrOptions(set(DTYPES))],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "net_params": [dict, None],
    }

    # ------------------------------------------------------------------ public

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Labels of any type, two classes at least.
        sample_weight : array-like of shape (n_samples,), default=None
            Factor of each row in the loss; rows of weight 0 are left out.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group stay together in the validation cut. Routed by
            ``set_fit_request(groups=True)``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, y one class only, the validation part would be empty,
            the resampler fails, or the device does not exist.

        Warns
        -----
        UserWarning
            If Ctrl-C ended the fit early (the estimator is usable), or a class is too small
            for the validation part.
        ConvergenceWarning
            If the training loss is no longer a number.

        Examples
        --------
        >>> from sktraffic.neural_network import MLPClassifier
        >>> X, y = [[0.0], [0.1], [0.9], [1.0]] * 5, ["web", "web", "vpn", "vpn"] * 5
        >>> clf = MLPClassifier(hidden_sizes=(8,), max_epochs=50, random_state=0).fit(X, y)
        >>> clf.classes_.tolist()
        ['vpn', 'web']
        """
        context = self._init_callback_context(max_subtasks=self._n_subtasks())
        metadata = {"sample_weight": sample_weight, "groups": groups}
        hook = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        context.call_on_fit_task_begin(**hook)
        continued = self.warm_start and self.__sklearn_is_fitted__()
        X, y = self._validate_X(X, y=y, reset=not continued)
        X, y, weight, groups = _inputs.check_metadata(X, y, sample_weight, groups)
        if not continued:
            self._fit_params = self.get_params(deep=False)
            self._history = []
            self._forget()
        self.classes_, target = _inputs.encode_labels(
            y, self.classes_ if continued else None, type(self).__name__
        )
        self._fit_arrays(X, target, weight, groups, context)
        hook["reconstruction_attributes"] = dict
        context.call_on_fit_task_end(**hook)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one more epoch, on these rows alone, without a validation part or resampler.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call unless y holds them all.
        sample_weight : array-like of shape (n_samples,), default=None
            Factor of each row in the loss.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If y holds a label that the first call did not announce.

        Examples
        --------
        >>> from sktraffic.neural_network import MLPClassifier
        >>> clf = MLPClassifier(hidden_sizes=(8,), random_state=0)
        >>> clf = clf.partial_fit([[0.0], [1.0]], ["a", "b"], classes=["a", "b", "c"])
        >>> clf.n_epochs_, clf.classes_.tolist()
        (1, ['a', 'b', 'c'])
        """
        first = not self.__sklearn_is_fitted__()
        X, y = self._validate_X(X, y=y, reset=first)
        X, y, weight, _ = _inputs.check_metadata(X, y, sample_weight, None)
        name = type(self).__name__
        if first:
            self._fit_params = self.get_params(deep=False)
            self._history = []
            self.classes_, _ = _inputs.encode_labels(y if classes is None else classes, None, name)
        _, target = _inputs.encode_labels(y, self.classes_, name)
        self._train((X, target, weight), None, draw_seed(self.random_state), epochs=1)
        return self

    def predict_proba(self, X):
        """Probability of each class.

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
        >>> from sktraffic.neural_network import MLPClassifier
        >>> clf = MLPClassifier(hidden_sizes=(4,), max_epochs=1, early_stopping=False)
        >>> clf.fit([[0.0], [1.0]], [0, 1]).predict_proba([[0.5]]).shape
        (1, 2)
        """
        return self._logits(X).double().softmax(dim=-1).numpy()

    def predict_log_proba(self, X):
        """Logarithm of each class's probability.

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
        >>> from sktraffic.neural_network import MLPClassifier
        >>> clf = MLPClassifier(hidden_sizes=(4,), max_epochs=1, early_stopping=False)
        >>> bool((clf.fit([[0.0], [1.0]], [0, 1]).predict_log_proba([[0.5]]) < 0).all())
        True
        """
        return self._logits(X).double().log_softmax(dim=-1).numpy()

    def predict(self, X):
        """Most probable class.

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
        >>> from sktraffic.neural_network import MLPClassifier
        >>> X, y = [[0.0], [0.1], [0.9], [1.0]] * 5, [3, 3, 7, 7] * 5
        >>> clf = MLPClassifier(hidden_sizes=(8,), lr=0.1, early_stopping=False, random_state=0)
        >>> clf.fit(X, y).predict([[0.05], [0.95]])
        array([3, 7])
        """
        best = self._logits(X).argmax(dim=-1).numpy()
        return self.classes_[best]

    @property
    def net_(self):
        """The skorch net, built from the stored weights where a pickle was loaded."""
        if "_net" not in self.__dict__:
            check_is_fitted(self)
            device = usable_device(self.device)
            with isolated_rng(0, device):
                net = self._build_net(device)
            load_numpy_state(net.module_, self._weights)
            net.module_.eval()
            self._net = net
            del self._weights
        return self._net

    @property
    def history_(self):
        """One row an epoch: epoch, losses, scores of the validation part, seconds (``dur``)."""
        check_is_fitted(self)
        return pd.DataFrame(self._history)

    @property
    def n_epochs_(self):
        """Number of epochs trained."""
        check_is_fitted(self)
        return len(self._history)
