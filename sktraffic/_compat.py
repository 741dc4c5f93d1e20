"""What differs between releases of scikit-learn: private names, and callbacks (from 1.9 on)."""

import contextlib

import sklearn
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._metadata_requests import _routing_enabled as routing_enabled
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples

__all__ = [
    "BaseHeterogeneousEnsemble",  # noqa: F822
    "CallbackSupportMixin",  # noqa: F822
    "HasMethods",
    "Interval",
    "StrOptions",
    "_fit_context",
    "_num_samples",
    "_safe_indexing",
    "boosting_can_be_saved",
    "routing_enabled",
]


def boosting_can_be_saved():
    """Say whether the losses of histogram boosting tell where they are (1.6 says ``_loss``)."""
    from sklearn._loss import _loss  # late: compiled, and of little use elsewhere

    return _loss.CyHalfMultinomialLoss.__module__ == _loss.__name__


class _NoCallbacks:
    """The context of a fit that no callback follows; all its tasks are itself."""

    def call_on_fit_task_begin(self, **hook):
        """Tell nobody."""

    def call_on_fit_task_end(self, **hook):
        """Tell nobody, and let the fit go on."""
        return False

    def subcontext(self, *args, **kwargs):
        """Return the context of a task inside."""
        return self

    def propagate_callback_context(self, estimator):
        """Hand nothing on to an estimator inside."""
        return contextlib.nullcontext()


class _NoCallbackSupport:
    """Stands where scikit-learn (1.6 to 1.8) has no callbacks: setting one is an error."""

    def set_callbacks(self, *callbacks):
        """Raise: there is nothing to set.

        Raises
        ------
        NotImplementedError
            Always; it names the release of scikit-learn that has callbacks.
        """
        raise NotImplementedError(
            f"Callbacks need scikit-learn 1.9 or later; {sklearn.__version__} is installed. "
            "verbose=1 prints each epoch."
        )

    def _init_callback_context(self, *args, **kwargs):
        return _NoCallbacks()


def __getattr__(name):
    # late: the trees and the callbacks pull in much that few callers need
    if name == "CallbackSupportMixin":
        try:
            from sklearn.callback import CallbackSupportMixin
        except ModuleNotFoundError:
            return _NoCallbackSupport
        return CallbackSupportMixin
    if name == "Tree":
        from sklearn.tree._tree import Tree

        return Tree
    if name == "TREE_ENSEMBLES":  # those that hand the columns of their input to trees unchecked
        from sklearn.ensemble._bagging import BaseBagging
        from sklearn.ensemble._forest import BaseForest
        from sklearn.ensemble._gb import BaseGradientBoosting

        return BaseBagging, BaseForest, BaseGradientBoosting
    if name == "BOOSTED_NODE":
        from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

        return PREDICTOR_RECORD_DTYPE
    if name == "BaseHeterogeneousEnsemble":
        from sklearn.ensemble._base import _BaseHeterogeneousEnsemble

        return _BaseHeterogeneousEnsemble
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
