"""Splits that keep captures whole and time in order, and checks that find what leaks."""

from sktraffic.model_selection._capture_kfold import CaptureKFold
from sktraffic.model_selection._chronological import ChronologicalSplit, session_times
from sktraffic.model_selection._duplicates import drop_duplicate_sessions
from sktraffic.model_selection._fingerprints import value_keys
from sktraffic.model_selection._leakage import LeakError, check_split
from sktraffic.model_selection._rejecting import RejectingClassifier
from sktraffic.model_selection._twins import has_twin

__all__ = [
    "CaptureKFold",
    "ChronologicalSplit",
    "LeakError",
    "RejectingClassifier",
    "check_split",
    "drop_duplicate_sessions",
    "has_twin",
    "session_times",
    "value_keys",
]
