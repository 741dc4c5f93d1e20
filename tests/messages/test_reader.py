"""Packet bytes to messages: hand-made packets, garbage, and batches of any size."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktraffic.messages import MESSAGES, MessageReader
from sktraffic.messages._streams import SessionStates
from sktraffic.packets import PacketSessions, parse_headers, window
from tests.messages._build import handshake, ip4, ip6, record, tcp, tcp4, udp, udp4
from tests.messages._packets import Packets, load

DATA = "TCP: Data"


def say(*packets):
    """Messages of packets given in capture order."""
    return [MESSAGES[code] for code in Packets(packets).read(MessageReader())]


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (ip4(tcp(flags=0x02), 6), "TCP: SYN"),
        (ip4(tcp(flags=0x12), 6), "TCP: SYN-ACK"),
        (ip4(tcp(flags=0x10), 6), "TCP: ACK"),
        (ip4(tcp(flags=0x11), 6), "TCP: FIN"),
        (ip4(tcp(flags=0x14), 6), "TCP: RST"),
        (ip4(tcp(flags=0x00), 6), "TCP: Other"),
        (ip4(tcp(b"x", ports=(1, 2)), 6), DATA),
        (ip4(tcp(b"x", ports=(1, 2)), 6, options=b"\x01" * 8), DATA),
        (ip4(tcp(b"x", ports=(1, 2), options=b"\x01" * 12), 6), DATA),
        (ip4(tcp(b"x"), 6)[:30], "TCP: Other"),
        (ip4(udp(b"x"), 17), "UDP: Datagram"),
        (ip4(udp(b""), 17) + b"\0" * 18, "UDP: Empty"),
        (ip4(udp(b"x"), 17, fragment=0x2000), "IP: Fragment"),
        (ip4(b"anything", 17, fragment=0x00B9), "IP: Fragment"),
        (ip4(b"\0" * 20, 50), "IP: ESP"),
        (ip4(b"\0" * 20, 47), "IP: GRE"),
        (ip4(b"\x16" + b"\0" * 7, 2), "IP: IGMP"),
        (ip4(b"\x08\0\0\0", 1), "ICMP: Echo Request"),
        (ip4(b"\x0b\0\0\0", 1), "ICMP: Time Exceeded"),
        (ip6(b"\x87\0\0\0", 58), "ICMP: Neighbor Solicitation"),
        (ip6(b"\x8f\0\0\0", 58, b"\x3a\0" + b"\0" * 6, 0), "ICMP: Multicast Listener"),
        (ip6(udp(b"x"), 17, b"\x2b\0" + b"\0" * 6 + b"\x11\1" + b"\0" * 14, 60), "UDP: Datagram"),
        (ip6(udp(b"x"), 17, b"\x11\0\0\1\0\0\0\1", 44), "IP: Fragment"),
        (ip6(udp(b"x"), 17, b"\x11\0\0\x88\0\0\0\1", 44), "IP: Fragment"),
        (b"\x45", "IP: Other"),
    ],
)
def test_headers_alone(packet, message):
    """Flags, types and fragments, behind options and extension headers too."""
    assert say(packet) == [message]


def _dns(kind, flags=0x0100, name=b"\3www\7example\3org\0"):
    return struct.pack(">HHHHHH", 1, flags, 1, 0, 0, 0) + name + struct.pack(">HH", kind, 1)


_STUN = struct.pack(">HHI", 1, 0, 0x2112A442) + b"t" * 12
_DHCP = b"\1\1\6\0" + b"\0" * 232 + b"\x63\x82\x53\x63"


@pytest.mark.parametrize(
    ("payload", "port", "message"),
    [
        (_dns(1), 53, "DNS: Query A"),
        (_dns(28), 53, "DNS: Query AAAA"),
        (_dns(65), 53, "DNS: Query HTTPS"),
        (_dns(1, 0x8180), 53, "DNS: Response"),
        (_dns(1, 0x8183), 53, "DNS: No Such Name"),
        (_dns(1, 0x8182), 53, "DNS: Response Error"),
        (_dns(16), 4000, "DNS: Query TXT"),
        (_dns(12, 0), 5353, "mDNS: Query PTR"),
        (_dns(12, 0x8400), 5353, "mDNS: Response"),
        (_dns(1, 0), 5355, "LLMNR: Query"),
        (_dns(32, 0x0110), 137, "NBNS: Name Query"),
        (_dns(33, 0), 137, "NBNS: Status Query"),
        (_dns(32, 0x2910), 137, "NBNS: Registration"),
        (_DHCP + b"\x35\1\1\xff", 67, "DHCP: Discover"),
        (_DHCP + b"\0\x0c\3abc\x35\1\5\xff", 67, "DHCP: ACK"),
        (_DHCP + b"\xff", 67, "DHCP: Other"),
        (b"\x01\0\0\1", 547, "DHCP: Discover"),
        (b"\x23" + b"\0" * 47, 123, "NTP: Client"),
        (_STUN, 9000, "STUN: Binding Request"),
        (b"\1\1" + _STUN[2:], 9000, "STUN: Binding Success Response"),
        (b"d1:ad2:id20:", 6000, "BitTorrent: DHT"),
        (b"\xc0\0\0\0\1\x08" + b"c" * 1200, 443, "QUIC: Initial"),
        (b"\xe0\0\0\0\1\x08" + b"c" * 1200, 443, "QUIC: Handshake"),
        (b"\xd0\x6b\x33\x43\xcf\x08" + b"c" * 1200, 443, "QUIC: Initial"),
        (b"\x80\0\0\0\0\1c\1c\0\0\0\1", 443, "QUIC: Version Negotiation"),
        (b"\x0dcccccccciQ039", 443, "UDP: Datagram"),
        (b"\x0dccccccccQ039\1" + b"h" * 12 + b"\xa0\1\0\0CHLO", 443, "QUIC: Initial"),
        (record(22, b"\1" + b"\0" * 24, 0xFEFD), 443, "UDP: Datagram"),
        (b"\x16\xfe\xfd" + b"\0" * 8 + b"\0\x19\1\0\0\x0d" + b"\0" * 7 + b"\x0d" + b"\0" * 13,
         9000, "DTLS: Client Hello"),
        (b"\x17\xfe\xfd\0\1" + b"\0" * 6 + b"\0\5hello", 9000, "DTLS: Application Data"),
        (b"\x80\xc9\0\1ssrc", 9000, "RTP: Control"),
        (b"\0\0\0\7" + b"e" * 60, 4500, "IP: ESP"),
        (b"\0\0\0\0" + b"k" * 60, 4500, "UDP: Datagram"),
        (b"\xff", 4500, "UDP: Datagram"),
    ],
)  # fmt: skip
def test_one_datagram(payload, port, message):
    """What its bytes say, at the ports that Wireshark knows and at others."""
    assert say(udp4(payload, ports=(50000, port))) == [message]


def test_a_quic_session_keeps_speaking_quic():
    """A short header is QUIC's after a long one, in both directions, and nobody's before."""
    short, long = b"\x40" + b"p" * 30, b"\xc0\0\0\0\1\x08" + b"c" * 1200
    other = udp4(short, ports=(50001, 443))
    assert say(udp4(short), udp4(long), udp4(short, back=True), other) == [
        "UDP: Datagram", "QUIC: Initial", "QUIC: Protected Payload", "UDP: Datagram",
    ]  # fmt: skip


def test_rtp_is_known_by_its_going_on():
    """From the second packet in sequence on; a lone look-alike is a datagram."""
    packets = [
        udp4(struct.pack(">BBHII", 0x80, 8, n, 160 * n, 7) + b"a" * 160) for n in (9, 10, 11)
    ]
    assert say(*packets) == ["UDP: Datagram", "RTP: PCMA", "RTP: PCMA"]
    assert say(packets[0], packets[0]) == ["UDP: Datagram"] * 2


def test_channel_data_needs_stun_before():
    """The same bytes are ChannelData in a session that spoke STUN, else a datagram."""
    channel = b"\x40\0\0\4data"
    assert say(udp4(channel), udp4(_STUN), udp4(channel))[::2] == [
        "UDP: Datagram", "STUN: ChannelData",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "port", "back", "message"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 8000, False, "HTTP: GET"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 8000, True, "HTTP: Response 4xx"),
        (b"PROPFIND / HTTP/1.1\r\n\r\n", 80, False, "HTTP: Request"),
        (b"get lower case", 80, False, DATA),
        (b"OPTIONS rtsp://10.0.0.2/ RTSP/1.0\r\n\r\n", 554, False, DATA),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", 80, False, "HTTP: OPTIONS"),
        (b"SSH-2.0-OpenSSH\r\n", 22, True, "SSH: Protocol"),
        (b"\0\0\0\x0c\x0a\x15" + b"\0" * 10, 22, False, "SSH: New Keys"),
        (b"\x9e\x81\xaa\x0c\x0a\x15" + b"\0" * 10, 22, False, "SSH: Encrypted Packet"),
        (b"USER me\r\n", 21, False, "FTP: Request USER"),
        (b"230 Welcome\r\n", 21, True, "FTP: Response 2xx"),
        (b"ehlo me\r\n", 25, False, "SMTP: EHLO"),
        (b"354 Go on\r\n", 25, True, "SMTP: Reply 3xx"),
        (b"a1 LOGIN me secret\r\n", 143, False, "IMAP: LOGIN"),
        (b"* OK ready\r\n", 143, True, "IMAP: Response"),
        (b"RETR 1\r\n", 110, False, "POP3: RETR"),
        (b"-ERR no\r\n", 110, True, "POP3: Error"),
        (b"\x13BitTorrent protocol" + b"\0" * 48, 40000, False, "BitTorrent: Handshake"),
        (b"\0\0\0\1\2", 6881, False, "BitTorrent: Interested"),
        (struct.pack(">H", len(_dns(1))) + _dns(1), 53, False, "DNS: Query A"),
        (_STUN, 3478, False, "STUN: Binding Request"),
        (b"no TLS", 443, False, "TLS: Continuation"),
        (handshake(1), 40000, False, "TLS: Client Hello"),
        (handshake(2), 443, True, "TLS: Server Hello"),
        (handshake(2, b"\3\3" + bytes.fromhex("cf21ad74e59a6111") + b"\0" * 40), 443, True,
         "TLS: Hello Retry Request"),
        (handshake(11, b"c" * 900), 443, True, "TLS: Certificate"),
        (record(22, b"\0" * 40), 443, False, "TLS: Encrypted Handshake Message"),
        (record(20, b"\1") + record(22, b"\0" * 40), 443, False, "TLS: Change Cipher Spec"),
        (record(21, b"\2\x28"), 443, False, "TLS: Alert"),
        (record(21, b"e" * 26), 443, False, "TLS: Encrypted Alert"),
        (record(23, b"e" * 90), 443, False, "TLS: Application Data"),
    ],
)  # fmt: skip
def test_one_segment(payload, port, back, message):
    """What its first message says."""
    assert say(tcp4(payload, back=back, ports=(50000, port))) == [message]


def _segments(stream, cuts, seq=1000, **fields):
    edges = [0, *cuts, len(stream)]
    return [tcp4(stream[a:b], seq=seq + a, **fields) for a, b in pairwise(edges)]


def test_a_record_is_named_where_it_ends():
    """Segments in the middle of a record are TCP's, whatever they look like."""
    inside = record(23, b"q" * 20)
    stream = record(23, b"x" * 95 + inside[:5] + b"y" * 200) + record(21, b"e" * 26)
    names = say(*_segments(stream, (50, 100, 250, 305)))
    assert names == [DATA, DATA, DATA, "TLS: Application Data", "TLS: Encrypted Alert"]


