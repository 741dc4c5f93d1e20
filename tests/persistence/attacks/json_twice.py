"""A key twice in the schema: one reader audits the first, another builds the last."""

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    twice = b', "__module__": "os", "__class__": "system", "__loader__": "OperatorFuncNode"}'
    schema = sound["schema.json"].rstrip()[:-1] + twice
    archive(path, {**sound, "schema.json": schema})
