"""Another program's file with a model behind it: two programs see two files."""

from tests.persistence.attacks._craft import archive, node, sequence, text, with_root


def attack(path, sound, canary):
    archive(path, sound)
    front = f"#!/bin/sh\ntouch {canary}\nexit\n".encode()
    call = sequence(text(f"touch {canary}"))
    with_root(path, sound, node("os", "system", "OperatorFuncNode", attrs=call))
    path.write_bytes(front + path.read_bytes())
