"""An array whose header is an expression. A reader that evaluates it runs the command."""

import struct

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    header = f"__import__('os').system('touch {canary}') or {{}}".ljust(117) + "\n"
    payload = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    archive(path, {n: payload if n.endswith(".npy") else d for n, d in sound.items()})