@pytest.mark.parametrize("back", [1, 2, 3, 4])
def test_a_record_head_may_lie_across_segments(back):
    """The head of the second record begins one to four bytes before the boundary."""
    first, second = record(23, b"x" * 95), record(21, b"e" * 300)
    cut = 100 + back
    assert say(*_segments(first + second, (cut, 250))) == [
        "TLS: Application Data", DATA, "TLS: Encrypted Alert",
    ]  # fmt: skip


@pytest.mark.parametrize("seq", [1000, 2**32 - 120, 2**32 - 1])
def test_sequence_numbers_wrap_around(seq):
    """The end of a record is found beyond 2**32."""
    stream = record(23, b"x" * 295) + record(21, b"e" * 26)
    names = say(*_segments(stream, (100, 200, 300), seq=seq))
    assert names == [DATA, DATA, "TLS: Application Data", "TLS: Encrypted Alert"]


def test_a_retransmission_says_nothing_new():
    """It is TCP's, and the records behind it are still found."""
    one, two, three = _segments(record(23, b"x" * 95) + record(21, b"e" * 26) + b"?", (100, 131))
    names = say(one, one, two, one, two, three)
    assert names == ["TLS: Application Data", DATA, "TLS: Encrypted Alert", DATA, DATA,
                     "TLS: Continuation"]  # fmt: skip


