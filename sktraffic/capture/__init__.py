"""Captures to session tables."""

from sktraffic.capture._cut import cut_sessions
from sktraffic.capture._errors import CaptureError, CaptureWarning
from sktraffic.capture._extractor import SessionExtractor
from sktraffic.capture._paths import capture_paths, capture_stem
from sktraffic.capture._read import capture_name
from sktraffic.capture._stream import SessionStream

__all__ = [
    "CaptureError",
    "CaptureWarning",
    "SessionExtractor",
    "SessionStream",
    "capture_name",
    "capture_paths",
    "capture_stem",
    "cut_sessions",
]
