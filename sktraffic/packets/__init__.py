"""Captures to packets: records of files, link layers, headers; one row a packet, one array a field.

Pure NumPy, no network library; every function takes all packets of a block at once.
"""

from sktraffic.packets._bytes import be16, be32, binaries, number_at, slices, window
from sktraffic.packets._clock import Clock
from sktraffic.packets._duplicates import DuplicateFinder
from sktraffic.packets._filter import PacketFilter, compile_filter
from sktraffic.packets._headers import (
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    extension_headers,
    parse_headers,
)
from sktraffic.packets._kinds import CAUSES, FOUND, LATER_FRAGMENT, TUNNEL_FRAGMENT
from sktraffic.packets._layout import SessionBuilder, address_text
from sktraffic.packets._link import find_ip
from sktraffic.packets._link_types import link_name
from sktraffic.packets._read import PacketReader, read_packets, read_records
from sktraffic.packets._records import FileFacts, RecordBlock, capture_format
from sktraffic.packets._sessions import PacketSessions, SessionTracker
from sktraffic.packets._table import NO_TIME, PacketTable
from sktraffic.packets._tunnels import TUNNELS
from sktraffic.packets._write import RecordWriter

__all__ = [
    "CAUSES",
    "FOUND",
    "ICMP",
    "ICMPV6",
    "LATER_FRAGMENT",
    "NO_TIME",
    "SCTP",
    "TCP",
    "TUNNELS",
    "TUNNEL_FRAGMENT",
    "UDP",
    "Clock",
    "DuplicateFinder",
    "FileFacts",
    "PacketFilter",
    "PacketReader",
    "PacketSessions",
    "PacketTable",
    "RecordBlock",
    "RecordWriter",
    "SessionBuilder",
    "SessionTracker",
    "address_text",
    "be16",
    "be32",
    "binaries",
    "capture_format",
    "compile_filter",
    "extension_headers",
    "find_ip",
    "link_name",
    "number_at",
    "parse_headers",
    "read_packets",
    "read_records",
    "slices",
    "window",
]