def test_records_are_found_again_behind_a_gap():
    """A lost segment in the middle of a record does no harm; its end is known by number."""
    segments = _segments(record(23, b"x" * 395) + record(21, b"e" * 26), (100, 200, 300, 400))
    assert say(segments[0], *segments[2:]) == [
        DATA, DATA, "TLS: Application Data", "TLS: Encrypted Alert",
    ]  # fmt: skip


def test_directions_and_sessions_are_followed_apart():
    """The same numbers in the other direction and in another session are other streams."""
    up, down = _segments(record(23, b"x" * 195), (100,))
    other = tcp4(record(21, b"e" * 26), ports=(50001, 443), seq=1100)
    answer = tcp4(handshake(2), back=True, seq=1100)
    assert say(up, answer, other, down) == [
        DATA, "TLS: Server Hello", "TLS: Encrypted Alert", "TLS: Application Data",
    ]  # fmt: skip


def test_a_syn_begins_anew():
    """A port used again does not continue the old record."""
    half = _segments(record(23, b"x" * 195), (100,))[0]
    syn = tcp4(flags=2, seq=5000)
    assert say(half, syn, tcp4(record(21, b"e" * 26), seq=5001))[-1] == "TLS: Encrypted Alert"


def test_a_session_may_switch_to_tls():
    """SMTP until STARTTLS is answered with a hello."""
    ports = (50000, 25)
    names = say(
        tcp4(b"STARTTLS\r\n", ports=ports),
        tcp4(b"220 Go\r\n", back=True, ports=ports),
        tcp4(handshake(1), seq=11, ports=ports),
        tcp4(b"?" * 9, seq=11 + len(handshake(1)), ports=ports),
    )
    assert names == ["SMTP: STARTTLS", "SMTP: Reply 2xx", "TLS: Client Hello", "TLS: Continuation"]


