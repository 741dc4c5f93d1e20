"""A pickle under a model's name. ``pickle.load`` and ``joblib.load`` run its command."""

import pickle

from tests.persistence.attacks._craft import Sings


def attack(path, sound, canary):
    path.write_bytes(pickle.dumps(Sings(canary)))
