"""Hand-made packets for tests, from the IP header on."""

import struct


def ip4(payload, protocol, *, options=b"", fragment=0, total=None, source=1, target=2):
    """IPv4 packet between 10.0.0.`source` and 10.0.0.`target`."""
    header = 20 + len(options)
    total = header + len(payload) if total is None else total
    return struct.pack(
        ">BBHHHBBH4s4s", 0x40 | header // 4, 0, total, 1, fragment, 64, protocol, 0,
        bytes([10, 0, 0, source]), bytes([10, 0, 0, target]),
    ) + options + payload  # fmt: skip


def ip6(payload, protocol, extensions=b"", first=None):
    """IPv6 packet; `extensions` are put before the payload, `first` names their first."""
    body = extensions + payload
    kind = protocol if first is None else first
    return struct.pack(">IHBB16s16s", 6 << 28, len(body), kind, 64, b"a" * 16, b"b" * 16) + body


def tcp(payload=b"", *, ports=(50000, 443), seq=1, ack=1, flags=0x18, options=b""):
    """TCP segment; the default flags are PSH and ACK."""
    offset = (20 + len(options)) // 4 << 4
    return struct.pack(
        ">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack, offset, flags, 1000, 0, 0
    ) + options + payload  # fmt: skip


def udp(payload=b"", *, ports=(50000, 5000), length=None):
    """UDP datagram."""
    length = 8 + len(payload) if length is None else length
    return struct.pack(">HHHH", *ports, length, 0) + payload


def tcp4(payload=b"", back=False, **fields):
    """IPv4 packet with a TCP segment, on its way back if so."""
    ports = fields.pop("ports", (50000, 443))
    if back:
        return ip4(tcp(payload, ports=ports[::-1], **fields), 6, source=2, target=1)
    return ip4(tcp(payload, ports=ports, **fields), 6)


def udp4(payload=b"", back=False, ports=(50000, 5000)):
    """IPv4 packet with a UDP datagram."""
    if back:
        return ip4(udp(payload, ports=ports[::-1]), 17, source=2, target=1)
    return ip4(udp(payload, ports=ports), 17)


def record(kind, body, version=0x0303):
    """TLS record."""
    return struct.pack(">BHH", kind, version, len(body)) + body


def handshake(kind, body=b"\x03\x03" + bytes(range(50))):
    """TLS handshake message in a record of its own."""
    return record(22, bytes([kind]) + len(body).to_bytes(3) + body)
