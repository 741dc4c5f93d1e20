"""A type of a module that lies beside the file: importing it to look at it runs it."""

from tests.persistence.attacks._craft import mapping, node, with_root


def attack(path, sound, canary):
    (path.parent / "evil_beside.py").write_text(f"open({str(canary)!r}, 'w').close()\n", "utf-8")
    with_root(path, sound, node("evil_beside", "Model", "ObjectNode", content=mapping()))
