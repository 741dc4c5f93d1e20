"""The vocabulary, and Wireshark's text turned into it."""

import numpy as np
import pandas as pd
import pytest

from sktraffic.messages import (
    CODES,
    MESSAGE_PROTOCOL,
    MESSAGE_PROTOCOLS,
    MESSAGES,
    PROTOCOLS,
    normalise_messages,
)

# What tshark 4.0 wrote for real packets, addresses and names changed.
_LINES = [
    ("TCP", "443 → 50000 [SYN, ACK] Seq=0 Ack=1 Win=65535 Len=0 MSS=1460", "TCP: SYN-ACK"),
    ("TCP", "50000 → 443 [SYN, ECE, CWR] Seq=0 Win=65535 Len=0 MSS=1460", "TCP: SYN"),
    ("TCP", "50000 → 443 [FIN, ACK] Seq=9 Ack=1 Win=1 Len=0", "TCP: FIN"),
    ("TCP", "50000 → 443 [RST, ACK] Seq=9 Ack=1 Win=1 Len=0", "TCP: RST"),
    ("TCP", "[TCP Dup ACK 4#1] 50000 → 443 [ACK] Seq=9 Ack=1 Win=1 Len=0", "TCP: ACK"),
    ("TCP", "[TCP Keep-Alive] 50000 → 443 [ACK] Seq=9 Ack=1 Win=1 Len=1", "TCP: Keep-Alive"),
    ("TCP", "[TCP Keep-Alive ACK] 1 → 2 [ACK] Seq=9 Ack=1 Win=1 Len=0", "TCP: ACK"),
    ("TCP", "1 → 2 [PSH, ACK] Seq=9 Ack=1 Win=1 Len=120", "TCP: Data"),
    ("TCP", "[TCP Retransmission] 1 → 2 [PSH, ACK] Seq=9 Ack=1 Win=1 Len=120", "TCP: Data"),
    ("TCP", "HTTP/1.1 200 OK  [TCP segment of a reassembled PDU]", "TCP: Data"),
    ("TCP", "1 → 2 [<None>] Seq=1 Win=1024 Len=0", "TCP: Other"),
    ("UDP", "5000 → 6000 Len=92", "UDP: Datagram"),
    ("UDP", "5000 → 6000 Len=0", "UDP: Empty"),
    ("TLSv1", "Server Hello, Certificate, Server Hello Done", "TLS: Server Hello"),
    ("TLSv1.2", "[TCP Previous segment not captured] , Application Data", "TLS: Application Data"),
    ("TLSv1.2", "Certificate Status, Server Key Exchange", "TLS: Certificate Status"),
    ("TLSv1.3", "Change Cipher Spec, Application Data", "TLS: Change Cipher Spec"),
    ("TLSv1.2", "Alert (Level: Warning, Description: Close Notify)", "TLS: Alert"),
    ("SSL", "Continuation Data", "TLS: Continuation"),
    ("DTLS 1.0 (OpenSSL pre 0.9.8f)", "Hello Verify Request", "DTLS: Hello Verify Request"),
    ("QUIC", "Initial, DCID=b0ec, PKN: 1, CRYPTO, PADDING", "QUIC: Initial"),
    ("GQUIC", "Payload (Encrypted), PKN: 5, CID: 7", "QUIC: Protected Payload"),
    ("DNS", "Standard query 0x1a2b A example.org", "DNS: Query A"),
    ("DNS", "Standard query 0x1a2b AAAA example.org", "DNS: Query AAAA"),
    ("DNS", "Standard query response 0x1a2b A example.org A 192.0.2.1", "DNS: Response"),
    ("DNS", "Standard query response 0x1a2b No such name A x.org SOA y", "DNS: No Such Name"),
    ("MDNS", 'Standard query 0x0000 PTR _http._tcp.local, "QM" question', "mDNS: Query PTR"),
    ("NBNS", "Name query NBSTAT *<00><00>", "NBNS: Status Query"),
    ("SMTP/IMF", "subject: hello, from: me", "SMTP: Message"),
    ("NBNS", "Name query response NB 192.0.2.1", "NBNS: Name Query Response"),
    ("DHCP", "DHCP Discover - Transaction ID 0x1", "DHCP: Discover"),
    ("DHCPv6", "Information-request XID: 0x1 CID: 0001", "DHCP: Inform"),
    ("HTTP/XML", "HTTP/1.1 207 Multi-Status ", "HTTP: Response 2xx"),
    ("HTTP", "GET /index.html HTTP/1.1 ", "HTTP: GET"),
    ("HTTP", "PROPFIND /webdav HTTP/1.1 ", "HTTP: Request"),
    ("SSHv2", "Client: Key Exchange Init", "SSH: Key Exchange Init"),
    ("SSHv2", "Server: Encrypted packet (len=64)", "SSH: Encrypted Packet"),
    ("FTP", "Request: PASV", "FTP: Request PASV"),
    ("SMTP", "C: DATA fragment, 1460 bytes", "SMTP: Message"),
    ("SMTP", "S: 354 Enter mail", "SMTP: Reply 3xx"),
    ("IMAP", "Request: C2 LOGIN user pass", "IMAP: LOGIN"),
    ("POP", "S: +OK", "POP3: OK"),
    ("STUN", "Binding Success Response XOR-MAPPED-ADDRESS: 192.0.2.1:9",
     "STUN: Binding Success Response"),
    ("CLASSIC-STUN", "Message: Binding Request", "STUN: Binding Request"),
    ("RTP", "PT=ITU-T G.711 PCMA, SSRC=0x1, Seq=2, Time=3", "RTP: PCMA"),
    ("RTCP", "Receiver Report   ", "RTP: Control"),
    ("BitTorrent", "[TCP ACKed unseen segment] Request, Piece (Idx:0x1)", "BitTorrent: Request"),
    ("BT-DHT", "BitTorrent DHT Protocol", "BitTorrent: DHT"),
    ("ICMPv6", "Echo (ping) reply id=0x5d8f, seq=346", "ICMP: Echo Reply"),
    ("NTP", "NTP Version 4, client", "NTP: Client"),
    ("IPv4", "Fragmented IP protocol (proto=UDP 17, off=0, ID=1)", "IP: Fragment"),
    ("ESP", "ESP (SPI=0x00000001)", "IP: ESP"),
    ("ARP", "Who has 192.0.2.1? Tell 192.0.2.2", "IP: Other"),
]  # fmt: skip


