"""Look at traffic, clusters and classifiers: tables and displays."""

from sktraffic.inspection._class_profile import class_profile, distinguishing_messages
from sktraffic.inspection._clusters import ClusterDisplay
from sktraffic.inspection._distributions import FeatureDistributionDisplay
from sktraffic.inspection._drift import DriftCurveDisplay, drift_curve
from sktraffic.inspection._earliness import EarlinessCurveDisplay, earliness_curve
from sktraffic.inspection._elbow import ElbowDisplay
from sktraffic.inspection._entropy_plane import EntropyPlaneDisplay
from sktraffic.inspection._importances import ClassImportanceDisplay
from sktraffic.inspection._latency import LatencyCurveDisplay, latency_curve
from sktraffic.inspection._perturb import delay_packets, drop_packets, pad_packets, reorder_packets
from sktraffic.inspection._reliability import reliability_display
from sktraffic.inspection._robustness import RobustnessCurveDisplay, robustness_curve
from sktraffic.inspection._sequence_profile import SequenceProfileDisplay
from sktraffic.inspection._shortcut_display import ShortcutDisplay
from sktraffic.inspection._shortcuts import ShortcutReport, shortcut_report
from sktraffic.inspection._transfer import TransferMatrixDisplay, transfer_matrix
from sktraffic.inspection._twins import TwinScoreDisplay

__all__ = [
    "ClassImportanceDisplay",
    "ClusterDisplay",
    "DriftCurveDisplay",
    "EarlinessCurveDisplay",
    "ElbowDisplay",
    "EntropyPlaneDisplay",
    "FeatureDistributionDisplay",
    "LatencyCurveDisplay",
    "RobustnessCurveDisplay",
    "SequenceProfileDisplay",
    "ShortcutDisplay",
    "ShortcutReport",
    "TransferMatrixDisplay",
    "TwinScoreDisplay",
    "class_profile",
    "delay_packets",
    "distinguishing_messages",
    "drift_curve",
    "drop_packets",
    "earliness_curve",
    "latency_curve",
    "pad_packets",
    "reliability_display",
    "reorder_packets",
    "robustness_curve",
    "shortcut_report",
    "transfer_matrix",
]
