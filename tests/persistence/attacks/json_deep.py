"""JSON a million lists deep: parsers that recurse overflow their stack."""

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    deep = b"[" * 10**6 + b"]" * 10**6
    archive(path, {**sound, "schema.json": deep})
