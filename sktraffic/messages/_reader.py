"""Packet bytes to messages: what each packet says in its protocol."""

import numpy as np

from sktraffic.messages import _tcp as tcp
from sktraffic.messages import _udp as udp
from sktraffic.messages._http import find_http_records
from sktraffic.messages._streams import (
    CUT,
    INSIDE,
    MAX_PACKETS,
    OPEN,
    SessionStates,
    follow_records,
    sort_streams,
    track,
)
from sktraffic.messages._tls import HEAD, find_tls_records, split_heads
from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import ICMP, ICMPV6, TCP, UDP, number_at, window

__all__ = ["MessageReader"]

_WIDTH = 28
UDP_LITE = 136
_DATA = CODES["TCP: Data"]


def _flag_codes():
    """Codes of TCP packets without payload by their flags; SYN first, then RST, FIN, ACK."""
    flags = np.arange(256)
    codes = np.full(256, CODES["TCP: Other"], dtype=np.int16)
    codes[(flags & 16) != 0] = CODES["TCP: ACK"]
    codes[(flags & 1) != 0] = CODES["TCP: FIN"]
    codes[(flags & 4) != 0] = CODES["TCP: RST"]
    codes[(flags & 2) != 0] = CODES["TCP: SYN"]
    codes[(flags & 18) == 18] = CODES["TCP: SYN-ACK"]
    return codes


_FLAGS = _flag_codes()


def _icmp_codes(kinds):
    codes = np.full(256, CODES["ICMP: Other"], dtype=np.int16)
    for number, kind in kinds.items():
        codes[number] = CODES[f"ICMP: {kind}"]
    return codes


_ICMP = _icmp_codes({0: "Echo Reply", 3: "Destination Unreachable", 5: "Redirect",
                     8: "Echo Request", 9: "Router Advertisement", 10: "Router Solicitation",
                     11: "Time Exceeded"})  # fmt: skip
_ICMPV6 = _icmp_codes({1: "Destination Unreachable", 2: "Packet Too Big", 3: "Time Exceeded",
                       128: "Echo Request", 129: "Echo Reply", 130: "Multicast Listener",
                       131: "Multicast Listener", 132: "Multicast Listener",
                       133: "Router Solicitation", 134: "Router Advertisement",
                       135: "Neighbor Solicitation", 136: "Neighbor Advertisement",
                       137: "Redirect", 143: "Multicast Listener"})  # fmt: skip

_IP = np.full(256, CODES["IP: Other"], dtype=np.int16)
for _number, _kind in {2: "IGMP", 47: "GRE", 50: "ESP", 132: "SCTP"}.items():
    _IP[_number] = CODES[f"IP: {_kind}"]


def transport_codes(table, length):
    """Name packets by their IP and transport headers alone; -> (n,) int16."""
    protocol, ok = table.protocol, table.transport_header_size > 0
    codes = _IP[protocol]
    rows = np.flatnonzero(protocol == TCP)
    flags = table.flags[rows]
    plain = _FLAGS[flags & 255]
    plain = np.where((length[rows] > 0) & ((flags & 7) == 0), _DATA, plain)
    codes[rows] = np.where(ok[rows], plain, CODES["TCP: Other"])
    rows = np.flatnonzero((protocol == UDP) | (protocol == UDP_LITE))
    empty = ok[rows] & (length[rows] == 0)
    codes[rows] = np.where(empty, CODES["UDP: Empty"], CODES["UDP: Datagram"])
    for number, names in ((ICMP, _ICMP), (ICMPV6, _ICMPV6)):
        rows = np.flatnonzero(protocol == number)
        if len(rows):
            kind = window(table.data, table.transport[rows], table.stop[rows], 1)[:, 0]
            there = table.stop[rows] - table.transport[rows] >= 4
            codes[rows] = np.where(there, names[kind], CODES["ICMP: Other"])
    codes[table.fragment > 0] = CODES["IP: Fragment"]
    return codes


class _Batch:
    """Packets of one table and where they belong."""

    def __init__(self, table, sessions, states):
        self.table, self.data, self.states = table, table.data, states
        self.local = sessions.local
        self.rows = states.rows(sessions.numbers)
        self.stream = self.rows[self.local] * 2 + (sessions.direction < 0)
        self.length = table.payload_size
        # UDP may end before IP does
        udp_rows = np.flatnonzero((table.protocol == UDP) & (table.transport_header_size > 0))
        if len(udp_rows):
            told = number_at(table.data, table.transport[udp_rows] + 4, table.stop[udp_rows])
            own = np.where(told >= 8, told - 8, self.length[udp_rows])
            self.length = self.length.copy()
            self.length[udp_rows] = np.minimum(self.length[udp_rows], own)

    def heads(self, packets, width=_WIDTH):
        """Copy the first payload bytes of packets; shape (n, width)."""
        return window(self.data, self.table.payload[packets], self.table.stop[packets], width)

    def since_first(self, packets, marks, known):
        """Tell, for every packet of `packets`, whether its session was marked by then.

        `packets` and `marks` rise; `known`, of shape (n_sessions,), says so for earlier batches.
        Returns the boolean per packet, and per session the position of its first mark (or the
        number of packets) for values that go with it.
        """
        n = len(self.local)
        first = np.full(len(self.rows), n, dtype=np.int64)
        marked, index = np.unique(self.local[marks], return_index=True)
        first[marked] = marks[index]
        first[known] = -1
        return packets >= first[self.local[packets]], first


