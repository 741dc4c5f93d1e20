"""TLS and DTLS records: what their heads say (RFC 8446, 5246, 6066, 6347, 9147)."""

import numpy as np

from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import be16, be32, slices, window

__all__ = ["dtls_codes", "find_tls_records", "looks_like_tls", "split_heads", "tls_codes"]

# A record holds at most 2**14 bytes, and 2048 more when protected.
_MAX_RECORD = (1 << 14) + 2048

_HANDSHAKES = {
    0: "Other Handshake",
    1: "Client Hello",
    2: "Server Hello",
    4: "New Session Ticket",
    5: "Other Handshake",
    8: "Encrypted Extensions",
    11: "Certificate",
    12: "Server Key Exchange",
    13: "Certificate Request",
    14: "Server Hello Done",
    15: "Certificate Verify",
    16: "Client Key Exchange",
    20: "Finished",
    22: "Certificate Status",
    24: "Other Handshake",
    25: "Certificate",
}
_TLS_HANDSHAKE = np.full(256, -1, dtype=np.int16)
for _type, _kind in _HANDSHAKES.items():
    _TLS_HANDSHAKE[_type] = CODES[f"TLS: {_kind}"]
_DTLS_HANDSHAKE = np.full(256, -1, dtype=np.int16)
for _type, _kind in {**_HANDSHAKES, 3: "Hello Verify Request"}.items():
    if f"DTLS: {_kind}" in CODES:
        _DTLS_HANDSHAKE[_type] = CODES[f"DTLS: {_kind}"]

_TLS = {kind: CODES[f"TLS: {kind}"] for kind in (
    "Change Cipher Spec", "Encrypted Alert", "Alert", "Encrypted Handshake Message",
    "Application Data", "Heartbeat", "Hello Retry Request", "Server Hello")}  # fmt: skip
_DTLS = {kind: CODES[f"DTLS: {kind}"] for kind in (
    "Change Cipher Spec", "Encrypted Alert", "Alert", "Encrypted Handshake Message",
    "Application Data", "Other")}  # fmt: skip

# First bytes of the random of a Hello Retry Request (RFC 8446, section 4.1.3).
_RETRY = 0xCF21AD74
HEAD = 15


def looks_like_tls(heads):
    """Tell which rows begin with a TLS record head; (n, >= 5) -> (n,) bool."""
    kind, length = heads[:, 0], be16(heads, 3)
    return (
        (kind >= 20)
        & (kind <= 24)
        & (heads[:, 1] == 3)
        & (heads[:, 2] <= 4)
        & (length > 0)
        & (length <= _MAX_RECORD)
        & ((kind != 20) | (length == 1))
    )


def tls_codes(heads, captured):
    """Name records by their heads.

    Parameters
    ----------
    heads : ndarray of shape (n, 15), uint8
        From the record's content type on, zeros behind what was captured.
    captured : ndarray of shape (n,)
        How many of these bytes there are.

    Returns
    -------
    ndarray of shape (n,), int16
    """
    kind, length = heads[:, 0], be16(heads, 3)
    codes = np.full(len(heads), _TLS["Application Data"], dtype=np.int16)
    codes[kind == 20] = _TLS["Change Cipher Spec"]
    plain = (length == 2) & ((heads[:, 5] == 1) | (heads[:, 5] == 2))
    codes[kind == 21] = np.where(plain, _TLS["Alert"], _TLS["Encrypted Alert"])[kind == 21]
    codes[kind == 24] = _TLS["Heartbeat"]
    rows = np.flatnonzero(kind == 22)
    if len(rows):
        codes[rows] = _handshake_codes(heads[rows], length[rows], captured[rows])
    return codes


def _handshake_codes(heads, length, captured):
    """Name handshake messages; one whose type and length make no sense is encrypted."""
    kind = heads[:, 5]
    size = (heads[:, 6].astype(np.int64) << 16) | be16(heads, 7)
    named = _TLS_HANDSHAKE[kind]
    # A chain of certificates may need several records; other messages fit into theirs.
    fits = (size + 4 <= length) | ((kind == 11) & (size < 1 << 17))
    fits &= (kind != 0) | (length == 4)
    # An encrypted Finished of early stacks may begin with any byte, its length gives it away.
    fits &= captured >= 9
    codes = np.where(fits & (named >= 0), named, _TLS["Encrypted Handshake Message"])
    retry = (codes == _TLS["Server Hello"]) & (be32(heads, 11) == _RETRY)
    return np.where(retry, _TLS["Hello Retry Request"], codes)


