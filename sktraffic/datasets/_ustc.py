"""USTC-TFC2016: ten applications and ten kinds of malware."""

import re

from sktraffic.capture import capture_stem
from sktraffic.datasets._captures import load_captures
from sktraffic.datasets._download import Remote
from sktraffic.datasets._public import (
    HEAD_FILE,
    Source,
    heads_bunch,
    known_files,
    make_bunch,
    original_captures,
)

BENIGN = (
    "BitTorrent", "Facetime", "FTP", "Gmail", "MySQL",
    "Outlook", "Skype", "SMB", "Weibo", "WorldOfWarcraft",
)  # fmt: skip
MALWARE = (
    "Cridex", "Geodo", "Htbot", "Miuref", "Neris",
    "Nsis-ay", "Shifu", "Tinba", "Virut", "Zeus",
)  # fmt: skip
CLASSES = BENIGN + MALWARE
MARKERS = (HEAD_FILE, "*.pcap", "raw", "Benign", "Malware", "*class")
ORIGIN = (
    "echowei/DeepTraffic/35082a279e57ff9d8621d6b16c5e4d4c2f97cffe/"
    "1.malware_traffic_classification/3.PreprocessedResults/"
)
HEADS = tuple(
    f"10class/{part}/SessionAllLayers/t10k-{kind}-ubyte.gz"
    for part in ("Benign", "Malware")
    for kind in ("images-idx3", "labels-idx1")
)
NOTICE = "USTC-TFC2016 (github.com/echowei/DeepTraffic, Mozilla Public License 2.0)."
ABOUT = """\
USTC-TFC2016
------------

{what}

Traps: most malware classes have one to three source addresses, and addresses, ports and absolute
times give the label away; Tinba is all DNS. Sessions of one recording resemble each other.

Licence: Mozilla Public License 2.0. Origin: https://github.com/echowei/DeepTraffic; the raw
captures of all classes: https://github.com/yungshenglu/USTC-TFC2016.
Cite: W. Wang, M. Zhu, X. Zeng, X. Ye, Y. Sheng, "Malware Traffic Classification Using Convolutional
Neural Network for Representation Learning", ICOIN 2017, doi 10.1109/ICOIN.2017.7899588.
See docs/datasets/public.md.
"""
HEADS_ABOUT = """\
{sessions} sessions of {classes} classes, the first 784 bytes of each session's capture. Good for
first packets and bytes; duration, volume and packet counts are those of the head alone. The heads
name no capture: `groups` are {groups} stretches of time of a class without a silence of more than
{gap:g} s. Where that is one stretch a class (the ten applications, mostly), it cannot stand on both
sides of a split by groups: split such classes in time."""
CAPTURES_ABOUT = """\
Raw captures with full payload, read as sessions; `groups` are the captures. A class of one capture
cannot stand on both sides of a split by groups: split such classes in time."""