def test_keep_alive_repeats_the_last_byte():
    """RFC 9293, section 3.8.4; with that byte or without it."""
    names = say(tcp4(b"abc", ports=(1, 2)), tcp4(b"", seq=3, flags=16, ports=(1, 2)),
                tcp4(b"c", seq=3, flags=16, ports=(1, 2)))  # fmt: skip
    assert names == [DATA, "TCP: Keep-Alive", "TCP: Keep-Alive"]


def test_an_http_body_ends_where_its_length_says():
    """The segment with the last byte bears the name, what follows is the next message."""
    ports = (50000, 80)
    head = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length:  120\r\n\r\n"
    stream = head + b"b" * 120 + b"HTTP/1.1 304 Not Modified\r\n\r\n"
    cuts = (len(head), len(head) + 60, len(head) + 120)
    assert say(*_segments(stream, cuts, ports=ports, back=True)) == [
        DATA, DATA, "HTTP: Response 2xx", "HTTP: Response 3xx",
    ]  # fmt: skip


def test_a_chunked_body_ends_with_the_empty_chunk():
    """RFC 9112, section 7.1."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    stream = head + b"5\r\nhello\r\n" + b"0\r\n\r\n" + b"rest"
    cuts = (len(head), len(head) + 10, len(head) + 15)
    assert say(*_segments(stream, cuts, ports=(50000, 80), back=True)) == [
        DATA, DATA, "HTTP: Response 2xx", "HTTP: Continuation",
    ]  # fmt: skip


def test_a_body_without_length_ends_with_the_connection():
    """RFC 9112, section 6.3: the FIN completes the response."""
    stream = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"
    one, two = _segments(stream, (20,), ports=(50000, 80), back=True)
    fin = tcp4(flags=0x11, seq=1000 + len(stream), ports=(50000, 80), back=True)
    assert say(one, two, fin) == [DATA, DATA, "HTTP: Response 2xx"]


def test_an_unfinished_body_ends_with_the_next_message():
    """The response to HEAD has a length and no body: the next one is found all the same."""
    ports = (50000, 80)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    stream = head + b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc"
    names = say(*_segments(stream, (len(head), len(stream) - 3), ports=ports, back=True))
    assert names == [DATA, DATA, "HTTP: Response 4xx"]


def test_what_was_seen_before_does_not_count():
    """A segment that repeats some bytes and brings new ones says what is new."""
    stream = record(23, b"x" * 95) + record(21, b"e" * 26)
    first, again = tcp4(stream[:100], seq=1000), tcp4(stream[50:], seq=1050)
    assert say(first, again) == ["TLS: Application Data", "TLS: Encrypted Alert"]


def test_closed_sessions_are_forgotten():
    """A forgotten session starts anew and its memory is used again."""
    half, rest = _segments(record(23, b"x" * 195), (100,))
    packets, reader = Packets([half, rest]), MessageReader()
    packets.read(reader, 0, 1)
    reader.forget([packets.session[0], 12345])
    assert MESSAGES[packets.read(reader, 1, 2)[0]] == "TLS: Continuation"
    states = SessionStates()
    first = states.rows(np.arange(5)).tolist()
    states.forget([1, 3])
    assert sorted(states.rows(np.array([7, 8]))) == sorted([first[1], first[3]])
    assert len(states) == 5


@pytest.mark.parametrize(
    "name",
    ["1kxun.pcap", "heuristic_tcp_ack_payload.pcap", "quickplay.pcap", "whatsappfiles.pcap"],
)
def test_real_captures_may_be_cut_anywhere(traffic_data, name):
    """Captures with losses, late segments and repeated bytes: small batches change nothing."""
    packets, reader = load(traffic_data / "ndpi" / "pcap" / name), MessageReader()
    edges = [*range(0, len(packets), 37), len(packets)]
    parts = [packets.read(reader, a, b) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), packets.read(MessageReader()))


def test_window_stays_inside_the_slice():
    """Rows equal plain slicing with zeros behind the end, wherever the slices lie."""
    rng = np.random.default_rng(0)
    data = rng.integers(1, 256, 60, dtype=np.uint8)
    start = rng.integers(0, 70, 200)
    stop = start + rng.integers(-3, 20, 200)
    for row, a, b in zip(window(data, start, stop, 8), start, stop, strict=True):
        expected = bytes(data[a : max(a, b)])[:8].ljust(8, b"\0")
        assert row.tobytes() == expected


# Pieces that make garbage interesting: heads of what the reader knows, cut and joined at will.
_PIECES = [
    handshake(1), record(23, b"x" * 60), record(20, b"\1"), b"\x17\3\3\x40\0", b"\x16\3", _STUN,
    b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n", b"SSH-2.0-x\r\n", _dns(1), _DHCP,
    b"\x13BitTorrent protocol", b"\xc0\0\0\0\1\x08", b"\x0dccccccccQ039", b"\x80\x08\0\1" * 5, b"",
    b"\x40\0\0\4", b"\x35\1\1", b"\xff" * 9,
]  # fmt: skip
_PORTS = st.sampled_from([443, 53, 80, 25, 22, 67, 123, 137, 3478, 5353, 6881, 50000, 50001])
_TEXT = st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=40)), max_size=4).map(
    b"".join
)
_SEQ = st.one_of(
    st.integers(0, 400), st.integers(2**32 - 200, 2**32 - 1), st.integers(0, 2**32 - 1)
)


@st.composite
def _packets(draw):
    ports = (draw(_PORTS), draw(_PORTS))
    payload = draw(_TEXT)
    if draw(st.booleans()):
        flags = draw(st.sampled_from([0x18, 0x10, 0x11, 0x02, 0x12, 0x04, 0, 255]))
        packet = tcp4(payload, ports=ports, seq=draw(_SEQ), flags=flags, back=draw(st.booleans()))
    else:
        packet = udp4(payload, ports=ports, back=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(packet) - 1))
        packet = packet[:at] + bytes([draw(st.integers(0, 255))]) + packet[at + 1 :]
    return packet[: draw(st.integers(1, 200))]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=12))
def test_garbage_gives_valid_codes(packets):
    """Any bytes are some message; headers never point outside their packet."""
    data = np.frombuffer(b"".join(packets), dtype=np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in packets])]).astype(np.int64)
    n = len(packets)
    session, direction = np.arange(n) // 3, np.where(np.arange(n) % 2, 1, -1)
    table = parse_headers(data, offsets[:-1], offsets[1:])
    codes = MessageReader().read(table, PacketSessions.given(table, session, direction))
    assert codes.shape == (n,)
    assert ((codes >= 0) & (codes < len(MESSAGES))).all()
    for place in (table.transport, table.payload, table.stop):
        assert ((place >= offsets[:-1]) & (place <= offsets[1:])).all()
    assert (table.payload <= table.stop).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(_packets(), min_size=1, max_size=25), st.data())
def test_batches_of_any_size_give_the_same(packets, data):
    """Cutting a capture anywhere, packet by packet too, changes no message."""
    packets = Packets(packets)
    whole = packets.read(MessageReader())
    assert ((whole >= 0) & (whole < len(MESSAGES))).all()
    cuts = data.draw(st.lists(st.integers(0, len(packets)), max_size=6))
    for edges in (sorted({0, *cuts, len(packets)}), range(len(packets) + 1)):
        reader = MessageReader()
        parts = [packets.read(reader, a, b) for a, b in pairwise(edges)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
