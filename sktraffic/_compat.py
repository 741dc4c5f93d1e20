"""The only place that imports private scikit-learn names, so that a new release breaks one file."""

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._metadata_requests import _routing_enabled as routing_enabled
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples

__all__ = [
    "BaseHeterogeneousEnsemble",  # noqa: F822
    "HasMethods",
    "Interval",
    "StrOptions",
    "_fit_context",
    "_num_samples",
    "_safe_indexing",
    "routing_enabled",
]


def __getattr__(name):
    # late: the trees pull in much that few callers need
    if name == "Tree":
        from sklearn.tree._tree import Tree

        return Tree
    if name == "BaseHeterogeneousEnsemble":
        from sklearn.ensemble._base import _BaseHeterogeneousEnsemble

        return _BaseHeterogeneousEnsemble
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
