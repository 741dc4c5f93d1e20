"""The first bytes of packets as token ids."""

from numbers import Integral
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc

from sktraffic._compat import Interval, StrOptions
from sktraffic.feature_extraction._base import BaseSessionTransformer, check_known
from sktraffic.feature_extraction._masking import DEFAULT_MASK, MASKS, byte_mask
from sktraffic.packets import parse_headers
from sktraffic.ragged import flat_list, offsets_to_rows

__all__ = [
    "MASK",
    "PADDING",
    "SEPARATOR",
    "ByteTokens",
    "flat_packets",
    "join_packets",
    "tokens_of_bytes",
]

PADDING, MASK, SEPARATOR = 0, 1, 2
N_SPECIAL = 3
VOCABULARY = {"byte": 256 + N_SPECIAL, "pair": 65_536 + N_SPECIAL}
# Headers in front of a payload that are read: IPv4 60 + TCP 60, IPv6 40 + extensions + TCP 60
HEADER_BYTES = 160
SESSIONS_AT_ONCE = 4096


def tokens_of_bytes(content, hidden, kind):
    """Token ids of bytes, single or in overlapping pairs.

    Parameters
    ----------
    content : ndarray of shape (n_packets, width), uint8
    hidden : ndarray of shape (n_packets, width), bool
        Bytes that become mask tokens; so does a pair with such a byte.
    kind : {"byte", "pair"}

    Returns
    -------
    ndarray of shape (n_packets, width) or, for pairs, (n_packets, width - 1), int32
        3 + b for a byte b, 3 + 256 a + b for a pair (a, b), 1 where hidden.
    """
    tokens = content.astype(np.int32)
    if kind == "pair":
        tokens = 256 * tokens[:, :-1] + tokens[:, 1:]
        hidden = hidden[:, :-1] | hidden[:, 1:]
    return np.where(hidden, np.int32(MASK), tokens + N_SPECIAL)


def join_packets(tokens, counts, rows, n_sessions, width):
    """Write the packets of each session one behind the other, a separator between.

    Parameters
    ----------
    tokens : ndarray of shape (n_packets, packet_width), int32
    counts : ndarray of shape (n_packets,)
        Tokens of each packet, at least 1.
    rows : ndarray of shape (n_packets,)
        Session of each packet, growing.
    n_sessions, width : int
        Shape of the result; `width` must hold the longest session.

    Returns
    -------
    ndarray of shape (n_sessions, width), int32
    """
    out = np.full((n_sessions, width), PADDING, dtype=np.int32)
    if not len(rows):
        return out
    behind = np.cumsum(counts + 1)
    before = np.concatenate([[0], behind[:-1]])
    first = np.searchsorted(rows, rows)  # first packet of the packet's session
    start = before - before[first]
    there = np.arange(tokens.shape[1]) < counts[:, None]
    packet, column = np.nonzero(there)
    out[rows[packet], start[packet] + column] = tokens[packet, column]
    later = start > 0
    out[rows[later], start[later] - 1] = SEPARATOR
    return out


