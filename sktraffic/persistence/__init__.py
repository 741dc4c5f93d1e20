"""Model files that run no code when they are loaded."""

from sktraffic.persistence._errors import (
    ModelFileError,
    ModelMismatchError,
    ModelMismatchWarning,
    UntrustedTypeError,
)
from sktraffic.persistence._load import load, read_provenance
from sktraffic.persistence._onnx import to_onnx
from sktraffic.persistence._save import save

__all__ = [
    "ModelFileError",
    "ModelMismatchError",
    "ModelMismatchWarning",
    "UntrustedTypeError",
    "load",
    "read_provenance",
    "save",
    "to_onnx",
]