def fetch_ustc_tfc2016(
    *,
    data_home=None,
    subset="heads",
    download_if_missing=True,
    return_X_y=False,
    gap=1800.0,
    sha256=None,
    extractor=None,
    cache=None,
    base_url=None,
    verbose=True,
    progress=None,
):
    """Load USTC-TFC2016: sessions of ten applications and ten kinds of malware.

    ==============  =======================================================
    Classes         20
    Sessions        8,653 heads (the test part of the published files)
    Licence         Mozilla Public License 2.0
    Download        5.2 MB (two raw captures); heads see `sha256`
    ==============  =======================================================

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of data sets with a folder ``ustc_tfc2016`` in it, or that folder itself; None as in
        :func:`get_data_home`. If the files are there, the network is not touched.
    subset : {"heads", "captures"}, default="heads"
        "heads" are the first 784 bytes of each session's capture: ``session_heads_784B.parquet``,
        or the published idx files below ``20class`` or ``10class``. "captures" are raw captures,
        labelled by their names, whichever of the 20 classes lie there; if none does, Facetime and
        Tinba are downloaded.
    download_if_missing : bool, default=True
        If False, raise OSError instead of downloading.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` rather than a Bunch.
    gap : float, default=1800.0
        Heads only: seconds without a new session of its class that end a recording.
    sha256 : dict of str to str, default=None
        Heads only: checksums (hexadecimal) that you have of the four published idx files, by their
        names below ``3.PreprocessedResults``. This package does not know them, and downloads
        nothing that it cannot check.
    extractor : SessionExtractor, default=None
        Captures only: how they are read.
    cache : path-like, default=None
        Captures only: folder for the extracted sessions, as in :func:`load_captures`.
    base_url : str, default=None
        A mirror, in place of ``https://raw.githubusercontent.com``.
    verbose : bool, default=True
        Whether to print licence, size and destination before a download.
    progress : bool, default=None
        Whether to show a progress bar; None where standard error is a terminal.

    Returns
    -------
    Bunch or tuple
        `data` (session table of shape (n_sessions, 25)), `target` (class of each session), `groups`
        (what must stay on one side of a split: recordings, or captures), `target_names`,
        `feature_names`, `frame` (`data` with the column ``target``), `DESCR`, `filenames`; of heads
        also `left_out`, the number of heads that are no IP session.

    Raises
    ------
    OSError
        If the files are not there and cannot be, or may not be, downloaded.
    ValueError
        If files are not what they should be.

    See Also
    --------
    fetch_iscx_vpn2016 : Six services, plain and through a VPN.

    Notes
    -----
    A head's last packet may be cut: its size is right, its bytes end early, and its direction is 0
    where its addresses are cut off.

    Examples
    --------
    >>> from sktraffic.datasets import fetch_ustc_tfc2016
    >>> ustc = fetch_ustc_tfc2016(data_home="~/traffic")  # doctest: +SKIP
    >>> ustc.data.shape, len(ustc.target_names)  # doctest: +SKIP
    ((8653, 25), 20)

    Without the files, the error says where to get them and where to put them:

    >>> try:
    ...     fetch_ustc_tfc2016(data_home="nowhere")
    ... except OSError as error:
    ...     print(error)  # doctest: +ELLIPSIS
    There are no session heads of USTC-TFC2016 in nowhere...
    """
    source = Source(
        "ustc_tfc2016", data_home, MARKERS, NOTICE, download_if_missing, base_url, verbose, progress
    )
    if subset == "heads":
        return _heads(source, sha256, gap, return_X_y)
    if subset != "captures":
        raise ValueError(f"subset is {subset!r}; it must be 'heads' or 'captures'.")
    files = {path: _class_of(path) for path in original_captures(source.folder)}
    files = {str(path): name for path, name in files.items() if name}
    if not files:
        paths = source.fetch(known_files(source.name))
        files = {str(path): _class_of(path) for path in paths}
    loaded = load_captures(list(files), files, extractor=extractor, cache=cache)
    return make_bunch(
        loaded.data,
        loaded.target,
        loaded.groups,
        ABOUT.format(what=CAPTURES_ABOUT),
        list(files),
        return_X_y,
    )


def _heads(source, sha256, gap, return_X_y):
    descr = ABOUT.format(what=HEADS_ABOUT)
    found = heads_bunch(source, CLASSES, _names, descr, gap, return_X_y)
    if found is not None:
        return found
    if not sha256:
        raise OSError(
            f"There are no session heads of USTC-TFC2016 in {source.folder}, and this package "
            "knows no checksum of the published files to download them by. Copy the folder "
            "1.malware_traffic_classification/3.PreprocessedResults/10class (or 20class) of "
            f"https://github.com/echowei/DeepTraffic to {source.folder}; or pass sha256={{name: "
            f"checksum}} for {', '.join(HEADS)}; or name the folder that has {HEAD_FILE} with "
            "data_home."
        )
    unknown = [name for name in HEADS if name not in sha256]
    if unknown:
        raise ValueError(f"sha256 lacks {', '.join(unknown)}; it has {', '.join(sha256)}.")
    source.fetch([Remote(name, ORIGIN + name, sha256[name].lower(), 0) for name in HEADS])
    return heads_bunch(source, CLASSES, _names, descr, gap, return_X_y)


def _names(path):
    """Classes of an idx file's labels, by the folders that it is in."""
    _, ten, below = path.rpartition("10class")
    if not ten:
        return CLASSES
    return MALWARE if "Malware" in below else BENIGN


def _class_of(path):
    """Class of a raw capture by its name, ``SMB-1.pcap`` say; None if it is of no class."""
    name = re.sub(r"[-_]\d+$", "", capture_stem(str(path)))
    return next((known for known in CLASSES if known.lower() == name.lower()), None)
