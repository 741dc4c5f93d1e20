"""A file of ``torch.save``: a zip with ``data.pkl`` inside.

``torch.load`` before 2.6 runs its command.
"""

import pickle
import zipfile

from tests.persistence.attacks._craft import Sings


def attack(path, sound, canary):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Sings(canary)))
        file.writestr("archive/version", "3\n")
