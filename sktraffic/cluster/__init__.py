"""Clusterings whose parameters come from the data, and a table that compares them."""

from sktraffic.cluster._compare import compare_clusterings
from sktraffic.cluster._elbow import ElbowKMeans, second_differences
from sktraffic.cluster._gaussian_mixture import ElbowGaussianMixture
from sktraffic.cluster._optics import OPTICSDBSCAN

__all__ = [
    "OPTICSDBSCAN",
    "ElbowGaussianMixture",
    "ElbowKMeans",
    "compare_clusterings",
    "second_differences",
]
