"""What the attacks are written with."""

import hashlib
import json
import os
import zipfile


class Sings:
    """Unpickled, it makes a file."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


def archive(path, members, hashed=True):
    """Write members, with hashes that fit as who knows the format would; returns the path."""
    members = dict(members)
    if hashed:
        note = json.loads(members["provenance.json"])
        note["members"] = {
            name: hashlib.sha256(data).hexdigest()
            for name, data in members.items()
            if name != "provenance.json"
        }
        members["provenance.json"] = json.dumps(note).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def node(module, name, loader, **more):
    """Return a node of skops' schema."""
    return {"__module__": module, "__class__": name, "__loader__": loader, "__id__": 1, **more}


def text(value):
    """Return the node of a string."""
    return node("builtins", "str", "JsonNode", content=json.dumps(value), is_json=True)


def sequence(*nodes, kind="tuple"):
    """Return the node of a tuple or list."""
    loader = {"tuple": "TupleNode", "list": "ListNode"}[kind]
    return node("builtins", kind, loader, content=list(nodes))


def mapping(**nodes):
    """Return the node of a dictionary with string keys."""
    keys = sequence(*(node("builtins", "str", "TypeNode") for _ in nodes), kind="list")
    return node("builtins", "dict", "DictNode", content=nodes, key_types=keys)


def with_root(path, sound, evil):
    """Put a node in the place of the model, and once more among the steps of the pipeline."""
    schema = json.loads(sound["schema.json"])
    schema["content"]["content"]["steps"]["content"].append(evil)
    root = {**evil, "protocol": schema["protocol"], "_skops_version": schema["_skops_version"]}
    root["also"] = schema
    archive(path, {**sound, "schema.json": json.dumps(root).encode()})
