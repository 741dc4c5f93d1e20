"""ISCX VPN-nonVPN 2016 as published flow tables: features that others computed."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.datasets._iscx import MARKERS, REGISTER, service_of
from sktraffic.datasets._public import Source, known_files, make_bunch

FOLDER = "cicflow_per_capture"
NOTICE = (
    "CICFlowMeter tables of ISCX VPN-nonVPN 2016 "
    "(github.com/Jonathan-RCN/BOERGER-CSI4900-VPN-Detection, MIT; the captures: UNB data terms)."
)
# of CICFlowMeter's 84 columns, those that say which session a row is
IDENTITY = {
    "Src IP": "src_ip",
    "Dst IP": "dst_ip",
    "Src Port": "src_port",
    "Dst Port": "dst_port",
}
NO_FEATURES = (*IDENTITY, "Flow ID", "Timestamp", "Label")
# the tables' clock is a local one; five-tuples found in the captures are four hours later in UTC
BEHIND_UTC = pd.Timedelta(hours=4)
ABOUT = """\
ISCX VPN-nonVPN 2016: flow tables
---------------------------------

{what}

Licence: {licence}
Cite: G. Draper-Gil, A. H. Lashkari, M. S. I. Mamun, A. A. Ghorbani, "Characterization of Encrypted
and VPN Traffic Using Time-related Features", ICISSP 2016, doi 10.5220/0005740704070414.
See docs/datasets/public.md.
"""
CICFLOW_ABOUT = """\
{rows} biflows of {captures} captures, {columns} features of CICFlowMeter; times in microseconds.
`target` is the capture's {target}, `groups` the capture. Addresses, ports and time are in
`identity`, since they give the label away.
Traps: sessions of one capture are not independent; background (DNS, LLMNR, broadcasts) carries its
capture's label; email1a was saved by a spreadsheet, with nine digits; sessions are cut at 120 s;
Active and Idle columns of some rows hold absolute times, which give the capture away; two flows of
no duration have infinite or missing rates."""
ARFF_ABOUT = """\
{rows} flows, {columns} time-based features of ISCXFlowMeter, flow timeout {window} s, scenario
{scenario}. Times in microseconds; -1 where there is nothing to measure.
Traps: the tables name neither capture nor host, so `groups` is None: only a random split is
possible, and flows of one capture are on both sides of it. Scores are optimistic."""


def fetch_iscx_vpn2016_flows(
    *,
    data_home=None,
    tables="cicflow",
    captures=None,
    target="service",
    window=15,
    download_if_missing=True,
    return_X_y=False,
    base_url=None,
    verbose=True,
    progress=None,
):
    r"""Load flow tables of ISCX VPN-nonVPN 2016.

    =============  ==========  =========  ==================================================
    `tables`       Flows       Classes    Where from
    =============  ==========  =========  ==================================================
    "cicflow"      36,130      13 or 80   downloaded: 80 files, 18.0 MB, MIT
    "a1"           18,758      2          your copy, after registering: VPN or not
    "a2"           18,758      14         your copy, after registering: services, VPN or not
    =============  ==========  =========  ==================================================

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of data sets with a folder ``iscx_vpn2016`` in it, or that folder itself; None as in
        :func:`get_data_home`. If the files are there, the network is not touched.
    tables : {"cicflow", "a1", "a2"}, default="cicflow"
        CICFlowMeter's table of each capture, or the time-based features of the authors' scenario
        A1 or A2 (ARFF files in a folder with ``a1`` or ``a2`` in its name).
    captures : sequence of str, default=None
        "cicflow" only: names of captures, ``"vpn_icq_chat1a"`` say; None for all 80.
    target : {"service", "capture"}, default="service"
        "cicflow" only: what `target` says. Services are the twelve of :func:`fetch_iscx_vpn2016`
        and ``Tor``.
    window : {15, 30, 60, 120}, default=15
        "a1" and "a2" only: flow timeout in seconds.
    download_if_missing : bool, default=True
        If False, raise OSError instead of downloading.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` rather than a Bunch.
    base_url : str, default=None
        A mirror, in place of ``https://raw.githubusercontent.com``.
    verbose : bool, default=True
        Whether to print licence, size and destination before a download.
    progress : bool, default=None
        Whether to show a progress bar; None where standard error is a terminal.

    Returns
    -------
    Bunch or tuple
        `data` (features, DataFrame of shape (n_flows, 77 or 23)), `target`, `groups` (the capture;
        None for "a1" and "a2"), `target_names`, `feature_names`, `frame`, `DESCR`, `filenames`, and
        for "cicflow" `identity` (DataFrame: capture, start, addresses, ports).

    Raises
    ------
    OSError
        If the files are not there and cannot be, or may not be, downloaded.
    ValueError
        If a parameter is none of its values, or a capture is not known.

    See Also
    --------
    fetch_iscx_vpn2016 : The same captures as sessions.

    Examples
    --------
    >>> from sktraffic.datasets import fetch_iscx_vpn2016_flows
    >>> flows = fetch_iscx_vpn2016_flows(captures=["vpn_icq_chat1a"])  # doctest: +SKIP
    >>> flows.data.shape  # doctest: +SKIP
    (69, 77)

    A copy that one has is read without the network:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> table = "@ATTRIBUTE duration NUMERIC\n@ATTRIBUTE class1 {Non-VPN,VPN}\n@DATA\n31,VPN"
    >>> with TemporaryDirectory() as home:
    ...     folder = Path(home, "iscx_vpn2016", "arff", "scenario_a1")
    ...     folder.mkdir(parents=True)
    ...     _ = Path(folder, "TimeBasedFeatures-Dataset-15s-VPN.arff").write_text(table)
    ...     X, y = fetch_iscx_vpn2016_flows(data_home=home, tables="a1", return_X_y=True)
    >>> X["duration"].tolist(), y.tolist()
    ([31], ['VPN'])
    """
    source = Source(
        "iscx_vpn2016", data_home, MARKERS, NOTICE, download_if_missing, base_url, verbose, progress
    )
    if tables in ("a1", "a2"):
        return _arff(source, tables, window, return_X_y)
    if tables != "cicflow":
        raise ValueError(f"tables is {tables!r}; it must be 'cicflow', 'a1' or 'a2'.")
    if target not in ("service", "capture"):
        raise ValueError(f"target is {target!r}; it must be 'service' or 'capture'.")
    return _cicflow(source, captures, target, return_X_y)


def _cicflow(source, captures, target, return_X_y):
    remotes = {Path(remote.path).stem: remote for remote in known_files("iscx_vpn2016_flows")}
    names = sorted(remotes) if captures is None else list(captures)
    unknown = [name for name in names if name not in remotes]
    if unknown or not names:
        raise ValueError(
            f"There is no table of {', '.join(unknown) or 'no capture'}. There are those of "
            f"{', '.join(sorted(remotes))}."
        )
    files = source.fetch([remotes[name] for name in names])
    frame = pd.concat([_read_cicflow(path) for path in files], ignore_index=True)
    identity = frame[["capture", "start", *IDENTITY.values()]]
    data = frame.drop(columns=identity.columns)
    groups = frame["capture"].to_numpy(dtype=str)
    y = groups if target == "capture" else np.asarray([service_of(name) for name in groups])
    what = CICFLOW_ABOUT.format(
        rows=len(data), captures=len(files), columns=data.shape[1], target=target
    )
    licence = "MIT (the tables, by Jonathan Boerger); the captures: UNB data terms."
    bunch = make_bunch(data, y, groups, ABOUT.format(what=what, licence=licence), files, return_X_y)
    if not return_X_y:
        bunch.identity = identity
        bunch.frame = frame.assign(target=bunch.target)
    return bunch


def _read_cicflow(path):
    """Read one table: features as they are, identity under the names of session tables."""
    raw = pd.read_csv(path)
    missing = [name for name in NO_FEATURES if name not in raw.columns]
    if missing:
        raise ValueError(f"{path} is no table of CICFlowMeter: it lacks {', '.join(missing)}.")
    stamp = raw["Timestamp"].str.replace("a.m.", "AM").str.replace("p.m.", "PM")
    start = pd.to_datetime(stamp, format="%d/%m/%Y %I:%M:%S %p", utc=True) + BEHIND_UTC
    table = pd.DataFrame({"capture": path.stem, "start": start, **raw[list(IDENTITY)]})
    features = raw.drop(columns=list(NO_FEATURES)).astype(np.float64)
    return pd.concat([table.rename(columns=IDENTITY), features], axis=1)


def _arff(source, scenario, window, return_X_y):
    if window not in (15, 30, 60, 120):
        raise ValueError(f"window is {window!r}; it must be 15, 30, 60 or 120 seconds.")
    folder = source.folder
    files = [
        path
        for path in sorted(folder.rglob("*.arff"))
        if re.search(rf"{scenario}\b", str(path.parent.relative_to(folder)).lower())
        and f"-{window}s" in path.name
    ]
    wanted = {"a1": 1, "a2": 2}[scenario]
    if len(files) != wanted:
        raise OSError(
            f"{wanted} ARFF file(s) of scenario {scenario.upper()} and flow timeout {window} s are "
            f"wanted, {len(files)} found in {folder}. The set can be had after registering only: "
            f"fill in the form at {REGISTER}, and unpack the ARFF files into "
            f"{folder / 'arff' / f'scenario_{scenario}'}; or name another folder with data_home."
        )
    table = pd.concat([read_arff(path) for path in files], ignore_index=True)
    data, y = table.iloc[:, :-1], table.iloc[:, -1]
    what = ARFF_ABOUT.format(
        rows=len(data), columns=data.shape[1], window=window, scenario=scenario.upper()
    )
    licence = f"data terms of the University of New Brunswick, {REGISTER}."
    return make_bunch(data, y, None, ABOUT.format(what=what, licence=licence), files, return_X_y)


def read_arff(path):
    """Read an ARFF file of numbers and, last, a class; commas behind the end of lines are left out.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    DataFrame of shape (n_rows, n_attributes)

    Raises
    ------
    ValueError
        If the file has no attributes or no data.
    """
    names, lines = [], 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            lines += 1
            words = line.strip().rstrip(",").split(None, 2)
            if not words:
                continue
            if words[0].lower() == "@attribute":
                names.append(words[1].strip("'\""))
            if words[0].lower() == "@data":
                break
        else:
            names = []
    if not names:
        raise ValueError(f"{path} is no ARFF file: it has no @ATTRIBUTE or no @DATA line.")
    return pd.read_csv(
        path, skiprows=lines, header=None, names=names, usecols=range(len(names)), na_values="?",
        index_col=False,
    )  # fmt: skip
