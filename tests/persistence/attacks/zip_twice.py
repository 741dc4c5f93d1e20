"""A member twice, sound and evil: one reader checks the first, another builds the second."""

import json
import warnings
import zipfile

from tests.persistence.attacks._craft import archive, node, sequence, text


def attack(path, sound, canary):
    archive(path, sound)
    schema = json.loads(sound["schema.json"])
    call = sequence(text(f"touch {canary}"))
    evil = {**schema, **node("os", "system", "OperatorFuncNode", attrs=call)}
    with zipfile.ZipFile(path, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        file.writestr("schema.json", json.dumps(evil))
