"""Groups on their way into an estimator or a Pipeline."""

from sklearn import get_config
from sklearn.utils.validation import has_fit_parameter

__all__ = ["group_params"]


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
    name, last = getattr(estimator, "steps", [(None, estimator)])[-1]
    if last in (None, "passthrough") or not has_fit_parameter(last, "groups"):
        return {}
    return {f"{name}__groups" if name else "groups": groups}
