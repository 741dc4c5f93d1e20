"""A constructor with arguments: ``os.system``, by its other name.

A loader that trusts builtins runs it.
"""

from tests.persistence.attacks._craft import node, sequence, text, with_root


def attack(path, sound, canary):
    call = sequence(text(f"touch {canary}"))
    with_root(path, sound, node("posix", "system", "ConstructorFromReduceNode", content=call))
