"""What an extra of the distribution brings; one that is missing is named when it is needed."""

import importlib.util

# the packages of each extra that are imported here, by the names they are imported under
EXTRAS = {
    "anonymise": ("cryptography",),
    "dask": ("distributed",),
    "neural": ("torch", "skorch", "transformers", "safetensors"),
    "onnx": ("onnx", "onnxscript", "skl2onnx"),
    "xlsx": ("openpyxl",),
    "zstd": ("zstandard",),
}


def missing(extra):
    """Return the names of an extra's packages that are not installed, without importing any."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def require(extra, purpose):
    """Raise where a package of an extra is not installed.

    Parameters
    ----------
    extra : str
        A key of `EXTRAS`.
    purpose : str
        What needs it, the subject of the sentence.

    Raises
    ------
    ImportError
        Names what is missing and the extra that brings it.
    """
    names = missing(extra)
    if names:
        raise ImportError(
            f"{purpose} needs {', '.join(names)}, not installed here: "
            f"pip install 'sktraffic[{extra}]'",
            name=names[0],
        )
