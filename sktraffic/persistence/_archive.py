"""The file itself: a zip archive whose members are hashed."""

import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path

from sktraffic.persistence._errors import ModelFileError

PROVENANCE = "provenance.json"
FORMAT = 1
# bytes that the members of a file may unpack to: a small file must not fill the memory
MAXIMUM_BYTES = 8 << 30
_MAXIMUM_PROVENANCE = 64 << 20


def write_archive(path, payload, provenance):
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : path-like
    payload : bytes
        A skops archive.
    provenance : dict
        Gets the members' hashes and is put in front of them.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with zipfile.ZipFile(io.BytesIO(payload)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    note = json.dumps({"format": FORMAT, **provenance, "members": hashes}, indent=1)
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in {PROVENANCE: note.encode(), **members}.items():
                # a fixed date: the same model gives the same bytes
                target.writestr(zipfile.ZipInfo(name), data, compress_type=zipfile.ZIP_DEFLATED)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_note(path):
    """Return the provenance of a model file, a dict.

    Raises
    ------
    ModelFileError
        If it is no model file, or of a later format.
    """
    with _opened(path) as archive:
        return _note(path, archive)


def read_archive(path):
    """Return the provenance of a model file and its members, checked against their hashes.

    Returns
    -------
    provenance : dict
    members : dict of str to bytes

    Raises
    ------
    ModelFileError
        If anything is missing, added, changed or too big.
    """
    with _opened(path) as archive:
        note = _note(path, archive)
        hashes = note.get("members")
        names = [info.filename for info in archive.infolist()]
        if not isinstance(hashes, dict) or sorted(names) != sorted([PROVENANCE, *hashes]):
            raise damaged(path, "its members are not those that its provenance names")
        if not all(re.fullmatch(r"\w[\w.-]*", name, re.ASCII) for name in names):
            raise damaged(path, "its members are named as no model's are, with folders say")
        if sum(info.file_size for info in archive.infolist()) > MAXIMUM_BYTES:
            raise damaged(path, f"it unpacks to more than {MAXIMUM_BYTES} bytes")
        members = {}
        for name, digest in hashes.items():
            members[name] = _read(path, archive, name)
            if hashlib.sha256(members[name]).hexdigest() != digest:
                raise damaged(path, f"member {name} is not what was written")
    return note, members


def repack(members):
    """Return members as a zip archive in memory, stored, for skops to read."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def damaged(path, why):
    """Return the error for a file that is not as it was written."""
    return ModelFileError(
        f"{path} is damaged or no model file: {why}. Get a whole copy, or save the model anew."
    )


def _opened(path):
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file {path}.") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder, not a model file.") from None
    except PermissionError as error:
        raise ModelFileError(f"{path} cannot be opened: {error.strerror}.") from None
    except Exception as error:  # whatever zipfile stumbles over in a damaged directory
        raise damaged(path, str(error) or type(error).__name__) from error


def _note(path, archive):
    if archive.NameToInfo.get(PROVENANCE) is None:
        raise ModelFileError(
            f"{path} has no {PROVENANCE}: it is no file of sktraffic.persistence.save. Plain skops "
            "files are read by skops.io.load."
        )
    if archive.NameToInfo[PROVENANCE].file_size > _MAXIMUM_PROVENANCE:
        raise damaged(path, f"{PROVENANCE} is too big")
    try:
        note = json.loads(_read(path, archive, PROVENANCE))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise damaged(path, f"{PROVENANCE} is no JSON ({error})") from error
    if not isinstance(note, dict) or not isinstance(note.get("format"), int):
        raise damaged(path, f"{PROVENANCE} names no format")
    if note["format"] > FORMAT:
        raise ModelFileError(
            f"{path} has format {note['format']} of sktraffic {_written_by(note)}; this version "
            f"reads formats up to {FORMAT}. Update sktraffic."
        )
    return note


def _written_by(note):
    versions = note.get("versions")
    return versions.get("sktraffic", "?") if isinstance(versions, dict) else "?"


def _read(path, archive, name):
    try:
        return archive.read(name)
    except Exception as error:  # bad checksums, cut streams, unknown compressions, ...
        raise damaged(path, f"member {name} cannot be read ({error})") from error
