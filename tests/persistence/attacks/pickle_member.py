"""Every member of a sound archive is a pickle. Who unpickles members runs its command."""

import pickle

from tests.persistence.attacks._craft import Sings, archive


def attack(path, sound, canary):
    payload = pickle.dumps(Sings(canary))
    members = {name: payload for name in sound if name != "provenance.json"}
    archive(path, {"provenance.json": sound["provenance.json"], **members})
