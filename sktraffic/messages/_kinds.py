"""What each protocol of the vocabulary can say, and how Wireshark writes it."""

__all__ = ["KINDS"]

# One line a kind: the kind, two or more spaces, and the regular expression (RE2) that the Info
# column of Wireshark 3 and 4 matches from its beginning, after marks such as "[TCP Out-Of-Order]"
# are cut off. The first kind of a protocol that matches wins, so the catch-all stands last.
KINDS = {
    "TCP": r"""
        SYN-ACK         .*\[[A-Z, ]*SYN,[A-Z, ]*ACK
        SYN             .*\[[A-Z, ]*SYN
        RST             .*\[[A-Z, ]*RST
        FIN             .*\[[A-Z, ]*FIN
        Keep-Alive      .*\[TCP Keep-Alive\]
        ACK             .*\[[A-Z, ]*ACK[A-Z, ]*\].* Len=0\b
        Other           .*\[[A-Z, <>None]*\] Seq=.* Len=0\b
        Data            """,
    "UDP": r"""
        Empty           .* Len=0\b
        Datagram        """,
    "ICMP": r"""
        Echo Request             Echo \(ping\) request
        Echo Reply               Echo \(ping\) reply
        Destination Unreachable  Destination [Uu]nreachable
        Time Exceeded            Time-to-live exceeded|Time [Ee]xceeded
        Packet Too Big           Packet Too Big
        Redirect                 Redirect
        Router Solicitation      Router [Ss]olicitation
        Router Advertisement     Router [Aa]dvertisement|Mobile IP Advertisement
        Neighbor Solicitation    Neighbor Solicitation
        Neighbor Advertisement   Neighbor Advertisement
        Multicast Listener       Multicast Listener
        Other                    """,
    "TLS": r"""
        Client Hello                 Client Hello
        Hello Retry Request          Hello Retry Request
        Server Hello Done            Server Hello Done
        Server Hello                 Server Hello
        Certificate Request          Certificate Request
        Certificate Verify           Certificate Verify
        Certificate Status           Certificate Status
        Certificate                  Certificate|Compressed Certificate
        Server Key Exchange          Server Key Exchange
        Client Key Exchange          Client Key Exchange
        New Session Ticket           New Session Ticket
        Encrypted Extensions         Encrypted Extensions
        Finished                     Finished
        Encrypted Handshake Message  Encrypted Handshake Message
        Change Cipher Spec           Change Cipher Spec
        Encrypted Alert              Encrypted Alert
        Alert                        Alert
        Application Data             Application Data|Encrypted Data
        Heartbeat                    Heartbeat|Encrypted Heartbeat
        Other Handshake              Hello Request|Key Update|End of Early|Handshake|.*Handshake
        Continuation                 """,
    "DTLS": r"""
        Client Hello                 Client Hello
        Hello Verify Request         Hello Verify Request
        Server Hello Done            Server Hello Done
        Server Hello                 Server Hello|Hello Retry Request
        Certificate Request          Certificate Request
        Certificate Verify           Certificate Verify
        Certificate                  Certificate
        Server Key Exchange          Server Key Exchange
        Client Key Exchange          Client Key Exchange
        New Session Ticket           New Session Ticket
        Encrypted Handshake Message  Encrypted Handshake Message|Finished
        Change Cipher Spec           Change Cipher Spec
        Encrypted Alert              Encrypted Alert
        Alert                        Alert
        Application Data             Application Data
        Other                        """,
    "QUIC": r"""
        Initial              Initial|Client Hello|Rejection|Inchoate
        0-RTT                0-RTT
        Handshake            Handshake
        Retry                Retry
        Version Negotiation  Version Negotiation
        Protected Payload    Protected Payload|Payload \(Encrypted\)
        Other                """,
    "DNS": r"""
        Query A           Standard query 0x[0-9a-f]+ A\b
        Query AAAA        Standard query 0x[0-9a-f]+ AAAA\b
        Query HTTPS       Standard query 0x[0-9a-f]+ (?:HTTPS|SVCB)\b
        Query PTR         Standard query 0x[0-9a-f]+ PTR\b
        Query TXT         Standard query 0x[0-9a-f]+ TXT\b
        Query SRV         Standard query 0x[0-9a-f]+ SRV\b
        Query MX          Standard query 0x[0-9a-f]+ MX\b
        Query ANY         Standard query 0x[0-9a-f]+ ANY\b
        Query NULL        Standard query 0x[0-9a-f]+ NULL\b
        Query Other       Standard query 0x
        No Such Name      .*response 0x[0-9a-f]+ No such name
        Response Error    .*response 0x[0-9a-f]+ (?:Format error|Server failure|Not implemented|Refused|Name exists|RRset|Not authoritative|Name out|DSO|Unknown)
        Response          Standard query response
        Other             """,  # noqa: E501
    "mDNS": r"""
        Query PTR    Standard query 0x[0-9a-f]+ PTR\b
        Query ANY    Standard query 0x[0-9a-f]+ ANY\b
        Query Other  Standard query 0x
        Response     Standard query response
        Other        """,
    "LLMNR": r"""
        Query     Standard query 0x
        Response  Standard query response
        Other     """,
    "NBNS": r"""
        Status Query         .*NBSTAT
        Name Query Response  Name query response
        Name Query           Name query
        Registration         Registration|Multi-homed registration
        Refresh              Refresh
        Release              Release
        Other                """,
    "DHCP": r"""
        Discover  (?:DHCP Discover|Solicit)\b
        Offer     (?:DHCP Offer|Advertise)\b
        Request   (?:DHCP Request|Request|Renew|Rebind|Confirm)\b
        Decline   (?:DHCP )?Decline\b
        ACK       (?:DHCP ACK|Reply)\b
        NAK       DHCP NAK\b
        Release   (?:DHCP )?Release\b
        Inform    (?:DHCP Inform|Information-request)\b
        Other     """,
    "HTTP": r"""
        GET           GET |\[truncated\]GET
        POST          POST|Request$
        PUT           PUT
        HEAD          HEAD
        CONNECT       CONNECT
        OPTIONS       OPTIONS
        Request       [A-Z-]{3,17} [^ ]+ HTTP/|PROPFIND|DELETE|PATCH|TRACE
        Response 1xx  HTTP/[0-9.]+ +1[0-9][0-9]
        Response 2xx  HTTP/[0-9.]+ +2[0-9][0-9]|Response
        Response 3xx  HTTP/[0-9.]+ +3[0-9][0-9]
        Response 4xx  HTTP/[0-9.]+ +4[0-9][0-9]
        Response 5xx  HTTP/[0-9.]+ +5[0-9][0-9]
        Continuation  """,
    "SSH": r"""
        Protocol           (?:(?:Client|Server): )?Protocol
        Key Exchange Init  (?:(?:Client|Server): )?Key Exchange Init
        New Keys           (?:(?:Client|Server): )?New Keys
        Encrypted Packet   (?:(?:Client|Server): )?(?:Encrypted|\[?Encrypted| *\[TCP)
        Key Exchange       (?:(?:Client|Server): )?(?:.*Diffie|.*Key Exchange|.*ECDH|.*GEX)
        Other              """,
    "FTP": r"""
        Request USER     Request: (?i:USER)\b
        Request PASS     Request: (?i:PASS)\b
        Request AUTH     Request: (?i:AUTH)\b
        Request PASV     Request: (?i:PASV|EPSV)\b
        Request PORT     Request: (?i:PORT|EPRT)\b
        Request RETR     Request: (?i:RETR)\b
        Request STOR     Request: (?i:STOR|APPE|STOU)\b
        Request LIST     Request: (?i:LIST|NLST|MLSD|MLST)\b
        Request QUIT     Request: (?i:QUIT)\b
        Request Other    Request
        Response 1xx     Response: 1[0-9][0-9]
        Response 2xx     Response: 2[0-9][0-9]
        Response 3xx     Response: 3[0-9][0-9]
        Response 4xx     Response: 4[0-9][0-9]
        Response 5xx     Response: 5[0-9][0-9]
        Response Other   """,
    "SMTP": r"""
        EHLO           C: (?i:EHLO|HELO|LHLO)\b
        MAIL           C: (?i:MAIL)\b
        RCPT           C: (?i:RCPT)\b
        STARTTLS       C: (?i:STARTTLS|X-ANONYMOUSTLS)\b
        AUTH           C: (?i:AUTH)\b
        QUIT           C: (?i:QUIT)\b
        Message        C: DATA fragment
        DATA           C: (?i:DATA|BDAT)\b
        Command        C:
        Reply 2xx      S: 2[0-9][0-9]
        Reply 3xx      S: 3[0-9][0-9]
        Reply 4xx      S: 4[0-9][0-9]
        Reply 5xx      S: 5[0-9][0-9]
        Reply Other    S:
        Message        """,
    "IMAP": r"""
        CAPABILITY      Request: [^ ]+ (?i:CAPABILITY)\b
        LOGIN           Request: [^ ]+ (?i:LOGIN|AUTHENTICATE)\b
        STARTTLS        Request: [^ ]+ (?i:STARTTLS)\b
        SELECT          Request: [^ ]+ (?i:SELECT|EXAMINE)\b
        FETCH           Request: [^ ]+ (?i:UID|FETCH)\b
        IDLE            Request: [^ ]+ (?i:IDLE)\b
        LOGOUT          Request: [^ ]+ (?i:LOGOUT)\b
        Request         Request
        Response        """,
    "POP3": r"""
        USER       C: (?i:USER|APOP)\b
        PASS       C: (?i:PASS)\b
        AUTH       C: (?i:AUTH)\b
        CAPA       C: (?i:CAPA)\b
        STLS       C: (?i:STLS)\b
        STAT       C: (?i:STAT|LIST|UIDL)\b
        RETR       C: (?i:RETR|TOP)\b
        QUIT       C: (?i:QUIT)\b
        Command    C:
        OK         S: \+OK
        Error      S: -ERR
        Data       """,
    "STUN": r"""
        Binding Request               (?:Message: ?)?Binding Request
        Binding Success Response      (?:Message: ?)?Binding (?:Success )?Response
        Binding Error Response        (?:Message: ?)?Binding Error
        Binding Indication            (?:Message: ?)?Binding Indication
        Allocate Request              (?:Message: ?)?Allocate Request
        Allocate Success Response     (?:Message: ?)?Allocate (?:Success )?Response
        Allocate Error Response       (?:Message: ?)?Allocate Error
        Refresh Request               Refresh Request
        Refresh Response              Refresh
        CreatePermission Request      CreatePermission Request
        CreatePermission Response     CreatePermission
        Channel-Bind Request          Channel-?Bind Request
        Channel-Bind Response         Channel-?Bind
        Send Indication               (?:Message: ?)?Send
        Data Indication               (?:Message: ?)?Data
        ChannelData                   ChannelData
        Shared Secret Request         (?:Message: ?)?Shared Secret Request
        Other                         """,
    "RTP": r"""
        PCMU             PT=ITU-T G.711 PCMU
        PCMA             PT=ITU-T G.711 PCMA
        Comfort Noise    PT=(?:Reserved for old )?[Cc]omfort
        Video            PT=(?:JPEG|ITU-T H\.|MPEG-|Sun CellB|nv|MPEG II|MPEG-II)
        Other Audio      PT=(?:GSM|ITU-T|LPC|DVI|16-bit|QCELP|Dialogic|MPEG)
        Dynamic          PT=
        Control          """,
    "BitTorrent": r"""
        Handshake       Handshake
        Choke           Choke
        Unchoke         Unchoke
        Interested      Interested
        Not Interested  Not Interested
        Have            Have
        Bitfield        Bitfield
        Request         Request
        Piece           Piece
        Cancel          Cancel
        Port            Port
        Extended        Extended
        DHT             BitTorrent DHT
        Continuation    """,
    "NTP": r"""
        Client     NTP Version [0-9]+, client
        Server     NTP Version [0-9]+, server
        Symmetric  NTP Version [0-9]+, symmetric
        Broadcast  NTP Version [0-9]+, broadcast
        Control    NTP Version [0-9]+, control
        Private    NTP Version [0-9]+, (?:private|reserved)
        Other      """,
    "IP": r"""
        Fragment  [^ ]+ Fragmented IP
        ESP       ESP\b
        GRE       GRE\b
        IGMP      IGMP
        SCTP      SCTP\b
        Other     """,
}
