"""A file of ``joblib.dump``, compressed. ``joblib.load`` runs its command."""

import joblib

from tests.persistence.attacks._craft import Sings


def attack(path, sound, canary):
    joblib.dump(Sings(canary), path, compress=3)
