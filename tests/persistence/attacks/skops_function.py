"""A FunctionTransformer whose function is ``os.system``: looked up at loading, run at predict."""

from tests.persistence.attacks._craft import mapping, node, with_root


def attack(path, sound, canary):
    attributes = mapping(func=node("os", "system", "FunctionNode", content={}))
    evil = node(
        "sklearn.preprocessing._function_transformer", "FunctionTransformer", "ObjectNode",
        content=attributes,
    )  # fmt: skip
    with_root(path, sound, evil)
