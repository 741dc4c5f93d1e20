"""Members named ``../canary`` and ``/...``.

A reader that unpacks into a folder writes outside of it.
"""

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    archive(path, {**sound, f"../{canary.name}": b"x", str(canary): b"x"})
