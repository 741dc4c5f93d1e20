"""The base of the package's estimators."""

from sklearn.base import BaseEstimator as _BaseEstimator

from sktraffic._documentation import Linked

__all__ = ["BaseEstimator"]


class BaseEstimator(Linked, _BaseEstimator):
    """scikit-learn's, with links to this package's pages."""
