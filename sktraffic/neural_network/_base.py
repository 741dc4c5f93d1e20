"""What all neural estimators share: scikit-learn outside, a skorch net inside."""

import numpy as np
from sklearn.base import ClassifierMixin

from sktraffic._base import BaseEstimator
from sktraffic._compat import CallbackSupportMixin, _fit_context
from sktraffic.neural_network import _inputs
from sktraffic.neural_network._core import ClassifierCore
from sktraffic.neural_network._runtime import draw_seed


class BaseTorchClassifier(ClassifierCore, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Base of the neural classifiers; a subclass gives its parameters and ``_build_module``.

    Everything that trains, validates, stops, pickles and predicts is here. A subclass declares its
    own parameters as annotated fields with a default, as a dataclass does, and may change the
    default of a shared one in the same way; ``field(default=..., kw_only=False)`` lets one be
    passed by position. It adds their constraints to ``_parameter_constraints``, and may override
    the hooks below. In its docstring ``{shared parameters}`` and ``{shared attributes}`` stand for
    what is said here.

    Parameters
    ----------
    {shared parameters}

    Attributes
    ----------
    {shared attributes}

    Notes
    -----
    Hooks, in the order in which ``fit`` calls them:

    - ``_without_effect()``: pairs of a parameter that does nothing beside the values of others,
      and the reason; it is an error to set one.
    - ``_validate_X(X, reset, **y)``: `validate_data` with this estimator's dtype; further checks.
    - ``_check_resampled(X, X_new)``: further checks of what a sampler made.
    - ``_build_module(n_features, n_classes)``: the module, (B, ...) -> logits (B, K). Reads
      parameters of ``self`` only: it is called again, with the parameters of the time of
      ``fit``, when a pickle is loaded. What it draws, and what the module draws in training, comes
      from generators of the fit.
    - ``_initialize_module(module)``: after building, in ``fit`` only; for pre-trained weights.
    - ``_encode(X)``: validated array -> tensor (n, ...) on the CPU. The module gets slices of it
      on its device.
    - ``_optimizer_params()``: skorch's ``optimizer`` and ``optimizer__*``.
    - ``_predict_rows``: rows of one forward pass outside training; a limit on memory.

    Examples
    --------
    >>> from sktraffic.neural_network import BaseTorchClassifier
    >>> from torch import nn
    >>> class Linear(BaseTorchClassifier):
    ...     lr: float = 0.1
    ...     early_stopping: bool = False
    ...     bias: bool = True
    ...     def _build_module(self, n_features, n_classes):
    ...         return nn.Linear(n_features, n_classes, self.bias)
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["left", "left", "right", "right"]
    >>> Linear(bias=False, random_state=0).fit(X, y).predict([[3.0]])
    array(['right'], dtype='<U5')
    """

    # ------------------------------------------------------------------ public

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None, *, X_valid=None, y_valid=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; sparse ones are made dense.
        y : array-like of shape (n_samples,)
            Labels of any type, two classes at least.
        sample_weight : array-like of shape (n_samples,), default=None
            Factor of each row in the loss; rows of weight 0 are left out, but their classes are
            known.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group stay together in the validation cut. Routed by
            ``set_fit_request(groups=True)``.
        X_valid : {array-like, sparse matrix} of shape (n_valid, n_features), default=None
            Rows to watch in place of a cut: scored after every epoch, and with
            ``early_stopping`` what decides. Routed by ``set_fit_request(X_valid=True)``; a
            Pipeline transforms them with ``transform_input=["X_valid"]``.
        y_valid : array-like of shape (n_valid,), default=None
            Their labels.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, y one class only, the validation part would be empty,
            the resampler fails, the device does not exist, or a parameter is set that would do
            nothing beside the others.
        KeyboardInterrupt
            If Ctrl-C came before the first epoch was over.

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
        self._check_effects()
        context = self._init_callback_context(max_subtasks=self._n_subtasks())
        metadata = {"sample_weight": sample_weight, "groups": groups}
        metadata |= {"X_valid": X_valid, "y_valid": y_valid}
        hook = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        context.call_on_fit_task_begin(**hook)
        continued = self.warm_start and self.__sklearn_is_fitted__()
        X, y = self._validate_X(X, y=y, reset=not continued)
        weight, groups = _inputs.check_metadata(X, sample_weight, groups)
        if not continued:
            self._fit_params = self.get_params(deep=False)
            self._history = []
            self._forget()
        self.classes_, target = _inputs.encode_labels(
            y, self.classes_ if continued else None, type(self).__name__
        )
        valid = self._check_valid(X_valid, y_valid)
        self._fit_arrays(X, target, weight, groups, context, valid)
        hook["reconstruction_attributes"] = dict
        context.call_on_fit_task_end(**hook)
        return self

    def _check_valid(self, X_valid, y_valid):
        """Rows and class indices of the validation part that the user gave, or None."""
        if (X_valid is None) != (y_valid is None):
            given = "y_valid" if X_valid is None else "X_valid"
            raise ValueError(f"{given} was given alone; X_valid and y_valid go together.")
        if X_valid is None:
            if not self.early_stopping:
                self._check_no_effect("monitor", "early_stopping=False and no X_valid")
            return None
        if self.validation_fraction != self._default("validation_fraction"):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} has no effect with X_valid, of "
                "which all rows are watched. Leave one of them out."
            )
        X_valid, y_valid = self._validate_X(X_valid, y=y_valid, reset=False)
        name = type(self).__name__
        return X_valid, _inputs.encode_labels(y_valid, self.classes_, name, "y_valid")[1]

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
            If y holds a label that the first call did not announce, a later call announces
            others, or there is a resampler, which would have to see all rows.

        Examples
        --------
        >>> from sktraffic.neural_network import MLPClassifier
        >>> clf = MLPClassifier(hidden_sizes=(8,), random_state=0)
        >>> clf = clf.partial_fit([[0.0], [1.0]], ["a", "b"], classes=["a", "b", "c"])
        >>> clf.n_epochs_, clf.classes_.tolist()
        (1, ['a', 'b', 'c'])
        """
        name = type(self).__name__
        if self.resampler is not None:
            raise ValueError(
                f"{name}.partial_fit cannot resample: it sees a part of the rows. Pass "
                "resampler=None and resample before, or call fit."
            )
        first = not self.__sklearn_is_fitted__()
        X, y = self._validate_X(X, y=y, reset=first)
        weight, _ = _inputs.check_metadata(X, sample_weight, None)
        if first:
            self._fit_params = self.get_params(deep=False)
            self._history = []
            self.classes_, _ = _inputs.encode_labels(y if classes is None else classes, None, name)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={np.unique(classes).tolist()} differ from those of the first call, "
                f"{self.classes_.tolist()}. Leave classes out after it, or fit anew."
            )
        _, target = _inputs.encode_labels(y, self.classes_, name)
        if weight is not None:  # a part may well hold one class only
            X, target, weight = _inputs.take((X, target, weight), np.flatnonzero(weight))
        train = X, target, weight
        self._train(train, None, draw_seed(self.random_state), epochs=1, with_end=False)
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
        >>> clf = MLPClassifier(hidden_sizes=(8,), batch_size=4, random_state=0)
        >>> clf.fit(X, y).predict([[0.05], [0.95]])
        array([3, 7])
        """
        best = self._logits(X).argmax(dim=-1).numpy()
        return self.classes_[best]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
