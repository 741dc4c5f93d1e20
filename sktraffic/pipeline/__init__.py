"""Captures in, labels out: any scikit-learn pipeline between."""

from sktraffic.pipeline._classifier import CaptureClassifier
from sktraffic.pipeline._defaults import default_estimator
from sktraffic.pipeline._extract import data_hash
from sktraffic.pipeline._recipes import make_estimator

__all__ = ["CaptureClassifier", "data_hash", "default_estimator", "make_estimator"]
