"""ISCX VPN-nonVPN 2016: six services, plain and through a VPN, as sessions."""

import re
import shutil
import zipfile
from pathlib import Path

from sktraffic.capture import capture_stem
from sktraffic.datasets._captures import load_captures
from sktraffic.datasets._public import (
    HEAD_FILE,
    Source,
    heads_bunch,
    make_bunch,
    original_captures,
)

SERVICES = ("Chat", "Email", "File", "P2p", "Streaming", "Voip")
CLASSES = SERVICES + tuple(f"Vpn_{name}" for name in SERVICES)
# by the captures' names; the first that fits
KINDS = (
    ("Tor", r"tor(?!rent)"),
    ("P2p", r"torrent|bittorrent|p2p"),
    ("Chat", r"chat"),
    ("Voip", r"audio|video|voip"),
    ("File", r"file|ftps?|scp"),
    ("Email", r"e?mail"),
    ("Streaming", r"netflix|spotify|vimeo|youtube"),
)
SUFFIXES = (".pcap", ".pcapng")
MARKERS = (
    HEAD_FILE,
    "*.pcap",
    "*.pcapng",
    "*class",
    "*PCAP*.zip",
    "arff",
    "*ARFF*",
    "cicflow_per_capture",
)
REGISTER = "https://www.unb.ca/cic/datasets/vpn.html"
ABOUT = """\
ISCX VPN-nonVPN 2016
--------------------

{what}

Traps: the link type gives the label away (plain captures are Ethernet, those of a VPN almost all
raw IP), and so do addresses, ports and absolute times; `packet_bytes` and `packet_size` start at
the IP header. Labels are those of the captures, background included: most Chat sessions are LLMNR,
most of Vpn_Chat and Vpn_Voip DNS.

Licence: data terms of the University of New Brunswick; original captures after a form at
https://www.unb.ca/cic/datasets/vpn.html.
Cite: G. Draper-Gil, A. H. Lashkari, M. S. I. Mamun, A. A. Ghorbani, "Characterization of Encrypted
and VPN Traffic Using Time-related Features", ICISSP 2016, doi 10.5220/0005740704070414.
See docs/datasets/public.md.
"""
HEADS_ABOUT = """\
{sessions} sessions of {classes} classes, the first 784 bytes of each session's capture, as in
https://github.com/echowei/DeepTraffic. Good for first packets and bytes; duration, volume and
packet counts are those of the head alone. The heads name no capture: `groups` are {groups}
stretches of time of a class without a silence of more than {gap:g} s. Captures made one after the
other share a group; that keeps a capture whole."""
CAPTURES_ABOUT = """\
The original captures, read as sessions, each labelled with its capture's service; `groups` are the
captures. Video calls count as Voip and chats of Google Mail as Chat; the session heads hold none of
either. Captures of Tor, which belong to no service, are left out."""