class ByteTokens(BaseSessionTransformer):
    """The first bytes of a session's first packets as integers, for embeddings.

    Tokens of one packet follow those of the packet before, with a separator between them; what is
    left of the row is padding. Token ids:

    ====================  =======================================================
    0                     padding
    1                     mask: a byte that the mask policy hides
    2                     separator between packets
    3 + b                 byte b (``tokens="byte"``, vocabulary 259)
    3 + 256 a + b         bytes a and b, overlapping pairs (``tokens="pair"``, 65,539)
    ====================  =======================================================

    Parameters
    ----------
    n_bytes : int, default=64
        Bytes of each packet, at most.

    n_packets : int, default=5
        Packets of each session, at most: the first that have a byte to show. Later ones, and
        packets without bytes in `packet_bytes`, are left out.

    tokens : {"byte", "pair"}, default="byte"
        One token a byte, or one for each two neighbouring bytes. A packet that shows one byte
        has no pair, and is left out.

    start : {"payload", "ip"}, default="payload"
        First byte: behind the transport header, or the IP header's first. Link layers differ
        between captures and would give labels away; `packet_bytes` does not hold them.

    mask : sequence of str or None, default=("addresses", "ports", "ip_id", "flow_label", \
"checksums", "tcp_sequence", "tcp_timestamps")
        What to hide because it identifies hosts and moments rather than behaviour; more are "ttl"
        and "sni". None or an empty sequence hides nothing. See Notes.

    Attributes
    ----------
    vocabulary_size_ : int
        Number of token ids.

    feature_names_in_ : ndarray of str
        The column of the session table that is read.

    n_features_in_ : int
        Its number, 1.

    Notes
    -----
    Byte ranges that each mask hides, counted from the header they are in:

    - "addresses": IPv4 12 to the header's end (options record routes), IPv6 8-39, IPv6 routing and
      destination options headers from 2; addresses in ICMP redirects (4-7), router advertisements
      and ICMPv6 types 130 to 143 (from 8, link-layer addresses included), IGMP from 4.
    - "ports": TCP, UDP, UDP-Lite, SCTP 0-3; identifier of ICMP echo and the like 4-5.
    - "ip_id": IPv4 4-5, IPv6 fragment header 4-7. "flow_label": IPv6 1-3 (with the traffic class).
    - "checksums": IPv4 10-11, TCP 16-17, UDP 6-7, SCTP 8-11, ICMP and IGMP 2-3, the MD5 signature
      option of TCP, the authentication header from 4.
    - "tcp_sequence": TCP 4-11 and the values of selective acknowledgements, SCTP's tag 4-7.
    - "tcp_timestamps": both values of TCP's timestamp option.
    - "ttl": IPv4 8, IPv6 7. "sni": the server name in a TLS Client Hello that starts a TCP payload.

    IP in IP, GRE and the packets that ICMP errors quote are masked alike, three deep; other
    tunnels and application data (an address in a DNS answer, say) are shown. Non-first fragments
    have no transport header. Bytes behind the IP packet's end (Ethernet padding) are left out.
    What is no IPv4 or IPv6 is hidden whole.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.feature_extraction import ByteTokens
    >>> from sktraffic.ragged import list_column
    >>> dns = bytes.fromhex("4500001e000000004011000001020304050607080035d431000a0000ff01")
    >>> X = pd.DataFrame({"packet_bytes": list_column([dns, dns], [0, 2])})
    >>> ByteTokens(n_bytes=3, n_packets=2).fit_transform(X)
    array([[258,   4,   2, 258,   4,   0,   0]], dtype=int32)
    >>> ByteTokens(n_bytes=14, n_packets=1, start="ip").fit_transform(X)
    array([[72,  3,  3, 33,  1,  1,  3,  3, 67, 20,  1,  1,  1,  1]],
          dtype=int32)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_bytes": [Interval(Integral, 1, None, closed="left")],
        "n_packets": [Interval(Integral, 1, None, closed="left")],
        "tokens": [StrOptions(set(VOCABULARY))],
        "start": [StrOptions({"payload", "ip"})],
        "mask": ["array-like", None],
    }

    def __init__(
        self, n_bytes=64, *, n_packets=5, tokens="byte", start="payload", mask=DEFAULT_MASK
    ):
        self.n_bytes = n_bytes
        self.n_packets = n_packets
        self.tokens = tokens
        self.start = start
        self.mask = mask

    def _columns(self):
        return ("packet_bytes",)

    def _fit(self, X):
        unknown = [name for name in self.mask or () if name not in MASKS]
        if unknown:
            raise ValueError(f"mask has {unknown[0]!r}; it may hold {', '.join(MASKS)}.")
        if self.tokens == "pair" and self.n_bytes < 2:
            raise ValueError("n_bytes is 1, but a pair takes two bytes. Use tokens='byte'.")
        check_known(X, ("packet_bytes",))
        self.vocabulary_size_ = VOCABULARY[self.tokens]

    def _transform(self, X):
        check_known(X, ("packet_bytes",))
        out = np.zeros((len(X), self._width()), dtype=np.int32)
        # a block of sessions at a time: the byte matrix is wider than what is kept of it
        for first in range(0, len(X), SESSIONS_AT_ONCE):
            block = slice(first, first + SESSIONS_AT_ONCE)
            out[block] = self._block(X["packet_bytes"].iloc[block])
        return out

    def _block(self, column):
        data, at, stop, offsets = flat_packets(column, self.n_bytes + HEADER_BYTES)
        table = parse_headers(data, at, stop)
        hidden = byte_mask(data, at, stop, tuple(self.mask or ()))
        start = table.payload if self.start == "payload" else at
        counts = np.clip(table.stop - start, 0, self.n_bytes)
        counts -= self.tokens == "pair"
        chosen = _first_with_tokens(counts > 0, offsets, self.n_packets)
        # place in `data` of each byte that may become a token; (n_packets, n_bytes)
        place = start[chosen, None] + np.arange(self.n_bytes)
        place = np.minimum(place, max(len(data) - 1, 0))
        tokens = tokens_of_bytes(data[place], hidden[place], self.tokens)
        rows = offsets_to_rows(offsets)[chosen]
        return join_packets(tokens, counts[chosen], rows, len(column), self._width())

    def _width(self):
        tokens = self.n_bytes - (self.tokens == "pair")
        return self.n_packets * (tokens + 1) - 1

    def _names(self):
        return [f"token_{i}" for i in range(self._width())]


def flat_packets(column, width):
    """Lay packets side by side, each cut at `width` bytes.

    Returns
    -------
    data : ndarray of shape (n_bytes,), uint8
    at, stop : ndarray of shape (n_packets,), int64
        A missing packet is an empty one.
    offsets : ndarray of shape (n_sessions + 1,), int64
    """
    packets, offsets = flat_list(column)
    packets = pc.binary_slice(packets.fill_null(b""), 0, width).cast("large_binary")
    ends = np.frombuffer(packets.buffers()[1], np.int64, len(packets) + 1, 8 * packets.offset)
    content = packets.buffers()[2] or b""
    return np.frombuffer(content, np.uint8), ends[:-1], ends[1:], offsets


def _first_with_tokens(there, offsets, n_packets):
    """Find the first `n_packets` packets of each session for which `there` holds."""
    before = np.concatenate([[0], np.cumsum(there)])
    rank = before[:-1] - np.repeat(before[offsets[:-1]], np.diff(offsets))
    return np.flatnonzero(there & (rank < n_packets))
