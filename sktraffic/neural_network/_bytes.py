"""Bytes as input of a network: integers divided by 255, floats as they are."""

import numpy as np


class ByteInputs:
    """Mixin in front of `BaseTorchClassifier` that scales bytes.

    Whether X is bytes is decided by its type in ``fit`` and holds for all later data.
    """

    def _validate_X(self, X, **options):
        first = options.get("reset")
        is_bytes = _is_integer(X) if first else self._is_bytes
        checked = super()._validate_X(X, **options)
        X, *rest = checked if isinstance(checked, tuple) else (checked,)
        if first:
            self._is_bytes = is_bytes
        if is_bytes:
            X = X / X.dtype.type(255)
        return (X, *rest) if rest else X


def _is_integer(X):
    """Whether an array, a DataFrame or a list holds integers only."""
    if hasattr(X, "dtypes"):  # a DataFrame has one for each column
        kinds = [dtype.kind for dtype in np.atleast_1d(np.asarray(X.dtypes, dtype=object))]
    else:
        kinds = [(X if hasattr(X, "dtype") else np.asarray(X)).dtype.kind]
    return all(kind in "iu" for kind in kinds)
