"""The sessions of Qi et al.: a stand-in for their captures, IoT devices, bundled captures."""

import ipaddress
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktraffic.feature_extraction import SessionStatistics
from sktraffic.model_selection import CaptureKFold, ChronologicalSplit

# Nine large captures and three sparse ones, as in the paper; its ninth class is among them.
STAND_IN = {
    "scp1": "file transfer",
    "vpn_hangouts_audio1": "audio and video",
    "skype_chat1a": "chat",
    "email1a": "e-mail",
    "hangouts_video2a": "audio and video",
    "vpn_skype_audio1": "audio and video",
    "Torrent01": "P2P",
    "ftps_down_1a": "file transfer",
    "vpn_icq_chat1a": "chat",
    "vpn_bittorrent": "P2P",
    "vpn_skype_chat1a": "chat",
    "vpn_aim_chat1a": "chat",
}
SPARSE = "vpn_icq_chat1a"
# Seven of the paper's nine features with the first three of `load_stand_in`, and two more maxima;
# the tables hold no packets to take the two entropies of.
COLUMNS = {
    "packet_size_mean": "Pkt Len Mean",
    "packet_size_std": "Pkt Len Std",
    "packet_size_max": "Pkt Len Max",
    "iat_mean": "Flow IAT Mean",
    "iat_std": "Flow IAT Std",
    "iat_max": "Flow IAT Max",
}
EXTRA = ("packet_size_max", "iat_max")
NAMES = {
    "stand-in": "ISCX stand-in",
    "bundled": "bundled captures",
    "iot": "IoT devices",
}


def in_order(rows, *more):
    """Sort result rows: sets as in `NAMES`, then by the columns given."""
    keys = {"data": rows["data"].map(list(NAMES).index)} | {name: rows[name] for name in more}
    return rows.loc[pd.DataFrame(keys).sort_values(list(keys), kind="stable").index]


@dataclass
class Data:
    """A feature table with what the splits need."""

    name: str
    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray
    start: pd.Series
    sparse: str
    honest: str  # "capture" or "chronological"
    identifiers: pd.DataFrame  # what leaks: addresses, ports, protocol

    def columns(self, which):
        """Return the features alone ("masked"), or with the identifiers ("unmasked")."""
        if which == "masked":
            return self.X
        return pd.concat([self.X, self.identifiers], axis=1)


def identifiers(table, names):
    """Ports, protocol and the four last bytes of both addresses as numbers."""
    out = {
        "src_port": table[names["src_port"]],
        "dst_port": table[names["dst_port"]],
        "protocol": table[names["protocol"]],
    }
    for side in ("src", "dst"):
        address = table[names[f"{side}_ip"]].astype(str)
        packed = {text: ipaddress.ip_address(text).packed[-4:] for text in address.unique()}
        for place in range(4):
            out[f"{side}_ip_{place}"] = address.map({k: v[place] for k, v in packed.items()})
    return pd.DataFrame(out).astype(np.float64).reset_index(drop=True)


RAW = {"src_ip": "Src IP", "dst_ip": "Dst IP", "src_port": "Src Port", "dst_port": "Dst Port"}
RAW |= {"protocol": "Protocol"}


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
        table["label"] = name
        tables.append(table)
        leaks.append(identifiers(raw, RAW))
    table = pd.concat(tables, ignore_index=True)
    y = table.pop("label").to_numpy(dtype=str)
    start = table.pop("start")
    leaks = pd.concat(leaks, ignore_index=True)
    return Data("ISCX stand-in", table, y, y, start, SPARSE, "chronological", leaks)


def load_bundled():
    """Take the nine features of the captures that come with the package, background left out."""
    from sktraffic.datasets import load_lab_sessions

    lab = load_lab_sessions(as_frame=False)
    kept = ~np.asarray(lab.background, dtype=bool)
    table = lab.data[kept].reset_index(drop=True)
    y = np.asarray(lab.target, dtype=str)[kept]
    return from_sessions("bundled captures", table, y, np.asarray(lab.groups)[kept])


def load_iot(folder, devices=None, captures=None):
    """Nine features of the IoT devices' sessions; a class a device, split by capture."""
    table, y, groups = iot_sessions(folder, devices, captures)
    return from_sessions("IoT devices", table.reset_index(drop=True), y, groups)


def iot_sessions(folder, devices=None, captures=None):
    """Session table, labels and captures of the devices' set-ups, kept outside the data folder."""
    from paper_tables.iot import load_iot
    from sktraffic.capture import SessionExtractor

    root = Path(folder) / "iot_devices"
    names = sorted(path for path in root.iterdir() if path.is_dir())[:devices]
    files = [file for name in names for file in sorted(name.glob("*.pcap"))[:captures]]
    extractor = SessionExtractor(n_bytes=0, on_error="warn")
    return load_iot([str(file) for file in files], extractor, cache=cache())


def cache():
    """Folder of the user's for extracted sessions."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sktraffic" / "paper_tables"


def from_sessions(name, table, y, groups):
    """Compute the paper's nine features of a session table."""
    features = SessionStatistics().set_output(transform="pandas").fit_transform(table)
    labels, counts = np.unique(y, return_counts=True)
    sparse = str(labels[np.argmin(counts)])
    plain = {key: key for key in RAW}
    leaks = identifiers(table, plain)
    features = features.reset_index(drop=True)
    return Data(name, features, y, groups, table["start"], sparse, "capture", leaks)


def load(name, settings, folder, seed=0):
    """Load one of the three sets by its key in `NAMES`."""
    if name == "stand-in":
        tables = Path(folder) / "iscx_vpn2016" / "cicflow_per_capture"
        return load_stand_in(tables, settings["cap"], seed)
    if name == "bundled":
        return load_bundled()
    return load_iot(folder, settings.get("devices"), settings.get("captures"))


def categories(data):
    """Give the stand-in the paper's five categories in place of its twelve captures."""
    y = np.array([STAND_IN[name] for name in data.y])
    return Data(data.name, data.X, y, data.y, data.start, "chat", data.honest, data.identifiers)


def splits(data, seed):
    """Naive: random rows. Honest: later sessions, or captures that were not learnt from."""
    rows = np.arange(len(data.y))
    naive = train_test_split(rows, test_size=0.3, stratify=data.y, random_state=seed)
    return {"naive": naive, "honest": honest_folds(data, rows, seed)[0]}


def honest_folds(data, rows, seed, share=0.3, folds=1):
    """Cut rows in time within each capture, or by capture; pairs of row numbers of the data."""
    y, groups = data.y[rows], data.groups[rows]
    if data.honest == "chronological":
        cut = ChronologicalSplit(1, test_size=share, per_group=True)
        table = pd.DataFrame({"start": data.start.iloc[rows].to_numpy()})
        found = cut.split(table, y, groups)
    else:
        cut = CaptureKFold(3, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fewer captures than n_splits")
            found = list(cut.split(np.zeros((len(rows), 1)), y, groups))
    return [(rows[train], rows[test]) for train, test in list(found)[:folds]]


def preparation():
    """Make what stands before every model: drop constants, tame the tails, standardise."""
    return make_pipeline(VarianceThreshold(), FunctionTransformer(np.log1p), StandardScaler())