def fetch_iscx_vpn2016(
    *,
    data_home=None,
    subset="heads",
    download_if_missing=True,
    return_X_y=False,
    gap=1800.0,
    extractor=None,
    cache=None,
):
    """Load ISCX VPN-nonVPN 2016: sessions of six services, plain and through a VPN.

    ==============  =======================================================
    Classes         12
    Sessions        19,837 heads (at most 2,500 a class)
    Licence         data terms of the University of New Brunswick
    Download        none: reads your copy, which you get by registering
    ==============  =======================================================

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of data sets with a folder ``iscx_vpn2016`` in it, or that folder itself; None as in
        :func:`get_data_home`. The network is never touched.
    subset : {"heads", "captures"}, default="heads"
        "heads" are the first 784 bytes of each session's capture: ``session_heads_784B.parquet``,
        or idx files below ``12class`` (or ``6class``). "captures" are the original pcap and pcapng
        files, in any subfolders, or the zip files that they come in, which are unpacked beside
        them once.
    download_if_missing : bool, default=True
        Nothing can be downloaded without registering, so that missing files are an error in any
        case; for likeness with other fetchers.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` rather than a Bunch.
    gap : float, default=1800.0
        Heads only: seconds without a new session of its class that end a recording.
    extractor : SessionExtractor, default=None
        Captures only: how they are read.
    cache : path-like, default=None
        Captures only: folder for the extracted sessions, as in :func:`load_captures`; advisable,
        as the originals are tens of GB.

    Returns
    -------
    Bunch or tuple
        As :func:`fetch_ustc_tfc2016` returns; classes are ``Chat``, ``Email``, ``File``, ``P2p``,
        ``Streaming``, ``Voip`` and the same with ``Vpn_`` in front.

    Raises
    ------
    OSError
        If the files are not there; says where to register and where to put them.
    ValueError
        If files are not what they should be.

    See Also
    --------
    fetch_iscx_vpn2016_flows : Published flow tables of the same captures.
    load_lab_sessions : Captures of the same twelve classes that come with the package.

    Examples
    --------
    >>> from sktraffic.datasets import fetch_iscx_vpn2016
    >>> iscx = fetch_iscx_vpn2016(data_home="~/traffic")  # doctest: +SKIP
    >>> iscx.data.shape, len(iscx.target_names)  # doctest: +SKIP
    ((19837, 25), 12)

    Without the files, the error says where to get them and where to put them:

    >>> try:
    ...     fetch_iscx_vpn2016(data_home="nowhere")
    ... except OSError as error:
    ...     print(error)  # doctest: +ELLIPSIS
    There are no session heads of ISCX VPN-nonVPN 2016 in nowhere...
    """
    source = Source("iscx_vpn2016", data_home, MARKERS)
    if subset == "heads":
        descr = ABOUT.format(what=HEADS_ABOUT)
        found = heads_bunch(source, CLASSES, _names, descr, gap, return_X_y)
        if found is None:
            raise OSError(_remedy(source, "session heads", f"{HEAD_FILE}, or idx files"))
        return found
    if subset != "captures":
        raise ValueError(f"subset is {subset!r}; it must be 'heads' or 'captures'.")
    unpack(source.folder)
    captures = [str(path) for path in original_captures(source.folder)]
    labels = {path: service_of(path) for path in captures}
    labels = {path: label for path, label in labels.items() if label in CLASSES}
    if not labels:
        raise OSError(_remedy(source, "captures", "the pcap and pcapng files, or the zip files"))
    loaded = load_captures(list(labels), labels, extractor=extractor, cache=cache)
    descr = ABOUT.format(what=CAPTURES_ABOUT)
    return make_bunch(loaded.data, loaded.target, loaded.groups, descr, list(labels), return_X_y)


def service_of(capture):
    """Tell the service that a capture of ISCX VPN-nonVPN holds by its name.

    Parameters
    ----------
    capture : str
        Path or name, with or without extensions.

    Returns
    -------
    str or None
        One of twelve, ``Chat`` or ``Vpn_Chat`` say; ``Tor`` for captures of Tor; None for a name
        that says nothing.

    Examples
    --------
    >>> from sktraffic.datasets._iscx import service_of
    >>> [service_of(name) for name in ("vpn_icq_chat1a.pcap", "scpUp3", "Torrent01.pcap")]
    ['Vpn_Chat', 'File', 'P2p']
    """
    name = capture_stem(str(capture)).lower()
    prefix = "Vpn_" if name.startswith("vpn_") else ""
    plain = name.removeprefix("vpn_")
    for kind, pattern in KINDS:
        if re.match(pattern, plain) if kind == "Tor" else re.search(pattern, plain):
            return kind if kind == "Tor" else prefix + kind
    return None


def unpack(folder):
    """Unpack the captures in a folder's zip files beside these, each file whole or not at all.

    A capture that lies unpacked anywhere in the folder already, by name and size, is left out;
    folders within a zip file do not count.
    """
    there = {(path.name, path.stat().st_size) for path in original_captures(folder)}
    for archive in sorted(Path(folder).glob("*.zip")):
        target = archive.with_suffix("")
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                name = Path(member.filename).name
                if not name.lower().endswith(SUFFIXES) or (name, member.file_size) in there:
                    continue
                target.mkdir(exist_ok=True)
                part = target / f".{name}.part"
                with content.open(member) as packed, open(part, "wb") as plain:
                    shutil.copyfileobj(packed, plain)
                part.replace(target / name)


def _names(path):
    """Classes of an idx file's labels, by the folders that it is in."""
    _, six, below = path.rpartition("6class")
    if not six:
        return CLASSES
    plain = re.search(r"no[n_-]?vpn", below.lower())
    return CLASSES[:6] if plain else CLASSES[6:]


def _remedy(source, what, files):
    return (
        f"There are no {what} of ISCX VPN-nonVPN 2016 in {source.folder}. The set can be had after "
        f"registering only: fill in the form at {REGISTER}, and put {files}, in any "
        f"subfolders, into {source.folder}; or name the folder that has them with data_home."
    )
