"""A ``functools.partial`` of ``os.system`` as a transformer's function.

It runs at the first predict.
"""

from tests.persistence.attacks._craft import mapping, node, sequence, text, with_root


def attack(path, sound, canary):
    parts = {
        "func": node("os", "system", "FunctionNode", content={}),
        "args": sequence(text(f"touch {canary}")), "kwds": mapping(), "namespace": mapping(),
    }  # fmt: skip
    with_root(path, sound, node("functools", "partial", "PartialNode", content=parts))
