"""A MethodNode: skops looked at the class but called the method (CVE-2024-37065 and its kin)."""

from tests.persistence.attacks._craft import mapping, node, text, with_root


def attack(path, sound, canary):
    evil = node(
        "builtins", "str", "MethodNode", content=mapping(func=text("format"), obj=text(str(canary)))
    )
    evil["content"] = {"func": "__class__", "obj": text(f"touch {canary}")}
    with_root(path, sound, evil)
