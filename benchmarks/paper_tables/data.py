"""The data sets of both papers' tables, what is hidden of them, and how they are split."""

import functools
import ipaddress
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktraffic.feature_extraction import ByteTokens, SessionStatistics
from sktraffic.model_selection import CaptureKFold, ChronologicalSplit
from sktraffic.ragged import list_column

# Nine large captures and three sparse ones, as in Qi et al.; its ninth class is among them.
STAND_IN = {
    "scp1": "file transfer", "vpn_hangouts_audio1": "audio and video", "skype_chat1a": "chat",
    "email1a": "e-mail", "hangouts_video2a": "audio and video",
    "vpn_skype_audio1": "audio and video", "Torrent01": "P2P", "ftps_down_1a": "file transfer",
    "vpn_icq_chat1a": "chat", "vpn_bittorrent": "P2P", "vpn_skype_chat1a": "chat",
    "vpn_aim_chat1a": "chat",
}  # fmt: skip
SPARSE = "vpn_icq_chat1a"
# Seven of the paper's nine features with the first three of `load_stand_in`, and two more maxima;
# the tables hold no packets to take the two entropies of.
COLUMNS = {
    "packet_size_mean": "Pkt Len Mean", "packet_size_std": "Pkt Len Std",
    "packet_size_max": "Pkt Len Max", "iat_mean": "Flow IAT Mean", "iat_std": "Flow IAT Std",
    "iat_max": "Flow IAT Max",
}  # fmt: skip
EXTRA = ["packet_size_max", "iat_max"]
RAW = {"src_ip": "Src IP", "dst_ip": "Dst IP", "src_port": "Src Port", "dst_port": "Dst Port"}
RAW |= {"protocol": "Protocol"}
HEADS = {"USTC": "ustc_tfc2016", "ISCX": "iscx_vpn2016"}


@dataclass(frozen=True)
class Data:
    """Sessions or their features, with what the splits need."""

    X: pd.DataFrame
    y: np.ndarray  # (n,) str
    groups: np.ndarray  # (n,) captures, runs or traces
    start: pd.Series = None
    identifiers: pd.DataFrame = None  # what leaks: addresses, ports, times
    by_capture: bool = True  # whether the honest split is by capture, or in time
    raw: np.ndarray = None  # (n, 784) uint8 of the heads: pcap header, link layer and all

    @property
    def sparse(self):
        """The class of the papers' attention, or the smallest."""
        labels, counts = np.unique(self.y, return_counts=True)
        return SPARSE if SPARSE in labels else str(labels[np.argmin(counts)])

    def columns(self, which):
        """Return the features alone ("masked"), or with the identifiers ("unmasked")."""
        return self.X if which == "masked" else pd.concat([self.X, self.identifiers], axis=1)


def identifiers(table, names):
    """Ports, protocol and the four last bytes of both addresses as numbers."""
    out = {name: table[names[name]] for name in ("src_port", "dst_port", "protocol")}
    for side in ("src", "dst"):
        address = table[names[f"{side}_ip"]].astype(str)
        packed = {text: ipaddress.ip_address(text).packed[-4:] for text in address.unique()}
        for place in range(4):
            out[f"{side}_ip_{place}"] = address.map({k: v[place] for k, v in packed.items()})
    return pd.DataFrame(out).astype(np.float64).reset_index(drop=True)


def load(name, settings, folder, seed=0):
    """Load the features of one of the sets of Qi et al.'s tables."""
    if name == "stand-in":
        return load_stand_in(folder / "iscx_vpn2016" / "cicflow_per_capture", settings["cap"], seed)
    if name == "bundled":
        return from_sessions(*lab_sessions())
    sessions = iot_sessions(folder, settings.get("devices"), settings.get("captures"))
    return from_sessions(*sessions)


def load_stand_in(folder, cap, seed=0):
    """Twelve CICFlowMeter tables, a class each; at most `cap` sessions a class."""
    tables, leaks = [], []
    for name in STAND_IN:
        raw = pd.read_csv(folder / f"{name}.csv")
        if cap and len(raw) > cap:
            raw = raw.sample(cap, random_state=seed)
        table = pd.DataFrame(
            {
                "packet_count": raw["Tot Fwd Pkts"] + raw["Tot Bwd Pkts"],
                "total_bytes": raw["TotLen Fwd Pkts"] + raw["TotLen Bwd Pkts"],
                "duration": raw["Flow Duration"] / 1e6,
                **{new: raw[old] for new, old in COLUMNS.items()},
            }
        )
        stamp = raw["Timestamp"].str.replace("a.m.", "AM").str.replace("p.m.", "PM")
        table["start"] = pd.to_datetime(stamp, format="%d/%m/%Y %I:%M:%S %p", utc=True)
        tables.append(table.assign(label=name))
        leaks.append(identifiers(raw, RAW))
    table = pd.concat(tables, ignore_index=True)
    y, start = table.pop("label").to_numpy(dtype=str), table.pop("start")
    return Data(table, y, y, start, pd.concat(leaks, ignore_index=True), by_capture=False)


