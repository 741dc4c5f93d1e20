"""Packets of an export, grouped into the rows of a session table."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sktraffic.capture._grouping import pair_ids
from sktraffic.messages import MESSAGES
from sktraffic.sessions import SCHEMA, from_arrow

__all__ = ["Packets", "complete_ports", "key_ids", "session_table"]


@dataclass
class Packets:
    """Packets of an export, arrays of shape (n_packets,); -1 is unknown."""

    time: np.ndarray  # ns, never backwards
    absolute: bool  # time counts from 1970
    src_ip: np.ndarray
    dst_ip: np.ndarray
    version: np.ndarray  # 0: no IP address
    protocol: np.ndarray
    src_port: np.ndarray
    dst_port: np.ndarray
    vlan_id: np.ndarray
    size: np.ndarray
    payload: np.ndarray
    flags: np.ndarray
    message: np.ndarray  # index into MESSAGES
    raw: pa.Array  # bytes, IP header on; empty: unknown

    def take(self, rows):
        """Packets of these rows, in their order."""
        values = {
            name: value.take(pa.array(rows)) if isinstance(value, pa.Array) else value[rows]
            for name, value in vars(self).items()
            if name != "absolute"
        }
        return Packets(absolute=self.absolute, **values)


def _socket_pairs(packets):
    """Give packets between the same two addresses and ports the same number."""
    hosts, _ = pd.factorize(np.concatenate([packets.src_ip, packets.dst_ip]))
    sockets = hosts * 65_537 + np.concatenate([packets.src_port, packets.dst_port]) + 1
    n = len(packets.time)
    return pair_ids(sockets[:n], sockets[n:])


def complete_ports(packets):
    """Give packets without ports those of their two hosts, where only one pair is known."""
    unknown = (packets.src_port < 0) | (packets.dst_port < 0)
    if not unknown.any():
        return []
    group = pair_ids(packets.src_ip, packets.dst_ip) * 257 + packets.protocol + 1
    known = pd.DataFrame(
        {"group": group, "pair": _socket_pairs(packets), "row": np.arange(len(group))}
    )[~unknown]
    known = known.groupby("group").agg(pairs=("pair", "nunique"), row=("row", "first"))
    row = known["row"][known["pairs"] == 1].reindex(group[unknown]).to_numpy()
    fill = np.flatnonzero(unknown)[~np.isnan(row)]
    like = row[~np.isnan(row)].astype(np.int64)
    same = packets.src_ip[fill] == packets.src_ip[like]
    source, destination = packets.src_port[like], packets.dst_port[like]
    packets.src_port[fill] = np.where(same, source, destination)
    packets.dst_port[fill] = np.where(same, destination, source)
    left = int(unknown.sum()) - len(fill)
    if not left:
        return []
    return [f"the ports of {left} of {len(group)} packets are unknown; add Hex or port columns"]


def key_ids(packets, key):
    """Equal numbers for packets that may share a session."""
    if key == "capture":
        return np.zeros(len(packets.time), dtype=np.int64)
    if key == "host_pair":
        return pair_ids(packets.src_ip, packets.dst_ip)
    return (_socket_pairs(packets) * 257 + packets.protocol + 1) * 65_537 + packets.vlan_id + 1


def _directions(packets, offsets):
    """+1 for packets from the session's first sender, -1 for the others."""
    first = np.repeat(offsets[:-1], np.diff(offsets))
    same = packets.src_ip == packets.src_ip[first]
    # between two ports of one host the port tells
    loop = packets.src_ip == packets.dst_ip
    same = np.where(loop, packets.src_port == packets.src_port[first], same)
    return np.where(same, 1, -1)


def session_table(packets, offsets, name):
    """Lay packets, sorted by session, out as a session table."""
    first, last = offsets[:-1], offsets[1:] - 1
    n = len(first)
    start = packets.time[first]
    columns = _identity(packets, first)
    columns |= {
        "capture": [name] * n,
        "session": np.arange(n),
        "duration": (packets.time[last] - start) / 1e9,
        "packet_count": np.diff(offsets),
        "total_bytes": np.add.reduceat(packets.size, first),
    }
    columns |= _packet_lists(packets, offsets)
    if packets.absolute:
        columns["start"] = pa.array(start).cast(SCHEMA.field("start").type)
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(n, field.type)
        for field in SCHEMA
    ]
    return from_arrow(pa.table(arrays, schema=SCHEMA))


def _identity(packets, first):
    """Addresses and protocol of the sessions' first packets."""
    numbers = {
        "src_port": packets.src_port,
        "dst_port": packets.dst_port,
        "protocol": packets.protocol,
        "ip_version": np.where(packets.version == 0, -1, packets.version),
        "vlan_id": packets.vlan_id,
    }
    out = {
        name: pa.array(values[first], mask=values[first] < 0) for name, values in numbers.items()
    }
    return out | {"src_ip": packets.src_ip[first], "dst_ip": packets.dst_ip[first]}


def _packet_lists(packets, offsets):
    """List columns; null for a session with a packet whose value is unknown."""
    first = offsets[:-1]
    start = np.repeat(packets.time[first], np.diff(offsets))
    message = pa.DictionaryArray.from_arrays(packets.message.astype(np.int16), list(MESSAGES))
    has_bytes = packets.raw.buffers()[2] is not None and pc.greater(
        pc.binary_length(packets.raw), 0
    ).to_numpy(zero_copy_only=False)
    has_bytes = np.maximum.reduceat(np.broadcast_to(has_bytes, len(packets.time)), first)
    everywhere = np.ones(len(first), dtype=bool)
    columns = {
        "packet_time": ((packets.time - start) / 1e9, everywhere),
        "packet_size": (packets.size, everywhere),
        "packet_direction": (_directions(packets, offsets), everywhere),
        "packet_payload_size": (packets.payload, np.minimum.reduceat(packets.payload, first) >= 0),
        "packet_flags": (packets.flags, np.minimum.reduceat(packets.flags, first) >= 0),
        "packet_message": (message, everywhere),
        "packet_bytes": (packets.raw, has_bytes),
    }
    return {
        name: _lists(values, offsets, SCHEMA.field(name).type, known)
        for name, (values, known) in columns.items()
    }


def _lists(values, offsets, kind, known):
    if isinstance(values, np.ndarray):
        # values of sessions that will be null must fit the type, too
        values = np.where(np.repeat(known, np.diff(offsets)), values, 0)
    values = pa.array(values).cast(kind.value_type)
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), values, type=kind, mask=pa.array(~known)
    )
