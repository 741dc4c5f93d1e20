"""Exports to packet tables."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sktraffic.messages import normalise_messages
from sktraffic.packets import PacketTable, parse_headers
from sktraffic.wireshark import _cells as cells
from sktraffic.wireshark._text import read_export
from sktraffic.wireshark._times import packet_times

__all__ = ["NO_PROTOCOL", "ExportPackets", "export_packets"]

#: What stands for an unknown protocol in a packet table; the number is reserved.
NO_PROTOCOL = 255
WITH_PORTS = (6, 17, 33, 132, 136)
EXTENSIONS = (0, 43, 44, 51, 60)


@dataclass
class ExportPackets:
    """The packets of an export.

    Attributes
    ----------
    table : PacketTable
        In the order of the export's numbers. What the export does not tell is -1 (`NO_PROTOCOL`
        for protocols). Packets of hosts without an IP address have version 0, and the numbers of
        hosts for addresses. `data` holds the bytes of packets with Hex.
    message : ndarray of shape (n_packets,), int16
        Index into `MESSAGES`.
    hosts : list of str
        The names of hosts.
    absolute : bool
        Whether times count from 1970; else from the first packet.
    skipped : int
        Rows that are not IP.
    notes : list of str
        What was found on the way.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.wireshark import export_packets
    >>> text = '''No.,Time,Source,Destination,Protocol,Length,Info
    ... 1,0.0,10.0.0.1,10.0.0.2,DNS,74,Standard query 0x1 A example.org
    ... 2,0.2,10.0.0.2,10.0.0.1,DNS,90,Standard query response 0x1 A 10.0.0.9
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "list.csv"
    ...     _ = path.write_text(text)
    ...     packets = export_packets(path)
    ...
    >>> from sktraffic.messages import MESSAGES
    >>> [MESSAGES[code] for code in packets.message]
    ['DNS: Query A', 'DNS: Response']
    """

    table: PacketTable
    message: np.ndarray
    hosts: list
    absolute: bool
    skipped: int = 0
    notes: list = field(default_factory=list)


def export_packets(path, fill_ports=True):
    """Read the packets of an export.

    Parameters
    ----------
    path : Path
    fill_ports : bool, default=True
        Whether packets without ports get those of their hosts' other packets, where these all have
        the same.

    Returns
    -------
    ExportPackets

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        See :func:`read_wireshark`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.wireshark import export_packets
    >>> text = '''No.,Time,Source,Destination,Protocol,Length,Info
    ... 1,0.0,10.0.0.1,10.0.0.2,DNS,74,Standard query 0x1 A example.org
    ... 2,0.2,10.0.0.2,10.0.0.1,DNS,90,Standard query response 0x1 A 10.0.0.9
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "list.csv"
    ...     _ = path.write_text(text)
    ...     packets = export_packets(path)
    ...
    >>> len(packets.table), packets.absolute, packets.skipped
    (2, False, 0)
    """
    text, repeated = read_export(path)
    text = _in_order(text, path)
    times, absolute, note = packet_times(text, path)
    notes = [note] if note else []
    if repeated:
        notes.append(
            f"{repeated} packets have several values in a field (a tunnel, or the packet that an "
            "ICMP error quotes) and the first was taken; tshark -E occurrence=f writes one"
        )
    table, message, hosts, ends = _packets(text, path)
    table.time = times
    # a host name instead of an address is fine where ports prove that there is IP below, here or
    # in other packets of these hosts
    is_ip = (table.version > 0) | (table.src_port >= 0)
    proved = np.zeros(len(hosts), dtype=bool)
    proved[ends[:, is_ip]] = True
    is_ip |= proved[ends].all(axis=0) & (table.protocol != NO_PROTOCOL)
    if not is_ip.any():
        raise ValueError(
            f"{path} holds no IP packet ({len(text)} packets, the first {text['protocol'][0]} "
            f"from {text['source'][0]!r}). Export the capture that has the IP traffic."
        )
    table, message, ends = table.take(is_ip), message[is_ip], ends[:, is_ip]
    skipped = int((~is_ip).sum())
    if skipped:
        notes.append(f"{skipped} of {len(text)} packets are not IP and were left out")
    if fill_ports:
        notes += _fill_ports(table, ends)
    return ExportPackets(table, message, hosts, absolute, skipped, notes)


def _in_order(text, path):
    if "number" not in text:
        return text
    number = cells.whole_numbers(text["number"], path, "No.")
    return text.iloc[np.argsort(number, kind="stable")].reset_index(drop=True)


class _Columns:
    """Numbers of text columns, -1 where they are not told."""

    def __init__(self, text, path):
        self.text, self.path = text, path

    def cell(self, *names):
        """First column that is not empty, cell by cell; "" where all are."""
        out = pd.Series("", index=self.text.index, dtype=object)
        for name in names:
            if name in self.text:
                out = out.where(out != "", self.text[name])
        return out

    def number(self, *names, most=cells.LARGEST):
        return cells.whole_numbers(self.cell(*names), self.path, " or ".join(names), most)


def _first_known(*arrays):
    """First number that is not -1, packet by packet."""
    out = arrays[0]
    for other in arrays[1:]:
        out = np.where(out < 0, other, out)
    return out


def _packets(text, path):
    """Return the packet table (without times), messages, names of hosts and ends of packets."""
    columns = _Columns(text, path)
    ends, words, address, version = cells.hosts(
        columns.cell("ip_src", "ipv6_src", "source"),
        columns.cell("ip_dst", "ipv6_dst", "destination"),
    )
    table, known = _parsed(columns, words, ends)
    table.record = np.arange(len(text))
    table.version = np.where(version[ends[0]] == version[ends[1]], version[ends[0]], 0).astype("u1")
    named = table.version == 0
    for name, end in zip(("src", "dst"), ends, strict=True):
        number = np.stack([np.zeros_like(end), end], axis=1).astype(np.uint64)
        setattr(table, name, np.where(named[:, None], number, address[end]))
    following = columns.number("ipv6_next", most=255)
    following[np.isin(following, EXTENSIONS)] = cells.UNKNOWN
    told = _first_known(columns.number("ip_proto", most=255), following)
    protocol = _first_known(np.where(known, table.protocol.astype(np.int64), -1), told)
    message = normalise_messages(text["protocol"], text["info"], protocol)
    protocol = _first_known(protocol, cells.transport_of_messages(message, table.version))
    table.protocol = np.where(protocol < 0, NO_PROTOCOL, protocol).astype(np.uint8)
    _fill_in_ports(table, columns, protocol)
    _fill_in_sizes(table, columns, protocol)
    flags = _first_known(
        np.where(known, table.flags, -1),
        columns.number("tcp_flags"),
        cells.info_flags(text["info"]),
    )
    # tshark's field has the four bits above the eight flags, too
    flags = np.where(protocol == 6, np.where(flags < 0, -1, flags & 255), 0)
    table.flags = flags.astype(np.int16)
    tags = columns.number("vlan_id", most=65_535)
    # an export that tells VLANs tells of no VLAN by an empty cell; nfstream calls that 0
    table.vlan = (np.maximum(tags, 0) if "vlan_id" in text else tags).astype(np.int32)
    return table, message, words, ends


def _parsed(columns, words, ends):
    """Parse the packets whose bytes the export has; the others stay unknown.

    Returns the table and which packets have bytes; shape (n_packets,), bool.
    """
    n = len(columns.text)
    table = PacketTable.blank(n)
    if "hex" not in columns.text:
        return table, np.zeros(n, dtype=bool)
    source, destination = ([words[host] for host in end] for end in ends)
    raw = cells.packet_bytes(columns.text["hex"], source, destination)
    stop = np.cumsum([len(packet) for packet in raw], dtype=np.int64)
    at = np.append(0, stop[:-1])
    parsed = parse_headers(np.frombuffer(b"".join(raw), np.uint8), at, stop)
    known = parsed.version > 0
    if known.all():
        return parsed, known
    table.data = parsed.data
    for name, values in vars(parsed).items():
        if name != "data":
            getattr(table, name)[known] = values[known]
    return table, known


def _fill_in_ports(table, columns, protocol):
    for end, told in zip(("src", "dst"), cells.info_ports(columns.text["info"]), strict=True):
        names = f"tcp_{end}_port", f"udp_{end}_port", f"{end}_port"
        column = columns.number(*names, most=65_535)
        ports = _first_known(getattr(table, f"{end}_port"), column, told)
        # as nfstream has it: protocols without ports have port 0
        ports = np.where((protocol >= 0) & ~np.isin(protocol, WITH_PORTS), 0, ports)
        setattr(table, f"{end}_port", ports.astype(np.int32))


def _fill_in_sizes(table, columns, protocol):
    """Fill in wire, size, transport_size and payload_size; -1 where they are not told."""
    known = table.size > 0  # parsed from bytes
    length = columns.cell("length")
    table.wire = cells.whole_numbers(length, columns.path, "Length", required=True)
    six = columns.number("ipv6_length")
    told = _first_known(columns.number("ip_length"), np.where(six < 0, -1, six + 40))
    table.size = _first_known(np.where(known, table.size, -1), told)
    udp, tcp = columns.number("udp_length"), columns.number("tcp_length")
    header = columns.number("tcp_header")
    table.transport_size = _first_known(
        np.where(known, table.transport_size, -1),
        np.where((protocol == 6) & (tcp >= 0) & (header >= 0), tcp + header, -1),
        np.where((protocol == 17) & (udp >= 8), udp, -1),
    )
    info = cells.info_payload(columns.text["info"])
    table.payload_size = _first_known(
        np.where(known, table.payload_size, -1),
        np.where(protocol == 6, tcp, -1),
        np.where((protocol == 17) & (udp >= 8), udp - 8, -1),
        np.where(np.isin(protocol, (6, 17)), info, -1),
    )


def _fill_ports(table, ends):
    """Give packets without ports those of their two hosts, where only one pair is known.

    Returns what to say of those that stay without.
    """
    unknown = (table.src_port < 0) | (table.dst_port < 0)
    if not unknown.any():
        return []
    low, high = ends.min(axis=0), ends.max(axis=0)
    forth = ends[0] == low
    # (port of the lower host, port of the higher host) in one number
    ports = np.where(forth, table.src_port, table.dst_port).astype(np.int64) * 65_536
    ports = ports + np.where(forth, table.dst_port, table.src_port)
    group = (low * (ends.max() + 1) + high) * 256 + table.protocol
    seen = pd.DataFrame({"group": group, "ports": ports})[~unknown]
    seen = seen.groupby("group")["ports"].agg(["min", "max"])
    seen = seen.loc[seen["min"] == seen["max"], "min"].reindex(group[unknown]).to_numpy()
    rows, pair = np.flatnonzero(unknown)[~np.isnan(seen)], seen[~np.isnan(seen)].astype(np.int64)
    lower, higher = np.divmod(pair, 65_536)
    table.src_port[rows] = np.where(forth[rows], lower, higher)
    table.dst_port[rows] = np.where(forth[rows], higher, lower)
    left = int(unknown.sum()) - len(rows)
    if not left:
        return []
    return [f"the ports of {left} of {len(table)} packets are unknown; add Hex or port columns"]
