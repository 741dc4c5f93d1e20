"""Scores that say how sparse classes fare, and how sure that is."""

from sktraffic.metrics._bootstrap import bootstrap_interval
from sktraffic.metrics._per_class import before_after, per_class_scores
from sktraffic.metrics._selective import selective_scores
from sktraffic.metrics._sparse import sparse_class_f1_score, sparse_classes
from sktraffic.metrics._twins import twin_scores

__all__ = [
    "before_after",
    "bootstrap_interval",
    "per_class_scores",
    "selective_scores",
    "sparse_class_f1_score",
    "sparse_classes",
    "twin_scores",
]
