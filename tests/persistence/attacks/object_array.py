"""Arrays of objects. ``numpy.load(allow_pickle=True)`` runs the command."""

import io

import numpy as np

from tests.persistence.attacks._craft import Sings, archive


def attack(path, sound, canary):
    file = io.BytesIO()
    np.save(file, np.array([Sings(canary)], dtype=object), allow_pickle=True)
    arrays = {name: file.getvalue() for name in sound if name.endswith(".npy")}
    archive(path, {**sound, **arrays})
