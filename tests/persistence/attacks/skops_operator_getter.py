"""An ``operator.methodcaller`` and ``attrgetter``.

Harmless names that reach everything (CVE-2025-54412).
"""

from tests.persistence.attacks._craft import node, sequence, text, with_root


def attack(path, sound, canary):
    call = sequence(text("__globals__"))
    with_root(path, sound, node("operator", "attrgetter", "OperatorFuncNode", attrs=call))