class MessageReader:
    """Say what each packet says: packet bytes to messages, session by session.

    Packets come in capture order, in batches of any size; what earlier packets of a session told
    (that it speaks TLS, where in the byte stream its current record ends) is kept between the
    calls. The result does not depend on how a capture is cut into batches.

    A packet says one thing, the first that is complete with it: a segment in the middle of a TLS
    record is "TCP: Data", the one that the record ends in bears its name, as in Wireshark. A
    retransmitted segment is "TCP: Data", too, for what it says was said before.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.messages import MESSAGES, MessageReader
    >>> from sktraffic.packets import SessionTracker, parse_headers
    >>> packet = bytes.fromhex("4500002c0000000040060000" "0a0000010a000002"  # IP
    ...                        "d90301bb00000001000000015018ffff00000000"      # TCP to port 443
    ...                        "15030300")                                    # half an alert
    >>> table = parse_headers(np.frombuffer(packet, np.uint8), np.array([0]), np.array([44]))
    >>> MESSAGES[MessageReader().read(table, SessionTracker().add(table))[0]]
    'TLS: Continuation'
    """

    def __init__(self):
        self._states = SessionStates()

    def forget(self, sessions):
        """Drop what is known of closed sessions.

        Parameters
        ----------
        sessions : array-like of int
            Their ids; unknown ones are no error.
        """
        self._states.forget(sessions)

    def read(self, table, sessions):
        """Name the messages of the next packets of a capture.

        Parameters
        ----------
        table : PacketTable
            With the captured bytes of the packets, possibly cut.
        sessions : PacketSessions
            Which session, and which direction in it, each packet belongs to.

        Returns
        -------
        ndarray of shape (n_packets,), int16
            Index into `sktraffic.messages.MESSAGES`.
        """
        n = len(table)
        if n <= MAX_PACKETS:
            return self._read(table, sessions)
        codes = np.empty(n, dtype=np.int16)
        for begin in range(0, n, MAX_PACKETS):
            rows = slice(begin, begin + MAX_PACKETS)
            codes[rows] = self._read(table.take(rows), sessions.take(rows))
        return codes

    def _read(self, table, sessions):
        batch = _Batch(table, sessions, self._states)
        codes = transport_codes(table, batch.length)
        whole = (table.transport_header_size > 0) & (table.fragment == 0)
        packets = np.flatnonzero(whole & (table.protocol == UDP) & (batch.length > 0))
        if len(packets):
            udp.read_datagrams(batch, packets, codes)
        packets = np.flatnonzero(whole & (table.protocol == TCP))
        if len(packets):
            _read_tcp(batch, packets, codes)
        return codes


def _read_tcp(batch, packets, codes):
    table, states = batch.table, batch.states
    packets = packets[sort_streams(batch.stream[packets])]
    segments, base = track(table, packets, batch.stream[packets], states)
    length, flags = batch.length[packets], table.flags[packets]
    # RFC 9293, section 3.8.4: a probe repeats the last byte or its sequence number.
    probe = (segments.start == segments.high - 1) & (length <= 1) & ((flags & 7) == 0)
    codes[packets[probe]] = CODES["TCP: Keep-Alive"]
    # A FIN without payload can end a message that lasts until the connection closes.
    fresh = ((length > 0) | ((flags & 1) != 0)) & (segments.end > segments.high)
    fresh &= (flags & 6) == 0
    if fresh.any():
        _read_payload(batch, segments[fresh], base[fresh], codes)


def _read_payload(batch, segments, base, codes):
    """Name segments with new payload, and FINs."""
    table, states = batch.table, batch.states
    packets = segments.packet
    heads, length = batch.heads(packets), batch.length[packets]
    spoken, secure = _spoken(batch, packets, heads, length)
    to_server = tcp.PORT_PROTOCOL[table.dst_port[packets]] > 0
    spoken = np.where(secure, tcp.TLS, np.where(length > 0, spoken, -spoken))
    named = tcp.payload_codes(
        spoken, batch.data, table.payload[packets], table.stop[packets], heads, length,
        to_server,
    )  # fmt: skip
    codes[packets] = np.where(named >= 0, named, codes[packets])
    rows = np.flatnonzero(secure & (length > 0))
    if len(rows):
        label = _tls_labels(batch, segments[rows], base[rows], heads[rows], states)
        _apply(codes, packets[rows], label, CODES["TLS: Continuation"])
    rows = np.flatnonzero(np.abs(spoken) == tcp.HTTP)
    if len(rows):
        label = _http_labels(batch, segments[rows], base[rows], heads[rows], states)
        label = np.where((label == CUT) & (length[rows] == 0), INSIDE, label)
        _apply(codes, packets[rows], label, CODES["HTTP: Continuation"])


