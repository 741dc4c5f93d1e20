"""Weights whose header claims 2**62 bytes, in the place of the model: who makes room first dies."""

import struct


def attack(path, sound, canary):
    path.write_bytes(struct.pack("<Q", 1 << 62) + b'{"weight": {"dtype": "F32"}}')
