"""The laboratory captures that the package brings along, as files and as a session table."""

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.utils import Bunch

from sktraffic.capture import SessionExtractor
from sktraffic.sessions import SCHEMA, read_sessions, to_arrow

FOLDER = Path(str(resources.files("sktraffic.datasets"))) / "data" / "lab"
BACKGROUND_PORTS = (53, 123, 5353)  # DNS, NTP, mDNS: used for nothing else in these runs
DESCRIPTION = """\
Laboratory captures: real programs in network namespaces
--------------------------------------------------------

{runs} runs of twelve classes: chat, email, file transfer, peer-to-peer, streaming and calls, each
plain and through a tunnel (OpenVPN over UDP, OpenVPN over TCP, SSH), captured on the client's
outer interface; {sessions} sessions, {packets} packets. Addresses and names are synthetic, texts
and files generated. Background that any host has (DNS, NTP, mDNS, IGMP) carries the label of its
run, as in captures from the wild; `background` says which sessions that is.
Sessions of one run are not independent: split by `groups`. Late packets are cut to their headers,
their true lengths are kept. Licence of the data: CC0-1.0. See docs/datasets/laboratory.md.
"""


def lab_captures():
    """Name the bundled laboratory captures and their labels.

    Returns
    -------
    paths : list of str
        The captures, one a run, in the order of recording; ``.pcap.xz``, which `SessionExtractor`
        reads as they are.
    labels : ndarray of str of shape (n_captures,)
        Their classes: six services, plain and with ``vpn_`` in front.

    See Also
    --------
    load_lab_sessions : The same captures as a session table.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> paths, labels = lab_captures()
    >>> len(set(labels))
    12
    """
    manifest = read_manifest()
    paths = [str(FOLDER / name) for name in manifest["capture"]]
    return paths, manifest["label"].to_numpy(dtype=str)


def load_lab_sessions(*, return_X_y=False, as_frame=True):
    """Load the bundled laboratory captures as sessions.

    The table is what ``SessionExtractor().transform(lab_captures()[0])`` gives, stored so that it
    loads at once.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` rather than a Bunch.
    as_frame : bool, default=True
        Whether `target`, `groups` and `background` are Series rather than ndarrays. `data` is a
        session table in any case: its list columns fit no array.

    Returns
    -------
    Bunch or tuple
        `data` (session table of shape (n_sessions, 25)), `target` (class of each session),
        `groups` (its run: what must stay on one side of a split), `background` (True for DNS,
        NTP, mDNS and IGMP sessions), `target_names` (the classes, sorted), `feature_names`
        (columns of `data`), `frame` (`data` with the column ``target``; None unless `as_frame`),
        `manifest` (a row a run), `filename`, `DESCR`.

    Examples
    --------
    >>> from sktraffic.datasets import load_lab_sessions
    >>> lab = load_lab_sessions()
    >>> lab.data.shape[0] == lab.target.shape[0] == lab.groups.shape[0]
    True
    >>> X, y = load_lab_sessions(return_X_y=True)
    """
    filename = FOLDER / "sessions.parquet"
    manifest = read_manifest()
    X = read_sessions(filename)
    capture = X["capture"].astype(object)
    by_name = manifest.set_index("capture")
    target = capture.map(by_name["label"]).astype(object).rename("target")
    groups = capture.map(by_name["run"]).astype(object).rename("groups")
    X["capture"] = capture.map(lambda name: str(FOLDER / name)).astype(X["capture"].dtype)
    ports = X[["src_port", "dst_port"]].astype("Int64").fillna(0)
    igmp = X["protocol"].astype(int) == 2  # joins mDNS's group
    background = (ports.isin(BACKGROUND_PORTS).any(axis=1) | igmp).rename("background")
    if return_X_y:
        return X, target if as_frame else np.asarray(target, dtype=str)
    descr = DESCRIPTION.format(
        runs=len(manifest), sessions=len(X), packets=int(manifest["packets"].sum())
    )
    return Bunch(
        data=X,
        target=target if as_frame else np.asarray(target, dtype=str),
        groups=groups if as_frame else np.asarray(groups, dtype=str),
        background=background if as_frame else background.to_numpy(dtype=bool),
        target_names=np.unique(manifest["label"].to_numpy(dtype=str)),
        feature_names=list(X.columns),
        frame=X.assign(target=target) if as_frame else None,
        manifest=manifest,
        filename=str(filename),
        DESCR=descr,
    )


def read_manifest():
    """Read the manifest: a row a run, in the order of recording."""
    return pd.read_csv(FOLDER / "manifest.csv", keep_default_na=False)


def extract():
    """Extract the captures anew; `capture` is the file name, so that it holds anywhere."""
    paths, _ = lab_captures()
    X = SessionExtractor().transform(paths)
    names = X["capture"].astype(object).map(lambda path: Path(path).name)
    X["capture"] = names.astype(X["capture"].dtype)
    return X


def build():
    """Write the stored session table; run after the captures have changed.

    Floating-point times are split into byte streams before compression: a third smaller.
    """
    table = to_arrow(extract())
    leaves = [_leaf(field) for field in SCHEMA]
    times = [leaf for leaf in leaves if leaf.startswith("packet_time")]
    pq.write_table(
        table,
        FOLDER / "sessions.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=[leaf for leaf in leaves if leaf not in times],
        use_byte_stream_split=times,
    )
    return table.num_rows


def _leaf(field):
    return (
        f"{field.name}.list.element"
        if field.name.startswith("packet_") and hasattr(field.type, "value_type")
        else field.name
    )
