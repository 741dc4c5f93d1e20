"""Wireshark's packet lists and tshark's fields to session tables."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.capture import _export_packets as text
from sktraffic.capture._export_sessions import Packets, complete_ports, key_ids, session_table
from sktraffic.capture._export_text import read_export
from sktraffic.capture._grouping import group_packets
from sktraffic.messages import normalise_messages

__all__ = ["read_wireshark"]

KEYS = ("five_tuple", "host_pair", "capture")
WITH_PORTS = (6, 17, 132, 136)
EXTENSIONS = (0, 43, 44, 51, 60)


def read_wireshark(
    path,
    *,
    key="five_tuple",
    idle_timeout=120,
    active_timeout=1800,
    size="frame",
    on_skip="warn",
):
    r"""Read the sessions of a Wireshark export.

    Parameters
    ----------
    path : str or path-like
        A packet list as CSV (comma, semicolon or tab; UTF-8, UTF-16 or GBK) or XLSX with the
        columns No., Time, Source, Destination, Protocol, Length, Info and maybe Hex, in any order
        and case, or the output of ``tshark -T fields`` (see Notes).

    key : {"five_tuple", "host_pair", "capture"}, default="five_tuple"
        What packets of a session share: addresses, ports and IP protocol in either direction; the
        two addresses; or the file.

    idle_timeout : float, default=120
        Longest silence within a session, s. A packet that comes so long after the one before it
        opens another session. ``key="capture"`` ignores timeouts.

    active_timeout : float, default=1800
        Longest life of a session, s.

    size : {"frame", "ip"}, default="frame"
        What `packet_size` is: the column Length, or the length of the IP packet, which only an
        export with Hex or ``ip.len`` and ``ipv6.plen`` says.

    on_skip : {"warn", "ignore", "raise"}, default="warn"
        What to do about packets that are left out because they are not IP (ARP, say), about times
        that run backwards (the clock then stands still), and about packets whose ports are unknown.

    Returns
    -------
    DataFrame of shape (n_sessions, 25)
        Session table with all columns; what the export does not say is null: `start` without
        dates, `packet_payload_size` and `packet_flags` of sessions with a packet whose Info does
        not tell them, `packet_bytes` without Hex, and everything of nDPI's.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no packet list, a column is missing, or a time or length cannot be read; the
        message says which rows.
    ImportError
        If an XLSX file is given without openpyxl installed.

    Notes
    -----
    This command writes all that can be read::

        tshark -r capture.pcap -T fields -E header=y -E separator=/t -E quote=d -E occurrence=f \
          -e frame.number -e frame.time_epoch -e _ws.col.Protocol -e frame.len -e _ws.col.Info \
          -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e ip.proto -e ipv6.nxt \
          -e ip.len -e ipv6.plen -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport \
          -e tcp.flags -e tcp.len -e udp.length -e vlan.id > capture.tsv

    Ports come from columns of their own (``tcp.srcport``, Source Port, ...), else from Hex (frames
    or IP packets), else from the Info text ("443 → 51234 [ACK] ..."). Where a packet's text does
    not tell them (TLS, DNS) it gets those of its two hosts' other packets of that transport, if
    they all have the same; otherwise such packets form sessions of their own, with null ports.
    Add Hex or port columns to the export, or use ``key="host_pair"``, to avoid that.

    Packets are taken in the order of the column No., if there is one. Times are seconds since the
    first packet, seconds since 1970, or dates (UTC where they say no zone).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.capture import read_wireshark
    >>> text = '''No.,Time,Source,Destination,Protocol,Length,Info
    ... 1,0.0,10.0.0.1,10.0.0.2,TCP,74,51234 > 443 [SYN] Seq=0 Win=64240 Len=0
    ... 2,0.1,10.0.0.2,10.0.0.1,TCP,74,"443 > 51234 [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0"
    ... 3,0.2,10.0.0.1,10.0.0.2,TLSv1.3,583,Client Hello
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "packets.csv"
    ...     _ = path.write_text(text)
    ...     sessions = read_wireshark(path)
    >>> sessions[["src_port", "dst_port", "packet_count", "total_bytes"]].values.tolist()
    [[51234, 443, 3, 731]]
    >>> list(sessions["packet_message"][0])
    ['TCP: SYN', 'TCP: SYN-ACK', 'TLS: Client Hello']
    """
    _check_options(key, idle_timeout, active_timeout, size, on_skip)
    path = Path(path)
    table = _in_order(read_export(path), path)
    packets, notes = _read_packets(table, path, size)
    if key == "five_tuple":
        notes += complete_ports(packets)
    _tell(notes, path, on_skip)
    keys = key_ids(packets, key)
    if key == "capture":
        idle_timeout = active_timeout = np.inf
    ids = group_packets(packets.time / 1e9, keys, idle_timeout, active_timeout)
    order = np.argsort(ids, kind="stable")
    offsets = np.searchsorted(ids[order], np.arange(ids.max(initial=-1) + 2))
    return session_table(packets.take(order), offsets, str(path))


def _check_options(key, idle_timeout, active_timeout, size, on_skip):
    for name, value, options in (
        ("key", key, KEYS),
        ("size", size, ("frame", "ip")),
        ("on_skip", on_skip, ("warn", "ignore", "raise")),
    ):
        if value not in options:
            raise ValueError(f"{name} must be one of {', '.join(options)}; got {value!r}.")
    for name, value in (("idle_timeout", idle_timeout), ("active_timeout", active_timeout)):
        if not value > 0:
            raise ValueError(f"{name} must be a positive number of seconds, got {value!r}.")


def _in_order(table, path):
    if "number" not in table:
        return table
    number = text.whole_numbers(table["number"], path, "No.")
    return table.iloc[np.argsort(number, kind="stable")].reset_index(drop=True)


def _column(table, *names):
    """First column that is not empty, cell by cell; "" where all are."""
    out = pd.Series("", index=table.index, dtype=object)
    for name in names:
        if name in table:
            out = out.where(out != "", table[name])
    return out


def _numbers(table, path, *names, most=text.LARGEST):
    return text.whole_numbers(_column(table, *names), path, " or ".join(names), most)


def _first_known(*arrays):
    """First array that is not -1, packet by packet."""
    out = arrays[0]
    for other in arrays[1:]:
        out = np.where(out < 0, other, out)
    return out


def _read_packets(table, path, size):
    """Turn the text columns into packets, those that are not IP left out."""
    times, absolute = text.times_ns(_column(table, "epoch", "time"), path)
    source, version = text.addresses(_column(table, "ip_src", "ipv6_src", "source"))
    destination, other = text.addresses(_column(table, "ip_dst", "ipv6_dst", "destination"))
    version = np.where(other == version, version, 0)
    info = table["info"]
    raw, headers = text.packet_bytes(_column(table, "hex"), source, destination)
    in_hex = headers.version > 0
    next_header = _numbers(table, path, "ipv6_next", most=255)
    next_header[np.isin(next_header, EXTENSIONS)] = text.UNKNOWN
    told = _first_known(_numbers(table, path, "ip_proto", most=255), next_header)
    protocol = _first_known(np.where(in_hex, headers.protocol, -1), told)
    message = normalise_messages(table["protocol"], info, protocol)
    protocol = _first_known(protocol, text.transport_of_messages(message, version))
    ports = _ports(table, path, protocol, headers, info)
    packets = Packets(
        time=np.maximum.accumulate(times),
        absolute=absolute or "epoch" in table,
        src_ip=source,
        dst_ip=destination,
        version=version,
        protocol=protocol,
        src_port=ports[0],
        dst_port=ports[1],
        vlan_id=_vlan(table, path),
        size=_sizes(table, path, size, in_hex, headers),
        payload=_payload_sizes(table, path, protocol, headers, info),
        flags=_flags(table, path, protocol, headers, info),
        message=message,
        raw=raw,
    )
    return _only_ip(packets, table, int((np.diff(times) < 0).sum()), path)


def _only_ip(packets, table, backwards, path):
    """Leave out what is not IP; say what was found on the way."""
    # a host name instead of an address is fine where ports prove that there is IP below
    is_ip = (packets.version > 0) | (packets.src_port >= 0)
    if not is_ip.any():
        raise ValueError(
            f"{path} holds no IP packet ({len(table)} packets, the first {table['protocol'][0]} "
            f"from {table['source'][0]!r}). Export the capture that has the IP traffic."
        )
    kept = packets.take(np.flatnonzero(is_ip))
    unsized = int((kept.size < 0).sum())
    if unsized:
        raise ValueError(
            f"{path} does not say the IP length of {unsized} packets, which size='ip' takes. "
            "Export Hex or ip.len and ipv6.plen, or use size='frame'."
        )
    lost = int((~is_ip).sum())
    notes = [f"{lost} of {len(table)} packets are not IP and were left out"] if lost else []
    if backwards:
        notes.append(f"the time runs backwards {backwards} times; the clock stood still there")
    return kept, notes


def _vlan(table, path):
    tags = _numbers(table, path, "vlan_id", most=65_535)
    # an export that tells VLANs tells of no VLAN by an empty cell; nfstream calls that 0
    return np.maximum(tags, 0) if "vlan_id" in table else tags


def _ports(table, path, protocol, headers, info):
    out = []
    for end, told in zip(("src", "dst"), text.info_ports(info), strict=True):
        names = f"tcp_{end}_port", f"udp_{end}_port", f"{end}_port"
        column = _numbers(table, path, *names, most=65_535)
        ports = _first_known(getattr(headers, f"{end}_port"), column, told)
        # as nfstream has it: protocols without ports have port 0
        out.append(np.where((protocol >= 0) & ~np.isin(protocol, WITH_PORTS), 0, ports))
    return out


def _sizes(table, path, size, in_hex, headers):
    if size == "frame":
        return text.whole_numbers(table["length"], path, "Length", required=True)
    six = _numbers(table, path, "ipv6_length")
    told = _first_known(_numbers(table, path, "ip_length"), np.where(six < 0, -1, six + 40))
    return _first_known(np.where(in_hex, headers.end, -1), told)


def _payload_sizes(table, path, protocol, headers, info):
    udp = _numbers(table, path, "udp_length")
    told = _first_known(
        np.where(headers.version > 0, headers.end - headers.payload, -1),
        np.where(protocol == 6, _numbers(table, path, "tcp_length"), -1),
        np.where((protocol == 17) & (udp >= 8), udp - 8, -1),
    )
    return _first_known(told, np.where(np.isin(protocol, (6, 17)), text.info_payload(info), -1))


def _flags(table, path, protocol, headers, info):
    flags = _first_known(
        np.where(headers.version > 0, headers.flags, -1),
        _numbers(table, path, "tcp_flags"),
        text.info_flags(info),
    )
    # tshark's field has the four bits above the eight flags, too
    return np.where(protocol == 6, np.where(flags < 0, -1, flags & 255), 0)


def _tell(notes, path, on_skip):
    if not notes or on_skip == "ignore":
        return
    message = f"{path}: {'; '.join(notes)}."
    if on_skip == "raise":
        raise ValueError(f"{message} on_skip='warn' or 'ignore' reads the rest.")
    warnings.warn(message, stacklevel=3)
