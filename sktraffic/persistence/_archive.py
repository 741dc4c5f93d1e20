"""The file itself: a zip archive whose members are hashed."""

import hashlib
import io
import json
import math
import os
import re
import zipfile

import numpy as np

from sktraffic._files import replacing
from sktraffic._limits import TooLargeError, check_unpacked
from sktraffic.persistence._errors import ModelFileError

PROVENANCE, STRUCTURE = "provenance.json", "schema.json"
FORMAT = 1
# bytes that the members of a file may unpack to at least, where the user gives no limit
LEAST = 1 << 30
REMEDY = "load it with sktraffic.persistence.load(path, max_unpacked=BYTES)"
# JSON takes twenty times its bytes when it is read
_MOST_STRUCTURE, _MOST_PROVENANCE = 64 << 20, 16 << 20
_MEMBER_HEAD = 30  # bytes that stand in front of a member, at least


def write_archive(path, payload, provenance):
    """Write the bytes of a skops archive as a model file, whole or not at all."""
    with zipfile.ZipFile(io.BytesIO(payload)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    note = json.dumps({"format": FORMAT, **provenance, "members": hashes}, indent=1)
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name, data in {PROVENANCE: note.encode(), **members}.items():
            # a fixed date: the same model gives the same bytes
            target.writestr(zipfile.ZipInfo(name), data, compress_type=zipfile.ZIP_DEFLATED)


def read_note(path):
    """Return the provenance of a model file, a dict; a ModelFileError where it is none."""
    with _opened(path) as archive:
        return _note(path, archive)


def read_archive(path, max_unpacked=None):
    """Return the provenance of a model file and its members, checked against their hashes.

    The members may have ``max_unpacked`` bytes; None stands for `LEAST`, or a hundred times the
    file's own where that is more. They come as the bytes of ``schema.json`` and as a zip archive
    of all of them, stored as they are, for skops to read. Whatever is missing, added, changed or
    too large is a ModelFileError.
    """
    with _opened(path) as archive:
        note = _note(path, archive)
        hashes = note.get("members")
        _check_members(path, archive, hashes, max_unpacked)
        structure, members = b"", io.BytesIO()
        with zipfile.ZipFile(members, "w") as target:
            for name, digest in hashes.items():
                if name.endswith(".npy"):
                    _check_array(path, archive, name)
                data = _read(path, archive, name)
                if hashlib.sha256(data).hexdigest() != digest:
                    raise damaged(path, f"member {name} is not what was written")
                structure = data if name == STRUCTURE else structure
                target.writestr(name, data)
    return note, structure, members


def _check_members(path, archive, hashes, max_unpacked):
    """Raise unless the members are those of the provenance, lie apart, and are not too large."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    names = [info.filename for info in infos]
    if not isinstance(hashes, dict) or sorted(names) != sorted([PROVENANCE, *hashes]):
        raise damaged(path, "its members are not those that its provenance names")
    if not all(re.fullmatch(r"\w[\w.-]*", name, re.ASCII) for name in names):
        raise damaged(path, "its members are named as no model's are, with folders say")
    behind = [*(info.header_offset for info in infos[1:]), archive.start_dir]
    for info, end in zip(infos, behind, strict=True):
        if info.header_offset + _MEMBER_HEAD + info.compress_size > end:
            raise damaged(path, f"member {info.filename} overlaps with another")
    size = os.path.getsize(path)
    try:
        check_unpacked(sum(info.file_size for info in infos), size, max_unpacked, LEAST, REMEDY)
        if STRUCTURE in hashes:
            length = archive.NameToInfo[STRUCTURE].file_size
            check_unpacked(length, 0, max_unpacked, _MOST_STRUCTURE, REMEDY)
    except TooLargeError as error:
        raise ModelFileError(f"{path} {error}") from None


def _check_array(path, archive, name):
    """Raise unless an array has as many bytes as its header declares, before they are unpacked."""
    formats = np.lib.format
    try:
        with archive.open(name) as member:
            version = formats.read_magic(member)
            read = formats.read_array_header_1_0
            if version != (1, 0):
                read = formats.read_array_header_2_0
            shape, _, dtype = read(member)
            declared = member.tell() + math.prod(shape) * dtype.itemsize
    except Exception as error:  # cut, an expression, a number of a thousand digits, ...
        raise damaged(path, f"member {name} is no array ({error})") from error
    size = archive.NameToInfo[name].file_size
    if dtype.hasobject or declared != size:
        raise damaged(path, f"member {name} has {size:,} bytes; its header declares {declared:,}")


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
    if archive.NameToInfo[PROVENANCE].file_size > _MOST_PROVENANCE:
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
