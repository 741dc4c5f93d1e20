"""What the fetchers of public sets share: where files lie, which are known, what comes back."""

import csv
import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.utils import Bunch

from sktraffic._limits import gunzip
from sktraffic.datasets._download import Remote, fetch_files, get_data_home
from sktraffic.datasets._heads import parse_heads, recordings

BASE_URL = "https://raw.githubusercontent.com"
HEAD_FILE = "session_heads_784B.parquet"
IMAGES, LABELS = 2051, 2049  # magic numbers of idx files
# what may lie beside the original captures and is none
DERIVED = ("session_heads", "reduced")


@dataclass(frozen=True)
class Source:
    """How a fetcher may get at files: the arguments that all fetchers have."""

    name: str  # of the set, and of its folder
    data_home: object
    markers: tuple  # patterns, one of which is found where `data_home` is the set's folder itself
    notice: str = ""
    download_if_missing: bool = True
    base_url: str = None
    verbose: bool = True
    progress: bool = None

    @property
    def folder(self):
        """The set's folder; it need not exist."""
        home = get_data_home(self.data_home)
        below = home / self.name
        if not below.is_dir() and (
            home.name == self.name or any(any(home.glob(marker)) for marker in self.markers)
        ):
            return home
        return below

    def fetch(self, remotes):
        """Return the files' paths, after downloading those that are not there."""
        missing = [remote.path for remote in remotes if not (self.folder / remote.path).is_file()]
        if missing and not self.download_if_missing:
            raise OSError(
                f"{self.folder} lacks {_some(missing)}, and download_if_missing=False forbids to "
                "download. Pass True, put the file(s) there, or name the folder that has them "
                "with data_home."
            )
        return fetch_files(
            remotes,
            self.folder,
            self.base_url or BASE_URL,
            notice=self.notice,
            verbose=self.verbose,
            progress=self.progress,
        )


def known_files(name):
    """Public files of a set whose content is known: list of Remote."""
    table = resources.files("sktraffic.datasets") / "data" / "public_files.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == name]
    return [Remote(row["path"], row["url"], row["sha256"], int(row["size"])) for row in rows]


def _some(names):
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def make_bunch(data, target, groups, descr, filenames, return_X_y, **more):
    """Pack a data set as scikit-learn's fetchers do."""
    target = np.asarray(target, dtype=str)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        groups=None if groups is None else np.asarray(groups, dtype=str),
        target_names=np.unique(target),
        feature_names=list(map(str, data.columns)),
        frame=data.assign(target=target),
        DESCR=descr,
        filenames=[str(path) for path in filenames],
        **more,
    )


def heads_bunch(source, classes, names_of, descr, gap, return_X_y):
    """Load session heads that are there; None where they are not.

    Parameters
    ----------
    source : Source
    classes : sequence of str
        Names that a label may have.
    names_of : callable
        From the path of an idx file to the names of its labels 0, 1, ...
    """
    folder = source.folder
    if (folder / HEAD_FILE).is_file():
        files = [folder / HEAD_FILE]
        table = pq.read_table(files[0], columns=["label", "head784"])
        labels = np.asarray(table["label"].to_pylist(), dtype=str)
        raw = b"".join(table["head784"].to_pylist())
        heads = np.frombuffer(raw, np.uint8).reshape(len(labels), -1)
        capture = [str(files[0])] * len(labels)
    else:
        pairs = idx_pairs(folder)
        if not pairs:
            return None
        heads, labels, capture = read_idx_pairs(pairs, names_of)
        files = [path for pair in pairs for path in pair]
    strangers = set(labels) - set(classes)
    if strangers:
        raise ValueError(
            f"{files[0]} holds the classes {_some(sorted(strangers))}, which are not of "
            f"{source.name}. Name the folder of that set with data_home."
        )
    X, kept = parse_heads(heads, capture)
    y = labels[kept]
    groups = recordings(y, X["start"].dt.tz_localize(None), gap)
    descr = descr.format(
        sessions=len(X), classes=len(np.unique(y)), groups=len(np.unique(groups)), gap=gap
    )
    left_out = len(heads) - len(kept)
    return make_bunch(X, y, groups, descr, files, return_X_y, left_out=left_out)


def idx_pairs(folder):
    """Find idx files of session heads: (images, labels), of the finest classification there is.

    Only those with all layers of whole sessions; a folder ``20class`` is preferred to ``10class``.
    """
    found = {}
    for images in sorted(folder.rglob("*images-idx3-ubyte*")) if folder.is_dir() else []:
        below = str(images.relative_to(folder))
        labels = Path(str(images).replace("images-idx3", "labels-idx1"))
        if "L7" in below or "Flow" in below or not labels.is_file():
            continue
        kind = re.search(r"(\d+)class", below)
        number = int(kind[1]) if kind else 0
        if number != 2:
            found.setdefault(number, []).append((images, labels))
    return found[max(found)] if found else []


def read_idx(path):
    """Read an idx file of bytes, gzipped or not: an array of its own shape."""
    with open(path, "rb") as file:
        raw = file.read()
    if raw[:2] == b"\x1f\x8b":
        raw = gunzip(raw, path)
    magic = int.from_bytes(raw[:4], "big")
    rank = magic & 0xFF
    shape = tuple(np.frombuffer(raw[4 : 4 + 4 * rank], ">u4").astype(int).tolist())
    content = raw[4 + 4 * rank :]
    if magic not in (IMAGES, LABELS) or len(content) != int(np.prod(shape)):
        raise ValueError(
            f"{path} is no idx file of bytes: magic number {magic}, shape {shape}, "
            f"{len(content)} bytes. Copy it again from its origin."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_idx_pairs(pairs, names_of):
    """Read session heads, their class names and their files."""
    heads, labels, files = [], [], []
    for images, numbers in pairs:
        image, number = read_idx(images), read_idx(numbers)
        names = np.asarray(names_of(str(images)))
        if len(image) != len(number) or number.max(initial=0) >= len(names):
            raise ValueError(
                f"{images} has {len(image)} heads, and {numbers} has {len(number)} labels up to "
                f"{number.max(initial=0)}; {len(names)} classes are known. Copy both again."
            )
        heads.append(image.reshape(len(image), -1))
        labels.append(names[number])
        files.extend([str(images)] * len(image))
    return np.concatenate(heads), np.concatenate(labels), files


def original_captures(folder, suffixes=(".pcap", ".pcapng")):
    """List the captures below a folder, without those made from session heads."""
    found = []
    for where, below, names in os.walk(folder):
        below[:] = [name for name in below if name not in DERIVED]
        found += [Path(where, name) for name in names if name.lower().endswith(suffixes)]
    return sorted(found)
