"""The packet table: one row a packet, one array a field."""

from dataclasses import dataclass

import numpy as np

__all__ = ["NO_TIME", "PacketTable"]

NO_TIME = np.iinfo(np.int64).min


@dataclass
class PacketTable:
    """IP packets in the order in which they were captured.

    Every array has one row a packet, shape (n_packets,), but `src` and `dst`, shape
    (n_packets, 2), and `data`. In a tunnel that was decoded all fields are those of the inner
    packet.

    Attributes
    ----------
    record : int64
        Number of the packet's record in its file, from 0.
    time : int64
        Nanoseconds since 1970 as in the file; `NO_TIME` where the file gives none.
    wire : int64
        Bytes of the frame on the wire, link layer included.
    size : int64
        Bytes of the IP packet on the wire, from its own length field. Segmentation offload leaves
        that field empty: then what the frame holds behind its link layer.
    transport_size : int64
        Bytes on the wire from the transport header on.
    payload_size : int64
        Bytes on the wire behind the transport header; -1 where that header is cut.
    version : uint8
        4 or 6 (0 where there is no IP header, only from `parse_headers`).
    protocol : uint8
        Number of the upper-layer protocol, behind extension headers.
    src, dst : uint64
        Addresses as numbers, upper and lower 64 bits; IPv4 has only the lower 32.
    src_port, dst_port : int32
        TCP, UDP, UDP-Lite, DCCP and SCTP; 0 for other protocols, and -1 where they are cut off.
    vlan : int32
        Identifier of the innermost VLAN tag, 0 without one.
    flags : int16
        TCP flags as on the wire, FIN 1 to CWR 128; 0 for other protocols, -1 where cut off.
    seq, ack : int64
        TCP; -1 elsewhere.
    ttl, window, ip_header_size, transport_header_size : int32
        Time to live or hop limit, TCP's window as on the wire, and bytes of the headers
        (extension headers count for IP); -1 where there is none, or it is cut off.
    fragment : uint8
        0 a whole datagram, 1 a first fragment, 2 a later one.
    fragment_id : int64
        What the fragments of a datagram have in common, besides its addresses; -1 for whole ones.
    tunnel : uint8
        What the packet was in, an index into `TUNNELS`; 0 for no tunnel.
    at, transport, payload, stop : int64
        Places in `data`: the IP header, the transport header, the payload, and the end of what
        was captured of the packet (padding excluded). Headers that are not there are at the end.
    data : ndarray of shape (n_bytes,), uint8
        A stretch of the file, shared by all packets in it.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import PacketTable, read_packets
    >>> table = PacketTable.concatenate(read_packets(lab_captures()[0][4]))
    >>> udp = table.take(table.protocol == 17)
    >>> len(table), len(udp), int(udp.dst_port[0])
    (2393, 49, 5353)
    """

    record: np.ndarray
    time: np.ndarray
    wire: np.ndarray
    size: np.ndarray
    transport_size: np.ndarray
    payload_size: np.ndarray
    version: np.ndarray
    protocol: np.ndarray
    src: np.ndarray
    dst: np.ndarray
    src_port: np.ndarray
    dst_port: np.ndarray
    vlan: np.ndarray
    flags: np.ndarray
    seq: np.ndarray
    ack: np.ndarray
    ttl: np.ndarray
    window: np.ndarray
    ip_header_size: np.ndarray
    transport_header_size: np.ndarray
    fragment: np.ndarray
    fragment_id: np.ndarray
    tunnel: np.ndarray
    at: np.ndarray
    transport: np.ndarray
    payload: np.ndarray
    stop: np.ndarray
    data: np.ndarray

    def __len__(self):
        return len(self.time)

    @classmethod
    def blank(cls, n, data=b"", **columns):
        """Return a table of `n` packets of which only the given columns are known.

        Sources without packet bytes (exports) give or fill in what they know.

        Examples
        --------
        >>> from sktraffic.packets import PacketTable
        >>> table = PacketTable.blank(2)
        >>> table.src_port, table.payload_size, table.at
        (array([-1, -1], dtype=int32), array([-1, -1]), array([0, 0]))
        """
        columns.setdefault("record", np.arange(n))
        for name, (dtype, fill) in _COLUMNS.items():
            if name not in columns:
                shape = (n, 2) if name in ("src", "dst") else n
                columns[name] = np.full(shape, fill, dtype)
        return cls(**columns, data=np.frombuffer(data, np.uint8))

    def take(self, rows):
        """Return a table of some packets; `rows` is an index array, a mask or a slice.

        `data` is shared.
        """
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return PacketTable(**columns, data=self.data)

    def put(self, rows, table):
        """Write the rows of another table of the same bytes over some of this one's, in place."""
        for name in _COLUMNS:
            getattr(self, name)[rows] = getattr(table, name)

    @staticmethod
    def concatenate(tables):
        """Stack tables in order; the bytes of all are joined unless they are the same already."""
        tables = list(tables)
        if not tables:
            return PacketTable.blank(0)
        if len(tables) == 1:
            return tables[0]
        columns = {name: np.concatenate([getattr(t, name) for t in tables]) for name in _COLUMNS}
        data = tables[0].data
        if any(table.data is not data for table in tables):
            ends = np.cumsum([len(table.data) for table in tables])
            moved = np.repeat(ends - [len(t.data) for t in tables], [len(t) for t in tables])
            for name in ("at", "transport", "payload", "stop"):
                columns[name] = columns[name] + moved
            data = np.concatenate([table.data for table in tables])
        return PacketTable(**columns, data=data)


# name -> (type, value where nothing is known)
_COLUMNS = {
    "record": (np.int64, 0),
    "time": (np.int64, NO_TIME),
    "wire": (np.int64, 0),
    "size": (np.int64, 0),
    "transport_size": (np.int64, 0),
    "payload_size": (np.int64, -1),
    "version": (np.uint8, 0),
    "protocol": (np.uint8, 0),
    "src": (np.uint64, 0),
    "dst": (np.uint64, 0),
    "src_port": (np.int32, -1),
    "dst_port": (np.int32, -1),
    "vlan": (np.int32, 0),
    "flags": (np.int16, -1),
    "seq": (np.int64, -1),
    "ack": (np.int64, -1),
    "ttl": (np.int32, -1),
    "window": (np.int32, -1),
    "ip_header_size": (np.int32, -1),
    "transport_header_size": (np.int32, -1),
    "fragment": (np.uint8, 0),
    "fragment_id": (np.int64, -1),
    "tunnel": (np.uint8, 0),
    "at": (np.int64, 0),
    "transport": (np.int64, 0),
    "payload": (np.int64, 0),
    "stop": (np.int64, 0),
}