def lab_sessions():
    """Sessions, classes and captures of the bundled captures, background left out."""
    from sktraffic.datasets import load_lab_sessions

    lab = load_lab_sessions(as_frame=False)
    kept = ~np.asarray(lab.background, dtype=bool)
    table = lab.data[kept].reset_index(drop=True)
    return table, np.asarray(lab.target, dtype=str)[kept], np.asarray(lab.groups)[kept]


def iot_sessions(folder, devices=None, captures=None, groups="capture", **options):
    """Sessions, devices and captures of the set-ups of IoT devices, kept outside the data folder.

    What a device sends to a group comes back from the access point, so it is there twice; in five
    captures of a camera that is a third of all packets. The copies stay: they are there for every
    device, and whoever watches a network like this sees them too.
    """
    from sktraffic.capture import CaptureWarning, SessionExtractor
    from sktraffic.datasets import load_captures

    root = Path(folder) / "iot_devices"
    names = sorted(path for path in root.iterdir() if path.is_dir())[:devices]
    files = [str(file) for name in names for file in sorted(name.glob("*.pcap"))[:captures]]
    extractor = SessionExtractor(on_error="warn", **{"n_bytes": 0} | options)
    with warnings.catch_warnings():
        for text in (".* of the first packets are there twice", "The same was to be said"):
            warnings.filterwarnings("ignore", text, CaptureWarning)
        table, *rest = load_captures(
            files, extractor=extractor, return_X_y=True, cache=cache() / "sessions", groups=groups
        )
    return table.reset_index(drop=True), *rest


def cache():
    """Folder of the user's for extracted sessions and trained weights: never among the data."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sktraffic" / "papers"


def from_sessions(table, y, groups):
    """Compute the nine features of Qi et al. of a session table."""
    features = SessionStatistics().set_output(transform="pandas").fit_transform(table)
    leaks = identifiers(table, {key: key for key in RAW})
    return Data(features.reset_index(drop=True), y, groups, table["start"], leaks)


def categories(data):
    """Give the stand-in the paper's five categories in place of its twelve captures."""
    return replace(data, y=np.array([STAND_IN[name] for name in data.y]))


def splits(data, seed):
    """Naive: random rows. Honest: later sessions, or captures that were not learnt from."""
    rows = np.arange(len(data.y))
    naive = train_test_split(rows, test_size=0.3, stratify=data.y, random_state=seed)
    return {"naive": naive, "honest": honest_folds(data, rows, seed)[0]}


