"""The 16 IoT devices of IoT Sentinel, split by run: sessions and whole captures."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import make_union

from paper_tables import groups_common, groups_text
from paper_tables.core import Table
from paper_tables.iot import load_iot
from sktraffic.capture import SessionExtractor
from sktraffic.feature_extraction import ByteTokens, PacketSequences, SessionFeatures

MODEL = {
    "n_splits": 3, "folds": 3, "inner_splits": 3, "trees": 100, "search_trees": 50, "top_k": 4,
    "boosting_rounds": 30, "epochs": 15, "budget": 3, "compare_seeds": 1,
}  # fmt: skip
SETTINGS = {
    "tiny": MODEL | {
        "devices": 3, "runs": 4, "n_splits": 2, "folds": 2, "inner_splits": 2, "trees": 10,
        "search_trees": 5, "boosting_rounds": 3, "epochs": 1, "budget": 1,
    },
    "cpu": MODEL | {"devices": None, "runs": None},
    "gpu": MODEL | {
        "devices": None, "runs": None, "n_splits": 5, "folds": 5, "trees": 300,
        "search_trees": 100, "top_k": 10, "boosting_rounds": 60, "epochs": 40, "budget": 4,
        "compare_seeds": 3, "jobs": -1,
    },
}  # fmt: skip
PORTS = ("src_port", "dst_port")


def captures(folder, settings):
    """Choose the captures: all, or the first runs of the first devices."""
    devices = sorted(path for path in (Path(folder) / "iot_devices").iterdir() if path.is_dir())
    files = []
    for device in devices[: settings["devices"]]:
        files += sorted(device.glob("*.pcap"))[: settings["runs"]]
    return [str(path) for path in files]


def run_name(path):
    """Name the run of a capture, "Aria/Setup-A-1": one device set up once."""
    path = Path(path)
    return f"{path.parent.name}/{path.stem.removesuffix('-STA')}"


def identity(X):
    """Columns that name hosts and moments: addresses, ports and the start, (n, 11)."""
    octets = [_octets(X[name]) for name in ("src_ip", "dst_ip")]
    ports = X[list(PORTS)].astype("float64").fillna(-1).to_numpy()
    start = pd.to_datetime(X["start"]).astype("int64[pyarrow]").to_numpy(np.float64) / 1e9
    return np.hstack([*octets, ports, start[:, None]])


def _octets(addresses):
    """Four numbers an IPv4 address, -1 for those of IPv6."""
    parts = [str(a).split(".") for a in addresses]
    return np.array([list(map(float, p)) if len(p) == 4 else [-1.0] * 4 for p in parts])


@functools.lru_cache(maxsize=1)
def _load(files):
    X, y, groups = load_iot(files, SessionExtractor(n_dissections=0), groups=run_name)
    everything = make_union(
        SessionFeatures(features="extended"),
        PacketSequences(20, fields=("signed_size", "iat", "signed_payload_size")),
        ByteTokens(n_bytes=64, n_packets=4, start="payload"),
    )
    return groups_common.problem(X, y, groups, identity(X), everything)


def load(folder, settings):
    """Read the sessions; kept in memory from run to run of one process."""
    return _load(tuple(captures(folder, settings)))


def run(unit, settings, folder):
    """Rows of one fold of one seed."""
    return groups_common.run(load(folder, settings), unit, settings)


ABOUT = """16 devices of [IoT Sentinel](https://github.com/andypitcher/IoT_Sentinel), each set up
again and again: a run is one such set-up, one capture, and all its sessions lie on one side of the
split ("unseen runs"). All features: extended statistics, protocol matrix, size, time and payload of
the first 20 packets, and 64 payload bytes of the first four packets that carry any. Masked:
no address, no port, no absolute time; the payload itself, DNS names in it included, is left as it
is. Unmasked adds addresses, ports and the start time: most runs were recorded right after another
of the same device, so that the start time names the device even where the run is unseen. A
capture's class is the largest sum of its sessions' log-probabilities."""

TABLE = Table(
    name="g-iot-devices",
    title="IoT devices, unseen runs",
    settings=SETTINGS,
    units=groups_common.units,
    run=run,
    section=functools.partial(
        groups_text.section, name="iot-devices", about=ABOUT, whole="capture", groups="runs"
    ),
)
