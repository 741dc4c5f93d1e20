"""The fixed vocabulary of messages: what one packet can say, as ``"PROTOCOL: info"``.

`PROTOCOLS` are the 21 protocols that carry, set up or hide in today's encrypted traffic: the three
that everything runs on (TCP, UDP, ICMP), the ones that encrypt (TLS, DTLS, QUIC, SSH), the ones
that announce a connection (DNS, mDNS, LLMNR, NBNS, DHCP, STUN), the clear-text ones that switch to
TLS or still carry payload (HTTP, FTP, SMTP, IMAP, POP3), media and peers (RTP, BitTorrent) and the
clock (NTP). The most frequent other names that Wireshark gives in real captures (VNC, FIX, PGM,
OpenVPN...) each come from one or two captures of that application, so a column of their own would
name the capture rather than describe behaviour; they count as the transport that carries them.
A packet without a transport of the set is one of the few "IP" messages (fragment, ESP, ...).

The kinds of each protocol follow its RFC: TLS 8446 and 5246, DTLS 9147 and 6347, QUIC 9000 and
9369, DNS 1035, mDNS 6762, LLMNR 4795, NetBIOS names 1002, DHCP 2131 and 8415, HTTP 9110, SSH 4253,
FTP 959, SMTP 5321, IMAP 9051, POP3 1939, STUN 8489, TURN 8656, RTP 3550 and 3551, BitTorrent BEP 3,
5, 10 and 29, ICMP 792, 4443 and 4861, NTP 5905, TCP 9293.
"""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sktraffic.messages._kinds import KINDS

__all__ = [
    "CODES",
    "MESSAGES",
    "MESSAGE_PROTOCOL",
    "MESSAGE_PROTOCOLS",
    "PROTOCOLS",
    "normalise_messages",
]


def _parse(kinds):
    """Split the table above into messages and, per protocol, ``(pattern, message)`` rules."""
    messages, rules = [], {}
    for protocol, lines in kinds.items():
        rules[protocol] = []
        for line in lines.strip().splitlines():
            kind, _, pattern = line.strip().partition("  ")
            message = f"{protocol}: {kind}"
            # A kind may have more than one rule, others between them.
            if message not in messages:
                messages.append(message)
            rules[protocol].append((f"^(?s:{pattern.strip()})", message))
    return tuple(messages), rules


MESSAGES, _RULES = _parse(KINDS)
CODES = {message: code for code, message in enumerate(MESSAGES)}

#: The 21 protocols, then "IP" for what has no transport of the set.
MESSAGE_PROTOCOLS = tuple(KINDS)
PROTOCOLS = MESSAGE_PROTOCOLS[:-1]

#: For each message the index of its protocol in `MESSAGE_PROTOCOLS`; shape (n_messages,).
MESSAGE_PROTOCOL = np.array(
    [MESSAGE_PROTOCOLS.index(message.partition(": ")[0]) for message in MESSAGES], dtype=np.int8
)

# What the Protocol column of Wireshark calls them, close variants merged.
_NAMES = {
    "TCP": r"TCP",
    "UDP": r"UDP(?:-Lite)?",
    "ICMP": r"ICMP(?:v6)?",
    "TLS": r"(?:TLS|SSL)(?:v[0-9.]+)?",
    "DTLS": r"DTLS.*",
    "QUIC": r"G?QUIC",
    "DNS": r"DNS",
    "mDNS": r"MDNS|mDNS",
    "LLMNR": r"LLMNR",
    "NBNS": r"NBNS",
    "DHCP": r"DHCP(?:v6)?|BOOTP",
    "HTTP": r"HTTP(?:/[A-Za-z].*)?|OCSP",
    "SSH": r"SSH(?:v[12])?",
    "FTP": r"FTP",
    "SMTP": r"SMTP(?:/IMF)?",
    "IMAP": r"IMAP(?:/IMF)?",
    "POP3": r"POP3?(?:/IMF)?",
    "STUN": r"STUN|CLASSIC-STUN|TURN CHANNEL",
    "RTP": r"S?RTC?P|RTP EVENT",
    "BitTorrent": r"BitTorrent|BT-DHT",
    "NTP": r"NTP",
    "IP": r"IPv[46]|AH|ESP|GRE|IGMP.*|SCTP",
}

# Protocols outside the set by the transport that usually carries them, for exports that do not
# say which one did.
_OVER_TCP = r"""
    AMQP|AMS|BGP|Bitcoin|CIP|COTP|Ceph|DB-LSP|DNP 3\.0|DRDA|ENIP|Elasticsearch|FIX|FTP-DATA|GIOP|
    Git|Gnutella|H\.225\.0|H\.245|HTTP2|HiSLIP|IEC 60870-5.*|IPA|IRC|ISO.*|Kafka|LDAP|MQTT|MSNMS|
    Modbus/TCP|MySQL|NBSS|NNTP|NetBIOS|OMRON|OpcUa|OpenFlow|OpenWire|PGSQL|PPTP|RDP|RESP|RSH|RSYNC|
    RTMP.*|RTSP|S7COMM|SAMR|SMB|SMB2|SKINNY.*|Socks|T\.125|TDS|TELNET|THRIFT|TNS|TPKT|VNC|
    WebSocket|WHOIS|WOW|X11|XMPP.*|YMSG"""