def honest_folds(data, rows, seed, share=0.3, folds=1):
    """Cut rows in time within each capture, or by capture; pairs of row numbers of the data."""
    y, groups = data.y[rows], data.groups[rows]
    if data.by_capture:
        cut = CaptureKFold(3, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fewer captures than n_splits")
            found = list(cut.split(np.zeros((len(rows), 1)), y, groups))
    else:
        table = pd.DataFrame({"start": data.start.iloc[rows].to_numpy()})
        found = ChronologicalSplit(1, test_size=share, per_group=True).split(table, y, groups)
    return [(rows[train], rows[test]) for train, test in list(found)[:folds]]


def preparation():
    """Make what stands before every model: drop constants, tame the tails, standardise."""
    return make_pipeline(VarianceThreshold(), FunctionTransformer(np.log1p), StandardScaler())


# -- Liang et al.: first bytes of sessions ------------------------------------------------------


@functools.lru_cache(maxsize=2)
def load_heads(name, folder):
    """Read a set; ``packet_bytes`` starts with the IP header whatever the link layer is."""
    from sktraffic import datasets

    fetch = getattr(datasets, f"fetch_{HEADS[name]}")
    bunch = fetch(data_home=folder, download_if_missing=False)
    raw = pd.read_parquet(folder / HEADS[name] / "session_heads_784B.parquet", columns=["head784"])
    raw = np.frombuffer(b"".join(raw["head784"]), dtype=np.uint8).reshape(len(raw), -1)
    if len(raw) != len(bunch.target):
        raise ValueError(f"{name}: {len(raw)} heads, but {len(bunch.target)} sessions of them.")
    y = np.asarray(bunch.target, dtype=str)
    return Data(bunch.data, y, y, bunch.data["start"], raw=raw)


def subset(heads, share, seed):
    """Keep a share of each class (its shares of the whole stay), at least ten sessions."""
    rng = np.random.default_rng(seed)
    kept = [
        rng.permutation(rows)[: max(10, round(share * len(rows)))]
        for rows in (np.flatnonzero(heads.y == label) for label in np.unique(heads.y))
    ]
    return take(heads, np.sort(np.concatenate(kept)))


def take(heads, rows):
    """Return some rows of the heads."""
    X, y = heads.X.iloc[rows].reset_index(drop=True), heads.y[rows]
    return replace(heads, X=X, y=y, groups=y, start=X["start"], raw=heads.raw[rows])


def tokens(sessions, masked, settings):
    """Byte tokens from the IP header on; masked hides what identifies hosts and moments."""
    options = {} if masked else {"mask": None}
    tokenise = ByteTokens(
        settings["n_bytes"], n_packets=settings["n_packets"], start="ip", **options
    )
    return tokenise.fit_transform(sessions)


def split_heads(heads, kind, seed, test_size=0.4):
    """Training and test rows: the later part of each class, or rows drawn at random."""
    if kind == "random":
        rows = np.arange(len(heads.y))
        return train_test_split(rows, test_size=test_size, stratify=heads.y, random_state=seed)
    cut = ChronologicalSplit(1, test_size=test_size, per_group=True)
    return next(cut.split(heads.X[["start"]], heads.y, heads.y))


# -- session tables whose groups are honest: IoT runs, Android traces -----------------------------


@functools.lru_cache(maxsize=1)
def load_lab():
    """Sessions of the bundled captures, background left out."""
    table, y, captures = lab_sessions()
    leaks = identifiers(table, {key: key for key in RAW}).fillna(-1)
    return whole_groups(Data(table, y, captures, table["start"], leaks))


@functools.lru_cache(maxsize=1)
def load_iot(folder, devices, runs):
    """Sessions of the IoT devices; a run is one device set up once."""
    sessions = iot_sessions(folder, devices, runs, groups=run_name, n_bytes=256, n_dissections=0)
    table, y, runs = sessions
    start = pd.to_datetime(table["start"]).astype("int64[pyarrow]").to_numpy(np.float64) / 1e9
    leaks = identifiers(table, {key: key for key in RAW}).fillna(-1).assign(start=start)
    return whole_groups(Data(table.assign(capture=runs), y, runs, table["start"], leaks))


def run_name(path):
    """Name the run of a capture, "Aria/Setup-A-1": one device set up once."""
    path = Path(path)
    return f"{path.parent.name}/{path.stem.removesuffix('-STA')}"


@functools.lru_cache(maxsize=1)
def load_android(folder, apps, traces):
    """Flows of 34 Android apps (FG-Net's); at most `traces` of each app, drawn once and for all."""
    table = pq.read_table(Path(folder) / "android_apps_fgnet" / "d1_visible_apps.parquet")
    y, groups = (np.array(table[name].to_pylist()) for name in ("app", "trace"))
    rng, names = np.random.default_rng(0), np.unique(y)[:apps]
    drawn = [rng.permutation(np.unique(groups[y == name]))[:traces] for name in names]
    rows = np.flatnonzero(np.isin(y, names) & np.isin(groups, np.concatenate(drawn)))
    table, y, groups = table.take(rows), y[rows], groups[rows]
    leaks = pd.DataFrame({name: table[name].to_numpy() for name in ("src_port", "start")})
    X = android_sessions(table).assign(capture=groups)
    return whole_groups(Data(X, y, groups, leaks["start"], leaks.astype(np.float64)))


def android_sessions(table):
    """Make a session table of signed lengths and intervals; both are of the first 128 packets.

    The lengths reach 1448 and no more in one direction, and pure acknowledgements are left out:
    they are payload bytes, so they stand for `packet_size` as well as `packet_payload_size`. TCP
    flags are not told: none is set, which makes constant columns.
    """
    lengths = table["packet_length"].combine_chunks()
    offsets = lengths.offsets.to_numpy()
    signed = lengths.flatten().to_numpy().astype(np.int32)  # up to 65,479: no int16
    iat = table["iat"].combine_chunks().flatten().to_numpy().astype(np.float64)
    passed = np.cumsum(iat)
    first = np.repeat(passed[offsets[:-1]], np.diff(offsets))
    # sums of millions of intervals leave a rounding error around the flow's own start
    time = np.maximum(np.round(passed - first, 7), 0.0)
    words = pa.array(np.char.add("SIZE: ", signed.astype(str))).dictionary_encode()
    columns = {
        "packet_time": time,
        "packet_size": np.abs(signed),
        "packet_direction": np.sign(signed).astype(np.int8),
        "packet_payload_size": np.abs(signed),
        "packet_flags": np.zeros(len(signed), np.uint8),
        "packet_message": words,
    }
    return pd.DataFrame({name: list_column(flat, offsets) for name, flat in columns.items()})


def whole_groups(data):
    """Refuse a group of two classes: it could not be scored as a whole."""
    pairs = pd.DataFrame({"group": data.groups, "class": data.y}).drop_duplicates()
    if pairs["group"].duplicated().any():
        raise ValueError("A group holds sessions of more than one class; it needs one label.")
    return data


def split_groups(data, kind, n_splits, fold, seed):
    """Return the rows of the two sides of a fold: whole groups, or sessions at random."""
    cut = {"grouped": CaptureKFold, "random": StratifiedKFold}[kind]
    folds = cut(n_splits, shuffle=True, random_state=seed)
    groups = data.groups if kind == "grouped" else None
    return list(folds.split(np.zeros(len(data.y)), data.y, groups))[fold]
