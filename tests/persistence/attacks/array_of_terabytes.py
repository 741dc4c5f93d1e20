"""An array that claims 8 TB in a hundred bytes. A reader that makes room first dies."""

import struct

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
    payload = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + b"\n"
    archive(path, {n: payload if n.endswith(".npy") else d for n, d in sound.items()})
