"""ByteTokens against hand-made packets and against tshark's field positions."""

import json
import shutil
import struct
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sktraffic.feature_extraction import ByteTokens
from sktraffic.feature_extraction._masking import DEFAULT_MASK, MASKS, byte_mask
from sktraffic.packets import parse_headers
from sktraffic.ragged import list_column

SRC4, DST4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
SRC6, DST6 = bytes(range(16)), bytes(range(16, 32))


def ip4(payload, protocol=17, options=b"", fragment=0, length=None):
    size = 20 + len(options)
    total = size + len(payload) if length is None else length
    head = struct.pack(">BBHHHBBH", 0x40 | size // 4, 0, total, 77, fragment, 64, protocol, 99)
    return head + SRC4 + DST4 + options + payload


def ip6(payload, protocol=17, label=0x12345):
    head = struct.pack(">IHBB", 6 << 28 | label, len(payload), protocol, 64)
    return head + SRC6 + DST6 + payload


def udp(payload):
    return struct.pack(">HHHH", 1111, 53, 8 + len(payload), 5) + payload


def tcp(payload, options=b""):
    offset = (20 + len(options)) // 4 << 4
    return struct.pack(">HHIIBBHHH", 443, 5000, 7, 8, offset, 0x18, 9, 10, 0) + options + payload


def laid_out(*packets):
    """Packets side by side: their bytes, where each begins and where it ends."""
    ends = np.cumsum([0] + [len(packet) for packet in packets])
    return np.frombuffer(b"".join(packets), np.uint8), ends[:-1], ends[1:]


def masks(*packets, mask):
    """Which bytes of each packet are hidden."""
    data, at, stop = laid_out(*packets)
    return np.split(byte_mask(data, at, stop, mask), stop[:-1])


def hidden(packet, mask=DEFAULT_MASK):
    """Positions that are masked in one packet."""
    return set(np.flatnonzero(masks(packet, mask=mask)[0]).tolist())


def ranges(*bounds):
    return {position for start, stop in bounds for position in range(start, stop)}


def table(*sessions):
    flat = [packet for session in sessions for packet in session]
    offsets = np.cumsum([0] + [len(s) for s in sessions])
    return pd.DataFrame({"packet_bytes": list_column(flat, offsets, pa.binary())})


STAMPS = bytes([1, 1, 8, 10]) + bytes(8)
SACK = bytes([1, 1, 5, 10]) + bytes(8)
IP4 = [(4, 6), (10, 12), (12, 20)]
IP6 = [(1, 4), (8, 40)]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (ip4(udp(b"abc")), [*IP4, (20, 24), (26, 28)]),
        (ip4(tcp(b"abc"), 6), [*IP4, (20, 24), (24, 32), (36, 38)]),
        (ip4(tcp(b"a", STAMPS), 6), [*IP4, (20, 32), (36, 38), (44, 52)]),
        (ip4(tcp(b"a", STAMPS + SACK), 6), [*IP4, (20, 32), (36, 38), (44, 52), (56, 64)]),
        (ip4(udp(b"abc"), options=bytes(8)), [(4, 6), (10, 28), (28, 32), (34, 36)]),
        (ip6(udp(b"abc")), [*IP6, (40, 44), (46, 48)]),
        (ip6(bytes([17, 0] + [0] * 6) + udp(b"a"), 0), [*IP6, (48, 52), (54, 56)]),
        (ip6(bytes([17, 0, 0, 1, 9, 9, 9, 9]) + udp(b"a"), 44), [*IP6, (44, 52), (54, 56)]),
        (ip6(bytes([17, 0, 0, 9, 9, 9, 9, 9]) + b"abc", 44), [*IP6, (44, 48)]),
        (ip6(bytes([6, 4] + [0] * 22) + tcp(b"a"), 51), [*IP6, (44, 64), (64, 76), (80, 82)]),
        (ip4(b"abc", fragment=5), IP4),
        (ip4(bytes([8, 0, 1, 1, 2, 2, 0, 0]) + b"ping", 1), [*IP4, (22, 26)]),
        (
            ip4(bytes([3, 3, 1, 1, 0, 0, 0, 0]) + ip4(udp(b"")), 1),
            [*IP4, (22, 24), (32, 34), (38, 52), (54, 56)],
        ),
        (ip4(ip6(udp(b"a")), 41), [*IP4, (21, 24), (28, 60), (60, 64), (66, 68)]),
        (ip4(b"\x00\x00\x08\x00" + ip4(udp(b"")), 47), [*IP4, (28, 30), (34, 48), (50, 52)]),
        (ip6(bytes([135, 0, 1, 1] + [0] * 4 + [7] * 24), 58), [*IP6, (42, 44), (48, 72)]),
        (ip4(bytes([0x16, 0, 1, 1, 224, 0, 0, 1]), 2), [*IP4, (22, 28)]),
        (ip4(struct.pack(">HHII", 1, 2, 3, 4) + b"abc", 132), [*IP4, (20, 32)]),
        (b"\x01\x02 no IP packet", [(0, 15)]),
        (ip4(tcp(b"abc"), 6)[:25], [*IP4, (20, 25)]),
        (ip4(udp(b"abc"))[:14], [(4, 6), (10, 14)]),
    ],
    ids=(
        "udp tcp timestamps sack options udp6 hopbyhop first-fragment later-fragment ah fragment "
        "echo unreachable 6in4 gre neighbour igmp sctp opaque cut-tcp cut-ip"
    ).split(),
)
def test_masked_positions_by_hand(packet, expected):
    """The default policy hides exactly the documented ranges of each kind of packet."""
    assert hidden(packet) & set(range(len(packet))) == ranges(*expected)


