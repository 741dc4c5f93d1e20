"""The first bytes of the sessions of USTC-TFC2016 and ISCX VPN-nonVPN, their tokens and splits."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sktraffic.datasets import fetch_iscx_vpn2016, fetch_ustc_tfc2016
from sktraffic.feature_extraction import ByteTokens
from sktraffic.model_selection import ChronologicalSplit

SETS = {
    "USTC": (fetch_ustc_tfc2016, "ustc_tfc2016"),
    "ISCX": (fetch_iscx_vpn2016, "iscx_vpn2016"),
}
SPLITS = ("time", "random")


@dataclass(frozen=True)
class Heads:
    """Sessions of one set: their first packets, classes and begins, and the raw bytes."""

    sessions: pd.DataFrame
    y: np.ndarray
    raw: np.ndarray  # (n, 784) uint8: pcap header, link layer and all


@lru_cache(maxsize=2)
def load(name, folder):
    """Read a set; ``packet_bytes`` starts with the IP header whatever the link layer is."""
    fetch, sub = SETS[name]
    bunch = fetch(data_home=folder, download_if_missing=False)
    raw = pd.read_parquet(folder / sub / "session_heads_784B.parquet", columns=["head784"])
    raw = np.frombuffer(b"".join(raw["head784"]), dtype=np.uint8).reshape(len(raw), -1)
    if len(raw) != len(bunch.target):
        raise ValueError(f"{name}: {len(raw)} heads, but {len(bunch.target)} sessions of them.")
    return Heads(bunch.data[["packet_bytes", "start"]], np.asarray(bunch.target, dtype=str), raw)


def subset(heads, share, seed):
    """Keep a share of each class (its shares of the whole stay), at least ten sessions."""
    rng = np.random.default_rng(seed)
    kept = [
        rng.permutation(rows)[: max(10, round(share * len(rows)))]
        for rows in (np.flatnonzero(heads.y == label) for label in np.unique(heads.y))
    ]
    rows = np.sort(np.concatenate(kept))
    sessions = heads.sessions.iloc[rows].reset_index(drop=True)
    return Heads(sessions, heads.y[rows], heads.raw[rows])


def tokens(sessions, masked, n_bytes, n_packets):
    """Byte tokens from the IP header on; masked hides what identifies hosts and moments."""
    options = {} if masked else {"mask": None}
    return ByteTokens(n_bytes, n_packets=n_packets, start="ip", **options).fit_transform(sessions)


def split(heads, kind, seed, test_size=0.4):
    """Training and test rows: the later part of each class, or rows drawn at random."""
    if kind == "random":
        rows = np.arange(len(heads.y))
        return train_test_split(rows, test_size=test_size, stratify=heads.y, random_state=seed)
    cut = ChronologicalSplit(1, test_size=test_size, per_group=True)
    return next(cut.split(heads.sessions[["start"]], heads.y, heads.y))


def twins(train, test):
    """Test rows that also stand, byte for byte, in the training part."""
    seen = {row.tobytes() for row in train}
    return np.array([row.tobytes() in seen for row in test])
