"""Downloads that can be trusted: checked, resumed, whole or not at all.

:func:`fetch_files` is the only way to the network. Every file goes through `pooch.retrieve`, which
checks the SHA-256 and puts the file under its name only when it is whole; :class:`Resuming` is the
downloader that it uses, since pooch's own starts from nothing after a cut.
"""

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

__all__ = ["Remote", "Resuming", "fetch_files", "get_data_home", "sha256_of"]

CHUNK = 1 << 16
HOME_VARIABLE = "SKTRAFFIC_DATA_HOME"
# too early, too many requests, and what a server or proxy says while it is unwell
PASSING = (408, 425, 429, 500, 502, 503, 504)


class ChangedFileError(ValueError):
    """The server's file cannot be the one that is wanted."""


@dataclass(frozen=True)
class Remote:
    """A public file and what it must be."""

    path: str  # below the folder of its set
    url: str  # below the base address
    sha256: str
    size: int  # bytes; 0 where not known


def get_data_home(data_home=None):
    """Say where public data sets are kept; nothing is made there before a download.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder itself; None for the environment variable ``SKTRAFFIC_DATA_HOME`` or, where
        that is unset, the user's data folder of the operating system.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> from sktraffic.datasets import get_data_home
    >>> get_data_home("captures").name
    'captures'
    """
    if data_home is None:
        data_home = os.environ.get(HOME_VARIABLE) or None
    if data_home is None:
        import platformdirs

        data_home = platformdirs.user_data_path("sktraffic", appauthor=False)
    return Path(data_home).expanduser()