def test_there_are_21_protocols():
    """The set is fixed, and "IP" is the one name beside it."""
    assert len(PROTOCOLS) == len(set(PROTOCOLS)) == 21
    assert set(MESSAGE_PROTOCOLS) == {*PROTOCOLS, "IP"}


def test_messages_are_unique_and_split_at_the_first_colon():
    """A message is "PROTOCOL: info" with a protocol of the set; columns made of them differ."""
    assert len(set(MESSAGES)) == len(MESSAGES) == len(CODES) < 2**15
    parts = [message.partition(": ") for message in MESSAGES]
    assert all(info and info == info.strip() for _, _, info in parts)
    assert [MESSAGE_PROTOCOLS[p] for p in MESSAGE_PROTOCOL] == [name for name, _, _ in parts]
    lowered = {message.lower().replace("-", " ") for message in MESSAGES}
    assert len(lowered) == len(MESSAGES)


@pytest.mark.parametrize(("protocol", "info", "message"), _LINES)
def test_text_of_wireshark_maps_to_its_message(protocol, info, message):
    """Lines as tshark writes them, each with the message a reader would give it."""
    assert MESSAGES[normalise_messages([protocol], [info])[0]] == message


def test_rows_do_not_influence_each_other():
    """A column in any order gives the codes of its single lines, as Series or lists."""
    order = np.random.default_rng(0).permutation(len(_LINES))
    protocol = pd.Series([_LINES[i][0] for i in order])
    info = pd.Series([_LINES[i][1] for i in order])
    expected = [CODES[_LINES[i][2]] for i in order]
    assert normalise_messages(protocol, info).tolist() == expected
    assert normalise_messages(protocol.tolist(), info.tolist()).tolist() == expected


@pytest.mark.parametrize(
    ("protocol", "transport", "message"),
    [
        ("VNC", 6, "TCP: Data"),
        ("VNC", None, "TCP: Data"),
        ("OpenVPN", 17, "UDP: Datagram"),
        ("OpenVPN", 6, "TCP: Data"),
        ("OpenVPN", None, "UDP: Datagram"),
        ("never heard of", 17, "UDP: Datagram"),
        ("never heard of", None, "IP: Other"),
        ("PIMv2", 103, "IP: Other"),
        ("IGMPv3", None, "IP: IGMP"),
        ("IPv4", 6, "IP: Other"),
    ],
)
def test_protocols_outside_the_set_count_as_their_transport(protocol, transport, message):
    """With the number given it decides; without it, what usually carries the protocol."""
    numbers = None if transport is None else [transport]
    assert MESSAGES[normalise_messages([protocol], ["whatever"], numbers)[0]] == message


def test_missing_text_is_no_error():
    """An empty cell of an export is a packet that nothing is known of."""
    codes = normalise_messages(pd.Series([None, "TLSv1.2"]), pd.Series(["x", None]))
    assert [MESSAGES[c] for c in codes] == ["IP: Other", "TLS: Continuation"]
    assert normalise_messages([], []).shape == (0,)


def test_columns_of_different_length_are_refused():
    """The error gives the three lengths."""
    with pytest.raises(ValueError, match="2, 1 and 2"):
        normalise_messages(["TCP", "UDP"], ["x"])
