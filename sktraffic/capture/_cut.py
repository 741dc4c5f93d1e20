"""From sessions back to their packets."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from sktraffic._files import replacing
from sktraffic.capture._errors import CaptureError
from sktraffic.capture._extractor import SessionExtractor
from sktraffic.capture._paths import STDIN
from sktraffic.capture._read import packet_tables
from sktraffic.capture._sessions import SessionReader
from sktraffic.packets import FileFacts, RecordWriter, read_packets, read_records
from sktraffic.sessions import check_sessions

__all__ = ["cut_sessions"]


def cut_sessions(sessions, path, *, extractor=None, overwrite=False):
    """Write the packets of sessions into a capture, as they stand in the captures they came from.

    Frames are equal byte for byte, in the order of their captures; times are kept to the
    nanosecond. Each capture is read twice more, in bounded memory.

    Parameters
    ----------
    sessions : DataFrame of shape (n_sessions, n_columns)
        Rows of a session table; `capture` and `session` say which packets are meant.
    path : path-like
        The file to write: pcapng where it ends in ``.pcapng``, else pcap.
    extractor : SessionExtractor, default=None
        The one that made the table, as its settings say which packets are a session; None for the
        default settings.
    overwrite : bool, default=False
        Whether to replace a file that is there.

    Returns
    -------
    int
        Packets written. Later fragments and copies count as the sessions' own settings say;
        packets behind `max_packets` are written too.

    Raises
    ------
    CaptureError
        If a capture cannot be read, or no longer holds these sessions.
    ValueError
        If there is no session, the file is there, or the captures have several link types and
        `path` is no pcapng file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.capture import SessionExtractor, cut_sessions
    >>> from sktraffic.datasets import lab_captures
    >>> extractor = SessionExtractor(n_dissections=0)
    >>> X = extractor.transform(lab_captures()[0][0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "dns.pcap")
    ...     n_packets = cut_sessions(X[X["dst_port"] == 53], path, extractor=extractor)
    ...     again = extractor.transform(path)
    >>> n_packets == X.loc[X["dst_port"] == 53, "packet_count"].sum() == again["packet_count"].sum()
    True
    """
    check_sessions(sessions, ("capture", "session"))
    if not len(sessions):
        raise ValueError("There is no session whose packets could be written.")
    path = Path(path)
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already. Pass overwrite=True to replace it.")
    extractor = SessionExtractor() if extractor is None else extractor
    settings = dataclasses.replace(
        extractor._settings(), messages=False, n_bytes=0, n_dissections=0, headers=False
    )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        writer = RecordWriter(file, pcapng=path.suffix.lower() == ".pcapng")
        for capture, rows in sessions.groupby("capture", sort=False):
            records = _records_of(capture, rows, settings, extractor.max_unpacked)
            _copy(capture, records, writer, extractor.max_unpacked)
    return writer.records


def _records_of(capture, rows, settings, max_unpacked):
    """Numbers of the records whose packets belong to these sessions, ascending; int64."""
    if capture == STDIN:
        raise CaptureError("Standard input cannot be read a second time. Save the capture first.")
    wanted = np.unique(rows["session"].to_numpy(np.int64))
    found, sessions = [], []

    def note(table, tracked):
        own = np.isin(tracked.session, wanted)
        found.append(table.record[own])
        sessions.append(tracked.session[own])

    reader = SessionReader(capture, settings, None, settings.packet_filter(), watch=note)
    packets = read_packets(
        capture,
        decode_tunnels=settings.decode_tunnels,
        join_fragments=settings.join_fragments,
        max_unpacked=max_unpacked,
    )
    with contextlib.closing(packets):
        for table in packet_tables(packets, capture):
            reader.add(table)
            if reader.builder.ready():
                reader.take()
    reader.finish()
    none = np.zeros(0, np.int64)
    _check(capture, rows, np.concatenate([none, *sessions]), settings)
    return np.sort(np.concatenate([none, *found]))


def _check(capture, rows, sessions, settings):
    """Raise unless the sessions are those of the table: there, and of so many packets."""
    numbers, counts = np.unique(sessions, return_counts=True)
    counted = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    for row in rows.to_dict("records"):
        n_packets = counted.get(row["session"], 0)
        told = row.get("packet_count", n_packets)
        if settings.max_packets is not None and told >= settings.max_packets:
            n_packets = min(n_packets, told)
        if not n_packets or n_packets != told:
            raise CaptureError(
                f"Session {row['session']} of {capture} has {n_packets} packets there but {told} "
                "in the table: the capture changed, or was read with other settings. Pass the "
                "extractor that made the table."
            )


def _copy(capture, records, writer, max_unpacked):
    """Write records of a capture, given by their numbers, ascending."""
    first = 0
    for block in read_records(capture, FileFacts(), max_unpacked=max_unpacked):
        low, high = np.searchsorted(records, [first, first + len(block)])
        if low < high:
            writer.write(block, records[low:high] - first)
        first += len(block)
