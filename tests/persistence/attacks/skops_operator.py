"""An OperatorFuncNode that names any module: skops called what it found there (CVE-2025-54413)."""

from tests.persistence.attacks._craft import node, sequence, text, with_root


def attack(path, sound, canary):
    call = sequence(text(f"touch {canary}"))
    with_root(path, sound, node("os", "system", "OperatorFuncNode", attrs=call))