def sha256_of(path):
    """SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_files(
    remotes, folder, base_url, *, notice="", verbose=True, progress=None, retries=3, timeout=30.0
):
    """Download files that are not there yet.

    Parameters
    ----------
    remotes : sequence of Remote
    folder : Path
        Where they go, below it by their `path`; made if need be.
    base_url : str
        In front of each `url`.
    notice : str, default=""
        Licence and origin, printed to standard error before the first byte if `verbose`, and
        logged.
    verbose : bool, default=True
    progress : bool, default=None
        Whether to show a bar on standard error; None where that is a terminal.
    retries : int, default=3
        Further attempts after a cut or a passing fault, each from where the last one stopped.
    timeout : float, default=30.0
        Seconds without a byte that end an attempt.

    Returns
    -------
    list of Path

    Raises
    ------
    OSError
        If a file cannot be had, or is not what it must be.
    """
    paths = [folder / remote.path for remote in remotes]
    missing = [pair for pair in zip(remotes, paths, strict=True) if not pair[1].is_file()]
    if not missing:
        return paths
    size = sum(remote.size for remote, _ in missing)
    known = f"{size / 1e6:.1f} MB" if size else "of unknown size"
    note = f"{notice} Downloading {len(missing)} file(s), {known}, to {folder}."
    logging.getLogger(__name__).info(note)
    if verbose:
        print(note.strip(), file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    shown = sys.stderr.isatty() if progress is None else progress
    with _locked(folder), _bar(size, shown) as advance:
        for remote, path in missing:
            if path.is_file():  # another process was first
                advance(remote.size)
                continue
            downloader = Resuming(remote.size, retries, timeout, advance)
            _retrieve(f"{base_url.rstrip('/')}/{remote.url}", remote, path, downloader)
    return paths


def _retrieve(url, remote, path, downloader):
    import pooch
    import requests

    part = Resuming.part_of(path)
    for again in (True, False):
        resumed = part.exists()
        downloader.part = part
        try:
            with _quiet(pooch.get_logger()):
                pooch.retrieve(
                    url, f"sha256:{remote.sha256}", path.name, path.parent, downloader=downloader
                )
            return
        except requests.RequestException as error:
            raise OSError(
                f"{url} could not be downloaded: {error}. What has come is kept and the next call "
                "goes on from there. Check the connection, name a mirror with base_url, or put "
                f"the file at {path} yourself."
            ) from error
        except ValueError as error:
            # a part of an older version of the file may have been continued
            if not (again and resumed):
                downloader.forget()
                raise OSError(
                    f"{url} is not the file that this package knows: {error} Nothing was kept. "
                    "The file has changed or was damaged on the way: try again, or put a copy "
                    f"that you trust at {path}."
                ) from error


@dataclass
class Resuming:
    """Downloader for pooch that goes on where an earlier attempt was cut off.

    What has come is kept beside the destination under a hidden name, with the server's validator
    of that version (ETag or Last-Modified). The rest is asked for on condition that the version
    still stands; a server that ignores ranges, or has another version by now, sends all anew.
    """

    size: int
    retries: int = 3
    timeout: float = 30.0
    advance: object = None
    pause: ClassVar[float] = 0.5  # seconds before the second attempt, doubled each time
    part: Path = field(default=None)

    @staticmethod
    def part_of(path):
        """Name under which what has come of a file is kept."""
        return path.with_name(f".{path.name}.part")

    def __call__(self, url, output_file, pooch, check_only=False):
        """Download `url` and put it at `output_file`, whole."""
        import requests

        self._shown = 0
        for attempt in range(self.retries + 1):
            try:
                with requests.Session() as session:
                    self._attempt(session, url)
                break
            except requests.RequestException as error:
                answer = getattr(error, "response", None)
                lasting = answer is not None and answer.status_code not in PASSING
                if lasting or attempt == self.retries:
                    raise
                time.sleep(self.pause * 2**attempt)
        self._facts().unlink(missing_ok=True)
        self.part.replace(output_file)

    def forget(self):
        """Remove what has come."""
        self._facts().unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def _facts(self):
        return self.part.with_name(f"{self.part.name}.json")

    def _validator(self, url):
        """Return what the server said of the part's version; None if nothing for this address."""
        try:
            facts = json.loads(self._facts().read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return facts.get("validator") if facts.get("url") == url else None

    def _attempt(self, session, url):
        there = self.part.stat().st_size if self.part.exists() else 0
        if self.size and there == self.size:
            return  # cut off between the last byte and the checksum
        # compressed on the way, a range would count other bytes than the file's
        headers = {"Accept-Encoding": "identity"}
        if there:
            # without a validator the checksum alone tells whether the parts belong together
            headers["Range"] = f"bytes={there}-"
            validator = self._validator(url)
            headers |= {"If-Range": validator} if validator else {}
        with session.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if there and not _continues(answer, there):
                self.forget()
                if answer.status_code != 200:
                    return self._attempt(session, url)
                there = 0
            answer.raise_for_status()
            total = there + int(answer.headers.get("Content-Length", -1 - there))
            total = self.size or -1 if total < 0 else total
            if self.size and total != self.size:
                raise ChangedFileError(f"The server's file has {total} bytes, not {self.size}.")
            self._note(url, answer)
            self._receive(answer, there, total)

    def _note(self, url, answer):
        etag = answer.headers.get("ETag", "")
        # a weak ETag vouches for the meaning, not for the bytes
        strong = etag if etag and not etag.startswith("W/") else None
        facts = {"url": url, "validator": strong or answer.headers.get("Last-Modified")}
        self._facts().write_text(json.dumps(facts), "utf-8")

    def _receive(self, answer, start, total):
        import requests

        with open(self.part, "ab" if start else "wb") as file:
            came = start
            self._show(came)
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                came += len(chunk)
                self._show(came)
                if self.size and came > self.size:
                    break
        if self.size and came > self.size:
            self.forget()
            raise ChangedFileError(f"More than {self.size} bytes came.")
        if came != total >= 0:
            raise requests.ConnectionError(f"only {came} of {total} bytes came")

    def _show(self, came):
        if self.advance is not None:
            self.advance(came - self._shown)
        self._shown = came


def _continues(answer, there):
    """Say whether an answer goes on from byte `there`; a failure is no answer."""
    if answer.status_code not in (200, 206, 416):
        answer.raise_for_status()
    given = answer.headers.get("Content-Range", "")
    return answer.status_code == 206 and given.startswith(f"bytes {there}-")


@contextlib.contextmanager
def _locked(folder):
    """Let one process at a time download into a folder; the lock ends with the process."""
    with open(folder / ".download.lock", "w", encoding="utf-8") as file:
        _wait_for_lock(file)
        yield


def _wait_for_lock(file):
    """Take the lock of an open file when nobody else has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        while True:
            with contextlib.suppress(OSError):  # raised after ten attempts, a second apart
                return msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    return fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def _quiet(logger):
    """Silence pooch's own lines: the notice says more, and once."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _bar(size, shown):
    """Yield a function that moves a progress bar on by a number of bytes."""
    if not shown:
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=size or None)
        yield lambda n: bar.advance(task, n)
