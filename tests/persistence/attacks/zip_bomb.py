"""A member of 200 megabytes of zeros in a fifth of one, named by nobody or by the provenance."""

import hashlib
import json
import zipfile


def attack(path, sound, canary):
    zeros, size = bytes(1 << 20), 200 << 20
    digest = hashlib.sha256()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("big.npy", "w", force_zip64=True) as member:
            for _ in range(size >> 20):
                member.write(zeros)
                digest.update(zeros)
        note = json.loads(sound["provenance.json"])
        note["members"] = {"big.npy": digest.hexdigest(), "schema.json": "0" * 64}
        file.writestr("schema.json", sound["schema.json"])
        file.writestr("provenance.json", json.dumps(note))
