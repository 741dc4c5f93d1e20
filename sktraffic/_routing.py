"""Groups and weights on their way into an estimator inside another one."""

from sklearn import get_config
from sklearn.utils.validation import has_fit_parameter

from sktraffic._compat import _num_samples, _safe_indexing

__all__ = ["cut_fit_params", "group_params"]


def group_params(estimator, groups):
    """Return the fit parameters that tell an estimator which rows belong together.

    With metadata routing switched on, the estimator's own requests decide; else the last step of a
    Pipeline, or the estimator itself, gets `groups` where its `fit` takes them.

    Parameters
    ----------
    estimator : estimator or Pipeline
    groups : array-like of shape (n_samples,)

    Returns
    -------
    dict
        For ``estimator.fit(X, y, **params)``; empty where it takes no groups.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktraffic._routing import group_params
    >>> group_params(LogisticRegression(), ["a", "b"])
    {}
    """
    if get_config()["enable_metadata_routing"]:
        wanted = estimator.get_metadata_routing().consumes("fit", ["groups"])
        return {"groups": groups} if wanted else {}
    prefix = ""
    while hasattr(estimator, "steps"):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    if estimator in (None, "passthrough") or not has_fit_parameter(estimator, "groups"):
        return {}
    return {f"{prefix}groups": groups}


def cut_fit_params(fit_params, n_samples, rows):
    """Take the given rows of those parameters that hold one value a sample.

    Parameters
    ----------
    fit_params : dict
    n_samples : int
    rows : ndarray of int

    Returns
    -------
    dict
    """
    return {
        name: _safe_indexing(value, rows) if _is_aligned(value, n_samples) else value
        for name, value in fit_params.items()
    }


def _is_aligned(value, n_samples):
    if isinstance(value, str | dict) or not (hasattr(value, "__len__") or hasattr(value, "shape")):
        return False
    return _num_samples(value) == n_samples
