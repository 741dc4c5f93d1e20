"""scikit-learn estimators for encrypted network traffic, from capture to decision."""

from sktraffic._versions import show_versions

__version__ = "0.1.0"
__all__ = ["__version__", "show_versions"]
