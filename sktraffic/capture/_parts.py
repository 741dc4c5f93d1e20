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

import psutil
import pyarrow.parquet as pq

from sktraffic import __version__
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
    """Return what a part says of its making, or None where it says nothing."""
    note = (pq.read_metadata(part).metadata or {}).get(KEY)
    return None if note is None else json.loads(note)


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
                f"{part} is no Parquet file that can be read ({error}). Remove it, choose another "
                "folder, or pass overwrite=True."
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


def _in_use(temporary):
    """Say whether the process that began a temporary part, another one, is still there."""
    pid = temporary.split(".")[-2]
    return pid.isdigit() and int(pid) != os.getpid() and psutil.pid_exists(int(pid))


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
        self._target = os.path.join(folder, part_name(path))
        self._temporary = os.path.join(folder, f".{part_name(path)}.{os.getpid()}.tmp")
        self._pattern = os.path.join(glob.escape(folder), f".{glob.escape(part_name(path))}.*")
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
        for left in glob.glob(self._pattern):
            if not _in_use(left):
                os.unlink(left)  # of a run that was killed
        self._writer = pq.ParquetWriter(
            self._temporary, session_schema(self._settings.headers), **PARQUET
        )
        return self

    def write(self, table):
        """Add rows."""
        self._writer.write_table(table)

    def keep(self, report):
        """Put the part in its place, with the report in it."""
        note = {
            "version": __version__,
            "settings": dataclasses.asdict(self._settings),
            "origin": self._origin,
            "report": report,
        }
        self._writer.add_key_value_metadata({KEY.decode(): json.dumps(note)})
        self._writer.close()
        os.replace(self._temporary, self._target)

    def __exit__(self, *error):
        self._writer.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)