def test_ttl_and_no_mask():
    """TTL and hop limit are hidden on request only; without a policy nothing is."""
    assert hidden(ip4(udp(b"abc")), ("ttl",)) == {8}
    assert hidden(ip6(udp(b"abc")), ("ttl",)) == {7}
    assert hidden(ip4(udp(b"abc")), ()) == set()


def client_hello(name, before=b""):
    """TLS Client Hello with an extension in front of the server name."""
    sni = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    extensions = before + sni + struct.pack(">HH", 23, 0)
    body = b"\x03\x03" + bytes(32) + b"\x02xx" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def test_server_name_is_hidden_on_request():
    """Exactly the name's bytes are hidden, wherever the extension stands; also in a cut packet."""
    for before in (b"", struct.pack(">HH", 10, 3) + b"abc"):
        packet = ip4(tcp(client_hello(b"example.org", before), STAMPS), 6)
        at = packet.index(b"example.org")
        assert hidden(packet, ("sni",)) == ranges((at, at + 11))
        assert hidden(packet[: at + 4], ("sni",)) == ranges((at, at + 4))
    assert hidden(ip4(tcp(b"\x16\x03\x01\x00"), 6), ("sni",)) == set()


def test_hosts_and_moments_do_not_reach_the_tokens():
    """Two packets that differ in all that is masked, and in nothing else, give equal tokens."""
    one = ip4(tcp(b"GET /", STAMPS), 6)
    other = bytearray(one)
    for position in ranges((4, 6), (10, 20), (20, 32), (36, 38), (44, 52)):
        other[position] ^= 0xFF
    tokens = ByteTokens(80, start="ip").fit_transform(table([one], [bytes(other)]))
    np.testing.assert_array_equal(tokens[0], tokens[1])
    other[52] ^= 1
    tokens = ByteTokens(80, start="ip").fit_transform(table([one], [bytes(other)]))
    assert (tokens[0] != tokens[1]).sum() == 1


def test_payload_bytes_and_separators_by_hand():
    """Payload bytes + 3, a 2 between packets, packets without payload left out, zeros behind."""
    X = table([ip4(udp(b"\x00\xff")), ip4(tcp(b""), 6), ip4(tcp(b"\x05"), 6)], [ip6(udp(b""))], [])
    tokens = ByteTokens(n_bytes=3, n_packets=2)
    out = tokens.fit_transform(X)
    np.testing.assert_array_equal(out, [[3, 258, 2, 8, 0, 0, 0], [0] * 7, [0] * 7])
    assert tokens.vocabulary_size_ == 259 and out.dtype == np.int32


