"""A node whose loader does not exist, around one that is evil.

A loader that skips it loads the rest.
"""

from tests.persistence.attacks._craft import node, sequence, text, with_root


def attack(path, sound, canary):
    inner = node("os", "system", "OperatorFuncNode", attrs=sequence(text(f"touch {canary}")))
    with_root(path, sound, node("builtins", "list", "NewNode", content=[inner]))
