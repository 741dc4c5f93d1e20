"""Weights that lie outside of the file and over each other, in the place of the arrays.

Read out of bounds.
"""

import json
import struct

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    tensor = {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 2**63]}
    header = json.dumps({"a": tensor, "b": {**tensor, "data_offsets": [-8, 4]}}).encode()
    payload = struct.pack("<Q", len(header)) + header
    archive(path, {n: payload if n.endswith(".npy") else d for n, d in sound.items()})