def test_pairs_by_hand():
    """Bytes a, b, c give the pairs (a, b), (b, c); one byte gives none."""
    X = table([ip4(udp(b"\x01\x02\x03")), ip4(udp(b"\x09")), ip4(udp(b"\xff\xff"))])
    tokens = ByteTokens(n_bytes=3, n_packets=2, tokens="pair")
    expected = [[3 + 258, 3 + 515, 2, 65_538, 0]]
    np.testing.assert_array_equal(tokens.fit_transform(X), expected)
    assert tokens.vocabulary_size_ == 65_539


def test_pairs_with_a_masked_byte_are_masked():
    """From the IP header on, each pair that touches the masked identification is masked."""
    packet = ip4(udp(b""))
    out = ByteTokens(8, n_packets=1, tokens="pair", start="ip", mask=["ip_id"])
    np.testing.assert_array_equal(out.fit_transform(table([packet]))[0] == 1, [0, 0, 0, 1, 1, 1, 0])


def test_ethernet_padding_is_left_out():
    """Bytes behind the IP packet's end are no payload; a length of 0 means as captured."""
    packet = ip4(udp(b"ab"))
    X = table([packet + b"padding"], [packet], [ip4(tcp(b"ab"), 6, length=0)])
    for start in ("payload", "ip"):
        out = ByteTokens(60, n_packets=1, start=start).fit_transform(X)
        np.testing.assert_array_equal(out[0], out[1])
    payload = ByteTokens(4, n_packets=1).fit_transform(X)
    np.testing.assert_array_equal(payload, [[100, 101, 0, 0]] * 3)


def test_every_token_is_in_the_vocabulary(make_sessions, rng):
    """Random bytes of any kind are parsed without error into ids of the vocabulary."""
    X = make_sessions(300, rng)
    for kind in ("byte", "pair"):
        for start in ("payload", "ip"):
            tokens = ByteTokens(40, tokens=kind, start=start, mask=MASKS).fit(X)
            out = tokens.transform(X)
            assert out.min() >= 0 and out.max() < tokens.vocabulary_size_
            assert out.shape[1] == len(tokens.get_feature_names_out())


def test_missing_packets_and_slices_are_read_right():
    """Nulls are empty packets, and a part of a table gives the rows of the whole."""
    packets = [ip4(udp(b"\x01\x02")), None, b"", ip4(udp(b"\x03"))]
    X = pd.DataFrame({"packet_bytes": list_column(packets, [0, 2, 3, 4], pa.binary())})
    tokens = ByteTokens(n_bytes=2, n_packets=2)
    whole = tokens.fit_transform(X)
    np.testing.assert_array_equal(whole, [[4, 5, 0, 0, 0], [0] * 5, [6, 0, 0, 0, 0]])
    np.testing.assert_array_equal(tokens.transform(X.iloc[1:]), whole[1:])


def test_damaged_headers_are_harmless(rng):
    """Noise behind plausible first bytes: bounds stay inside, and no packet disturbs another."""
    noise = rng.integers(0, 256, (3000, 120), dtype=np.uint8)
    noise[:, 0] = rng.choice([0x45, 0x46, 0x4F, 0x40, 0x60], 3000)
    noise[:, 2:6] = [0, 120, 0, 80]
    protocols = rng.choice([0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 51, 58, 60, 132], (3000, 2))
    noise[:, 9], noise[:, 6] = protocols[:, 0], protocols[:, 1] * (noise[:, 0] == 0x60)
    packets = [row[:n].tobytes() for row, n in zip(noise, rng.integers(1, 121, 3000), strict=True)]
    whole = masks(*packets, mask=MASKS)
    for i in range(0, 3000, 50):
        np.testing.assert_array_equal(masks(packets[i], mask=MASKS)[0], whole[i])


def test_blocks_do_not_show(make_sessions, rng, monkeypatch):
    """Tokens do not depend on how many sessions are read at a time."""
    X = make_sessions(50, rng)
    tokens = ByteTokens(30, start="ip", mask=None).fit(X)
    whole = tokens.transform(X)
    monkeypatch.setattr("sktraffic.feature_extraction._byte_tokens.SESSIONS_AT_ONCE", 7)
    np.testing.assert_array_equal(tokens.transform(X), whole)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"mask": ["mac"]}, "mask has 'mac'; it may hold addresses, ports"),
        ({"n_bytes": 1, "tokens": "pair"}, "a pair takes two bytes"),
        ({"start": "tcp"}, "start"),
    ],
)
def test_bad_parameters_are_refused(params, match):
    """Unknown masks and pairs of one byte are errors that say what is possible."""
    with pytest.raises(ValueError, match=match):
        ByteTokens(**params).fit(table([b""]))