def _apply(codes, packets, label, cut):
    """Write the labels of `follow_records`; a segment inside a message keeps TCP's name."""
    said = np.where(label == INSIDE, codes[packets], label)
    codes[packets] = np.where(label == CUT, cut, said)


def _http_labels(batch, segments, base, heads, states):
    """Follow HTTP messages over segments; the label of each segment."""
    table, packets = batch.table, segments.packet
    payload, stop = table.payload[packets], table.stop[packets]
    length = batch.length[packets]
    code = tcp.http_codes(heads)
    at = np.flatnonzero((code >= 0) & (length > 0) & (segments.start >= segments.high))
    begin = segments.start[at]
    if len(at):
        size = find_http_records(batch.data, payload[at], stop[at], length[at], code[at])
        end = np.where(size == OPEN, OPEN, begin + np.minimum(size, 1 << 44))
    else:
        end = begin
    ends = window(batch.data, np.maximum(stop - 4, payload), stop, 4)
    closes = (ends == np.frombuffer(b"\r\n\r\n", dtype=np.uint8)).all(axis=1)
    # The empty line may come alone.
    closes |= (length == 2) & (heads[:, 0] == 13) & (heads[:, 1] == 10)
    # The first segment of an open message is complete with itself only as `size` says.
    closes[at[end == OPEN]] = False
    closes |= (table.flags[packets] & 1) != 0
    return follow_records(
        segments.trimmed(), base, (at, begin, end, code[at]), closes, states, strict=False
    )


def _spoken(batch, packets, heads, length):
    """Tell what the session of each segment speaks by then, and whether it speaks TLS."""
    table, states = batch.table, batch.states
    told = tcp.evidence(heads, length)
    order = np.argsort(packets)
    ranked, told_ranked = packets[order], told[order]
    known = states.speaks[batch.rows]
    marks = np.flatnonzero(told_ranked > 0)
    since, first = batch.since_first(packets, ranked[marks], known > 0)
    value = np.zeros(len(batch.local), dtype=np.int16)
    value[packets] = told
    new = (first >= 0) & (first < len(value))
    speaks = np.where(new, value[np.minimum(first, len(value) - 1)], known)
    states.speaks[batch.rows] = speaks
    ports = tcp.PORT_PROTOCOL
    low = np.minimum(table.src_port[packets], table.dst_port[packets])
    high = np.maximum(table.src_port[packets], table.dst_port[packets])
    by_port = np.where(ports[low] > 0, ports[low], ports[high])
    spoken = np.where(by_port > 0, by_port, np.where(since, speaks[batch.local[packets]], 0))
    tls = np.flatnonzero(told_ranked == tcp.TLS)
    secure, first = batch.since_first(packets, ranked[tls], states.secure[batch.rows])
    states.secure[batch.rows] |= first < len(value)
    return spoken, secure | (spoken == tcp.TLS)


def _tls_labels(batch, segments, base, heads, states):
    """Follow TLS records over segments; the label of each segment."""
    table, packets = batch.table, segments.packet
    payload, stop = table.payload, table.stop
    wanted = np.zeros(len(batch.local), dtype=bool)
    wanted[packets] = True
    index = np.zeros(len(batch.local), dtype=np.int64)
    index[packets] = np.arange(len(packets))
    packet, place, length, code = find_tls_records(batch.data, payload, stop, wanted)
    at = index[packet]
    begin = segments.start[at] + place - payload[packet]
    new = begin >= segments.high[at]
    at, begin, length, code = at[new], begin[new], length[new], code[new]
    records = [(at, begin, begin + length, code)]
    records.append(_split_records(batch, segments, base, heads, states))
    records = [np.concatenate(part) for part in zip(*records, strict=True)]
    # by segment they are nearly in the order of the streams: what sorts them then has little to do
    order = np.argsort(records[0].astype(np.uint16), kind="stable")
    records = tuple(column[order] for column in records)
    closes = np.zeros(len(packets), dtype=bool)
    return follow_records(segments.trimmed(), base, records, closes, states)


def _split_records(batch, segments, base, heads, states):
    """Propose the records whose heads lie across two segments."""
    table, packets = batch.table, segments.packet
    payload, stop = table.payload[packets], table.stop[packets]
    size = stop - payload
    full = (size == batch.length[packets]) & (size >= 4)
    tails = window(batch.data, np.where(full, stop - 4, 0), np.where(full, stop, 0), 4)
    opening = np.append(True, segments.run[1:] != segments.run[:-1])
    before = np.empty_like(tails)
    before[1:] = tails[:-1]
    stream = segments.stream
    before[opening] = np.where(segments.fresh[opening, None], 0, states.tail[stream[opening]].view(
        np.uint8).reshape(-1, 4))  # fmt: skip
    closing = np.append(stream[1:] != stream[:-1], True)
    states.tail[stream[closing]] = tails[closing].view("V4").reshape(-1)
    joined = segments.start == segments.high
    pair, back, length, code = split_heads(before, heads[:, :HEAD], size)
    good = joined[pair]
    pair, back, length, code = pair[good], back[good], length[good], code[good]
    begin = segments.start[pair] - back
    return pair, begin, begin + length, code
