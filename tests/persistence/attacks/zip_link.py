"""A member that is a symbolic link out of the folder, and one below it."""

import json
import stat
import zipfile

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    archive(path, sound)
    with zipfile.ZipFile(path, "a") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, str(canary.parent))
        file.writestr(f"link/{canary.name}", json.dumps("x"))
