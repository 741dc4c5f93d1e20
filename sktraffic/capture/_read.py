"""One capture to Arrow tables of its sessions, and a report of what happened on the way."""

import contextlib
import os
import stat
import time

from sktraffic._limits import TooLargeError
from sktraffic.capture._errors import CaptureError
from sktraffic.capture._report import LOST, REPORT_COLUMNS, account, check
from sktraffic.capture._sessions import SessionReader
from sktraffic.packets import read_packets

__all__ = ["capture_name", "packet_tables", "read_capture"]


def capture_name(path):
    """Return what the column `capture` says of a path; bytes that are no UTF-8 are written out.

    Examples
    --------
    >>> from sktraffic.capture import capture_name
    >>> capture_name("captures/chat.pcap")
    'captures/chat.pcap'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_capture(
    path, settings, report, labels=None, packet_filter=None, put=None, max_unpacked=None
):
    """Read a capture.

    Parameters
    ----------
    path : str
    settings : Settings
    report : dict
        Filled with `REPORT_COLUMNS`; complete when the iterator is exhausted.
    labels : CaptureLabels or FlowLabels, optional
        Given the packets that nDPI is to see; the tables come without labels.
    packet_filter : PacketFilter, optional
        The settings' own, compiled.
    put : callable, optional
        As for `SessionReader`. None is yielded then when the capture's packets wait, and messages
        must be read before the next table is asked for.
    max_unpacked : int, optional
        As for `read_packets`.

    Yields
    ------
    pyarrow.Table
        Rows of the session table (`sessions.SCHEMA`), sessions that have ended by then.

    Raises
    ------
    CaptureError
        If the file is no capture, holds no IP packet, or unpacks to more than it may.
    """
    began = time.perf_counter()
    name = capture_name(path)
    report.update(dict.fromkeys(REPORT_COLUMNS), capture=name)
    reader = SessionReader(name, settings, labels, packet_filter, put=put)
    at_first = _state(path)
    packets = read_packets(
        path,
        decode_tunnels=settings.decode_tunnels,
        join_fragments=settings.join_fragments,
        max_unpacked=max_unpacked,
    )
    with contextlib.closing(packets):
        for table in packet_tables(packets, name):
            reader.add(table)
            if reader.builder.ready() and (rows := reader.take()) is not None:
                yield rows
    if put is not None:
        reader.settle()
        paused = time.perf_counter()
        yield None
        began += time.perf_counter() - paused
    reader.finish()
    rows = reader.take()
    if at_first != (at_last := _state(path)):
        packets.facts.remark(_changed(at_first, at_last))
    report.update(account(packets.facts, reader))
    if not packets.facts.packets:
        raise CaptureError(_nothing(report))
    if rows is not None:
        yield rows
    check(report)
    report["seconds"] = time.perf_counter() - began


def packet_tables(packets, name):
    """Yield packet tables; what goes wrong names the capture."""
    try:
        yield from packets
    except OSError as error:
        raise CaptureError(
            f"{name} cannot be opened: {error.strerror}. Check its permissions."
        ) from error
    except TooLargeError as error:
        raise CaptureError(f"{name} {error}") from None
    except ValueError as error:
        if packets.facts.damage:
            raise CaptureError(f"{name}: {packets.facts.damage}. Get a whole copy of it.") from None
        raise CaptureError(
            f"{name} is neither pcap nor pcapng ({error}). A Wireshark export is read by "
            "sktraffic.wireshark; other formats can be converted with: editcap -F pcap IN OUT"
        ) from None


def _state(path):
    """Return size and time of a file; None where it is none, or gone."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            return status.st_size, status.st_mtime_ns
    return None


def _changed(at_first, at_last):
    """Say what happened to a file between two looks."""
    if at_first is None or at_last is None:
        return "the file came or went while it was read"
    if at_first[0] == at_last[0]:
        return "the file was written to while it was read"
    return (
        f"the file changed from {at_first[0]} to {at_last[0]} bytes while it was read; what is "
        "there now may be more, or something else"
    )


def _nothing(report):
    """Say why a capture has no packets."""
    causes = [f"{report[name]} {name}" for name in LOST if report[name]]
    if report["damage"]:
        causes.append(f"{report['damage']}, {report['unread_bytes']} bytes unread")
    return (
        f"{report['capture']} holds no IP packet ({report['records']} frames, link type "
        f"{'; '.join([report['link_types'], *causes])}). "
        "Pass on_error='skip' to leave such captures out."
    )
