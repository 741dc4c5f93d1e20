"""Which files are meant."""

import glob
import os
from pathlib import Path

from sktraffic.capture._errors import CaptureError
from sktraffic.packets import capture_format

SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".ntar")
STDIN = "-"
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


def capture_paths(paths):
    """Turn what a user names into a list of files.

    Parameters
    ----------
    paths : str, path-like, or iterable of these
        Files, named pipes, "-" for standard input, folders (searched with their subfolders) and
        glob patterns.

    Returns
    -------
    list of str
        In the order given; a folder's or a pattern's files by name.

    Raises
    ------
    CaptureError
        If something does not exist, a folder holds no capture, or a file is named twice.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktraffic.capture import capture_paths
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.pcap", "a.pcapng.gz"):
    ...         (Path(folder) / name).touch()
    ...     found = capture_paths(folder)
    ...
    >>> [Path(path).name for path in found]
    ['a.pcapng.gz', 'b.pcap']
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    try:
        named = [os.fspath(path) for path in paths]
    except TypeError:
        raise TypeError(
            f"Captures are named by paths (str or path-like), got {type(paths).__name__} with "
            "something else inside. A folder, a glob pattern or a list of files will do."
        ) from None
    if not named:
        raise CaptureError("No capture is named: the list of paths is empty.")
    found = [file for path in named for file in _expand(path)]
    seen = {}
    for file in found:
        real = os.path.realpath(file)
        if real in seen:
            raise CaptureError(
                f"{file} is named twice (first as {seen[real]}); its sessions would count double. "
                "Name each capture once."
            )
        seen[real] = file
    return found


def _expand(path):
    if os.path.isdir(path):
        files = sorted(str(file) for file in Path(path).rglob("*") if looks_like_capture(file))
        if not files:
            raise CaptureError(
                f"The folder {path} holds no capture: no file there begins like pcap or pcapng, or "
                f"has a name ending in {', '.join(SUFFIXES)}."
            )
        return files
    if os.path.exists(path) or path == STDIN:
        return [path]
    matches = sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))
    if not matches:
        raise CaptureError(f"There is no file, folder or match for {path}.")
    return matches


def looks_like_capture(path):
    """Say whether a file in a folder is meant as a capture, by its name or its first bytes."""
    if not path.is_file() or path.name.startswith("."):
        return False
    name = path.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    if name.endswith(SUFFIXES):
        return True
    try:
        with open(path, "rb") as file:
            return bool(capture_format(file.read(4)))
    except OSError:
        return False


def capture_stem(path):
    """Return a capture's name without its extensions.

    Examples
    --------
    >>> from sktraffic.capture import capture_stem
    >>> capture_stem("a/b.pcap.gz")
    'b'
    """
    name = os.path.basename(path)
    for suffixes in (COMPRESSED, SUFFIXES):
        name = next((name[: -len(s)] for s in suffixes if name.lower().endswith(s)), name)
    return name
