"""A folder of Parquet parts, one a capture, that says how it was made and can be gone on with."""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import re
import stat
import sys
from pathlib import Path

import pyarrow.parquet as pq

from sktraffic import __version__
from sktraffic._files import remove_left, temporary_name, write_failed
from sktraffic.capture._errors import CaptureError
from sktraffic.capture._paths import STDIN
from sktraffic.sessions import PARQUET, session_schema

KEY = b"sktraffic"


def part_name(path):
    """Name the part of a capture: readable, and different for captures of the same name."""
    stem = re.sub(r"[^\w.-]+", "_", os.path.basename(path))[:100]
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:10]
    return f"{stem}-{digest}.parquet"


def read_note(part):
    """Return what a part says of its making, or None where it says nothing.

    Raises
    ------
    ValueError
        If that is nothing that `Part.keep` writes.
    """
    note = (pq.read_metadata(part).metadata or {}).get(KEY)
    if note is None:
        return None
    try:
        note = json.loads(note)
        whole = all(isinstance(note[name], dict) for name in ("settings", "origin", "report"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"what it says of its making is damaged: {error!r}"[:200]) from None
    if not whole:
        raise ValueError("what it says of its making is damaged")
    return note


def check_parts(folder, settings):
    """Raise where a folder holds parts that were made with other settings.

    Raises
    ------
    ValueError
        Naming the part and the settings that differ.
    """
    wanted = dataclasses.asdict(settings)
    for part in sorted(glob.glob(os.path.join(glob.escape(folder), "*.parquet"))):
        try:
            note = read_note(part)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{part} is no Parquet file that can be read, or no whole part ({error}). "
                "Remove it, choose another folder, or pass overwrite=True."
            ) from error
        if note is None:
            raise ValueError(
                f"{part} was not written by SessionExtractor.to_parquet. Choose another folder."
            )
        different = [
            f"{name}={note['settings'].get(name)!r} there, {value!r} now"
            for name, value in wanted.items()
            if note["settings"].get(name) != value
        ]
        if different:
            raise ValueError(
                f"{part} was extracted with other settings: {'; '.join(different)}. Choose another "
                "folder, or pass overwrite=True to replace the parts."
            )


class Part:
    """The part of one capture in a folder, while it is being written.

    Parameters
    ----------
    path : str
        The capture.
    settings : Settings
    folder : str
    """

    def __init__(self, path, settings, folder):
        self._settings = settings
        self._target = Path(folder, part_name(path))
        self._temporary = temporary_name(self._target)
        try:
            status = os.stat(path)
        except OSError as error:
            if path != STDIN:
                raise CaptureError(f"{path} cannot be opened: {error.strerror}.") from error
            status = os.fstat(sys.stdin.fileno())
        self._lasting = stat.S_ISREG(status.st_mode)
        self._origin = {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
        self._writer = None

    def there(self):
        """Return the report of a part that is there already and fits its capture, or None."""
        if not self._lasting or not os.path.exists(self._target):
            return None
        note = read_note(self._target)
        return note["report"] if note["origin"] == self._origin else None

    def __enter__(self):
        with write_failed(self._target):
            remove_left(self._target)  # of a run that was killed
            self._writer = pq.ParquetWriter(
                self._temporary, session_schema(self._settings.headers), **PARQUET
            )
        return self

    def write(self, table):
        """Add rows."""
        with write_failed(self._target):
            self._writer.write_table(table)

    def keep(self, report):
        """Put the part in its place, with the report in it."""
        note = {
            "version": __version__,
            "settings": dataclasses.asdict(self._settings),
            "origin": self._origin,
            "report": report,
        }
        with write_failed(self._target):
            self._writer.add_key_value_metadata({KEY.decode(): json.dumps(note)})
            self._writer.close()
            os.replace(self._temporary, self._target)

    def __exit__(self, *error):
        with contextlib.suppress(OSError):  # a full disk does not take the end of a file either
            self._writer.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)