def find_tls_records(data, payload, stop, wanted):
    """Find every place in the wanted packets' payload that looks like a TLS record head.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    payload, stop : ndarray of shape (n_packets,)
    wanted : ndarray of shape (n_packets,), bool

    Returns
    -------
    packet, place, length, code : ndarray of shape (n_found,)
        Packet, position of the head in `data`, the record's length with its head, its message.
    """
    chosen = np.flatnonzero(wanted)
    content, offsets = slices(data, payload[chosen], stop[chosen])
    place = _possible_heads(content)
    row = np.searchsorted(offsets, place, side="right") - 1
    packet = chosen[row]
    place = place - offsets[row] + payload[packet]
    inside = place + 5 <= stop[packet]
    packet, place = packet[inside], place[inside]
    heads = window(data, place, stop[packet], HEAD)
    good = looks_like_tls(heads)
    packet, place, heads = packet[good], place[good], heads[good]
    code = tls_codes(heads, stop[packet] - place)
    return packet, place, be16(heads, 3) + 5, code


def _possible_heads(data):
    """Find a content type before a 3: two questions that leave few places for costlier ones."""
    place = np.flatnonzero(data[1:] == 3)
    return place[(data[place] >= 20) & (data[place] <= 24)]


def split_heads(before, after, captured):
    """Find record heads that begin in the last four bytes of a segment and end in the next one.

    Parameters
    ----------
    before : ndarray of shape (n, 4), uint8
        Last payload bytes of a segment.
    after : ndarray of shape (n, 15), uint8
        First payload bytes of the segment that follows it without a gap.
    captured : ndarray of shape (n,)
        How many bytes of `after` there are.

    Returns
    -------
    pair, back, length, code : ndarray of shape (n_found,)
        Which pair, how many bytes before the boundary the record begins (1 to 4), its length with
        its head, its message.
    """
    joint = np.concatenate([before, after], axis=1)
    found = []
    for back in (4, 3, 2, 1):
        heads = joint[:, 4 - back : 4 - back + HEAD]
        rows = np.flatnonzero(looks_like_tls(heads) & (captured + back >= 5))
        code = tls_codes(heads[rows], captured[rows] + back)
        found.append((rows, np.full(len(rows), back), be16(heads[rows], 3) + 5, code))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def dtls_codes(heads, captured):
    """Name the first DTLS record of datagrams; -1 where there is none.

    Parameters
    ----------
    heads : ndarray of shape (n, >= 25), uint8
    captured : ndarray of shape (n,)
        Bytes of payload on the wire.

    Returns
    -------
    ndarray of shape (n,), int16
    """
    kind, version = heads[:, 0], be16(heads, 1)
    epoch, length = be16(heads, 3), be16(heads, 11)
    known = (version == 0xFEFF) | (version == 0xFEFD) | (version == 0xFEFC) | (version == 0x0100)
    good = (kind >= 20) & (kind <= 26) & known & (length > 0) & (length + 13 <= captured)
    codes = np.full(len(heads), _DTLS["Other"], dtype=np.int16)
    codes[kind == 20] = _DTLS["Change Cipher Spec"]
    plain = (length == 2) & ((heads[:, 13] == 1) | (heads[:, 13] == 2))
    codes[kind == 21] = np.where(plain, _DTLS["Alert"], _DTLS["Encrypted Alert"])[kind == 21]
    codes[kind == 23] = _DTLS["Application Data"]
    named = _DTLS_HANDSHAKE[heads[:, 13]]
    fragment = (heads[:, 22].astype(np.int64) << 16) | be16(heads, 23)
    clear = (named >= 0) & (epoch == 0) & (fragment + 12 <= length)
    handshake = np.where(clear, named, _DTLS["Encrypted Handshake Message"])
    codes[kind == 22] = handshake[kind == 22]
    return np.where(good, codes, -1).astype(np.int16)