def test_null_bytes_are_refused():
    """A table extracted without bytes cannot give tokens."""
    X = pd.DataFrame({"packet_bytes": pd.array([None], table([b""]).dtypes.iloc[0])})
    with pytest.raises(ValueError, match=r"packet_bytes .* is null in 1 of 1 rows"):
        ByteTokens().fit(X)


TSHARK_FIELDS = {
    "addresses": ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst"],
    "ports": [f"{name}.{side}port" for name in ("tcp", "udp") for side in ("src", "dst")]
    + ["icmp.ident", "icmpv6.echo.identifier"],
    "ip_id": ["ip.id", "ipv6.fraghdr.ident"],
    "checksums": [f"{name}.checksum" for name in ("ip", "tcp", "udp", "icmp", "icmpv6")]
    + ["ah.spi", "ah.sequence", "ah.icv"],
    "tcp_sequence": ["tcp.seq_raw", "tcp.ack_raw", "tcp.options.sack_le", "tcp.options.sack_re"],
    "tcp_timestamps": ["tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr"],
    "ttl": ["ip.ttl", "ipv6.hlim"],
    "sni": ["tls.handshake.extensions_server_name"],
}
CAPTURES = [
    "443-chrome.pcap",
    "http_ipv6.pcap",
    "6in4tunnel.pcap",
    "ah.pcapng",
    "synscan.pcap",
    "icmp-tunnel.pcap",
    "dns_fragmented.pcap",
]


def positions(tree, name):
    """Bounds of all occurrences of a field in tshark's JSON, (start, stop)."""
    found = []
    if isinstance(tree, list):
        for child in tree:
            found += positions(child, name)
    elif isinstance(tree, dict):
        for key, child in tree.items():
            if key == f"{name}_raw" and isinstance(child, list):
                entries = child if isinstance(child[0], list) else [child]
                found += [(entry[1], entry[1] + entry[2]) for entry in entries]
            else:
                found += positions(child, name)
    return found


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("capture", CAPTURES)
def test_fields_and_payloads_are_where_tshark_sees_them(traffic_data, capture):
    """Every masked field and every TCP and UDP payload stands where tshark's dissection has it."""
    command = ["tshark", "-r", str(traffic_data / "ndpi/pcap" / capture), "-c", "60", "-T", "json"]
    command += ["-x", "--no-duplicate-keys", "-Y", "ip or ipv6"]
    # defragmented and reassembled data have positions of their own: leave packets as they are
    for preference in ("tcp.desegment_tcp_streams", "ip.defragment", "ipv6.defragment"):
        command += ["-o", f"{preference}:FALSE"]
    done = subprocess.run(command, capture_output=True, check=True)
    layers = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    begin = [min(a for name in ("ip", "ipv6") for a, _ in positions(t, name)) for t in layers]
    raw = [bytes.fromhex(t["frame_raw"][0])[start:] for t, start in zip(layers, begin, strict=True)]
    headers = parse_headers(*laid_out(*raw))
    begins = headers.at
    for mask, fields in TSHARK_FIELDS.items():
        ours = masks(*raw, mask=(mask,))
        for row, (tree, start) in enumerate(zip(layers, begin, strict=True)):
            # names inside QUIC have positions in what tshark decrypted, not in the packet
            where = tree.get("tls", {}) if mask == "sni" and "quic" not in tree else tree
            bounds = [b for field in fields for b in positions(where, field)]
            expected = {p - start for p in ranges(*bounds)}
            assert set(np.flatnonzero(ours[row]).tolist()) == expected, (mask, row, tree)
    for row, (tree, start) in enumerate(zip(layers, begin, strict=True)):
        for name in ("tcp", "udp"):
            bounds = positions(tree.get(name, {}), f"{name}.payload")
            if bounds and len(positions(tree, "ip") + positions(tree, "ipv6")) == 1:
                first, last = bounds[0]
                found = (headers.payload[row] - begins[row], headers.stop[row] - begins[row])
                assert found == (first - start, last - start)