_OVER_UDP = r"""
    ADWIN.*|AFS.*|BT-uTP|BACnet.*|BROWSER|CLDAP|CoAP|DB-LSP-DISC.*|DTLS|EAP.*|GTP.*|HART_IP|HSRP.*|IAX2|
    ICQ.*|ISAKMP|KNXnet.*|L2TP|LISP|MEGACO|MGCP|NAT-PMP|NBDS|NFS|OICQ|OpenVPN|PCP|PFCP|PTPv2|
    Portmap|QUAKE.*|RADIUS|RIP.*|RTPS|RX|RakNet|SIP.*|SNMP|SRVLOC|SSDP|SYNCHROPHASOR|Syslog|T\.38|
    TFTP|TPLINK.*|UDPENCAP|UFTP|VXLAN|WireGuard|XDMCP|collectd|mojito|Mojito"""

_MARKS = r"^(?:\[(?:TCP|UDP|truncated|Packet)[^\]]*\][ ,]*)+"


def _squeeze(pattern):
    return re.sub(r"\n\s*", "", pattern)


def _canonical(names, transport):
    """Give the protocol of the set that a Wireshark protocol name stands for."""
    for protocol, pattern in _NAMES.items():
        if re.fullmatch(pattern, names):
            return protocol
    if transport in (6, 17):
        return "TCP" if transport == 6 else "UDP"
    if transport < 0 and re.fullmatch(_squeeze(_OVER_UDP), names):
        return "UDP"
    if transport < 0 and re.fullmatch(_squeeze(_OVER_TCP), names):
        return "TCP"
    return "IP"


def normalise_messages(protocol, info, transport=None):
    """Turn the Protocol and Info columns of a Wireshark export into messages.

    The codes are those that `MessageReader` gives for the bytes of the same packets, so both
    ways fill the same columns of the protocol matrix.

    Parameters
    ----------
    protocol : Series or array-like of str, shape (n_packets,)
        Such as "TLSv1.2"; close variants are merged.
    info : Series or array-like of str, shape (n_packets,)
        Such as "[TCP Out-Of-Order] , Application Data, Application Data"; the first message counts.
        The packet's own lengths must be in the text of TCP and UDP ("Len=0"), as Wireshark has it.
    transport : array-like of int, shape (n_packets,), optional
        IP protocol number (6 TCP, 17 UDP), negative where unknown. A protocol outside the set
        counts as its transport; without the number, as the transport that usually carries it.

    Returns
    -------
    ndarray of shape (n_packets,), int16
        Index into `MESSAGES`; never negative.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from sktraffic.messages import MESSAGES, normalise_messages
    >>> codes = normalise_messages(["TLSv1.2", "DNS"], ["Server Hello, Certificate",
    ...                                                 "Standard query 0x1a2b AAAA example.org"])
    >>> [MESSAGES[code] for code in codes]
    ['TLS: Server Hello', 'DNS: Query AAAA']
    """
    protocol, info = _text(protocol), _text(info)
    if transport is None:
        transport = np.full(len(protocol), -1)
    transport = np.asarray(transport, dtype=np.int64)
    if not len(protocol) == len(info) == len(transport):
        raise ValueError(
            f"protocol, info and transport have {len(protocol)}, {len(info)} and {len(transport)} "
            "entries; they are columns of one export and must be equally long."
        )
    names = protocol.dictionary_encode()
    pairs = names.indices.to_numpy(zero_copy_only=False).astype(np.int64) * 512 + (transport + 1)
    kinds, kind_of = np.unique(pairs, return_inverse=True)
    words = names.dictionary.to_pylist()
    canonical = np.array([_canonical(words[k // 512], k % 512 - 1) for k in kinds], dtype=object)
    # Of a protocol outside the set, what it says is no message of its transport.
    bare = np.array(
        [
            c == "IP" or re.fullmatch(_NAMES[c], words[k // 512]) is not None
            for c, k in zip(canonical, kinds, strict=True)
        ],
        dtype=bool,
    )
    codes = np.full(len(protocol), CODES["IP: Other"], dtype=np.int16)
    for name in set(canonical):
        rows = np.flatnonzero((canonical == name)[kind_of])
        own = bare[kind_of[rows]]
        codes[rows[~own]] = CODES["TCP: Data" if name == "TCP" else "UDP: Datagram"]
        rows = rows[own]
        codes[rows] = _match(name, protocol.take(pa.array(rows)), info.take(pa.array(rows)))
    return codes


def _match(name, protocol, info):
    """Give the code of the first rule of a protocol that each Info matches."""
    if name == "IP":
        info = pc.binary_join_element_wise(protocol, info, " ")
    elif name != "TCP":
        info = pc.replace_substring_regex(info, _MARKS, "")
    codes = np.full(len(info), -1, dtype=np.int16)
    for pattern, message in _RULES[name]:
        rows = np.flatnonzero(codes < 0)
        if not len(rows):
            break
        hit = pc.match_substring_regex(info.take(pa.array(rows)), pattern)
        codes[rows[hit.to_numpy(zero_copy_only=False)]] = CODES[message]
    return codes


def _text(values):
    """Turn a column of text into an Arrow array of strings, missing values into empty ones."""
    if isinstance(values, pd.Series):
        array = pa.array(values.astype("string").fillna(""), type=pa.string())
    else:
        array = pa.array(list(values), type=pa.string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return pc.fill_null(array, "")
