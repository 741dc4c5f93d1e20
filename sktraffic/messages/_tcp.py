"""Messages of TCP payload: which protocol a session speaks and what one segment says in it."""

import numpy as np

from sktraffic.messages._names import dns_codes
from sktraffic.messages._tls import looks_like_tls
from sktraffic.messages._udp import looks_like_stun, stun_codes
from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import be16, be32, window

__all__ = ["PORT_PROTOCOL", "TLS", "evidence", "payload_codes"]

#: What a session speaks, kept in `SessionStates.speaks`.
TLS, HTTP, SSH, FTP, SMTP, IMAP, POP3, BITTORRENT, STUN, DNS, OTHER = range(1, 12)

# The ports at which Wireshark expects a protocol, unless the bytes say otherwise. HTTP is known by
# its first line alone: bytes at port 80 before any are TCP's.
_PORTS = {
    TLS: (261, 324, 443, 448, 465, 563, 614, 636, 684, 695, 802, 853, 989, 990, 992, 993, 994, 995,
          1300, 2221, 2443, 3496, 5061, 5671, 5684, 5868, 8883, 19999),
    SSH: (22, 29418),
    FTP: (21,),
    SMTP: (25, 587),
    IMAP: (143,),
    POP3: (110,),
    BITTORRENT: tuple(range(6881, 6890)),
    STUN: (3478,),
    DNS: (53, 5353),
}  # fmt: skip
PORT_PROTOCOL = np.zeros(65536, dtype=np.int16)
for _protocol, _ports in _PORTS.items():
    PORT_PROTOCOL[list(_ports)] = _protocol
_FOLD = 0xDFDFDFDF  # upper case for letters; a blank becomes 0


def _word(text):
    """Four characters as a number, upper case, blanks filled up."""
    return int.from_bytes(text.upper().encode().ljust(4)[:4]) & _FOLD


class _Words:
    """Codes by the first four characters."""

    def __init__(self, prefix, words, default):
        pairs = sorted((_word(w), CODES[f"{prefix}{kind}"]) for w, kind in words.items())
        self.keys = np.array([key for key, _ in pairs], dtype=np.int64)
        self.codes = np.array([code for _, code in pairs], dtype=np.int16)
        self.default = CODES[f"{prefix}{default}"] if default is not None else -1

    def __call__(self, words):
        place = np.minimum(np.searchsorted(self.keys, words), len(self.keys) - 1)
        return np.where(self.keys[place] == words, self.codes[place], self.default).astype(np.int16)


def _same(*words):
    return {word: word for word in words}


_HTTP_METHODS = {
    **_same("GET", "POST", "PUT"), "HEAD": "HEAD", "CONN": "CONNECT", "OPTI": "OPTIONS",
    **dict.fromkeys(("DELE", "PATC", "TRAC", "PROP", "MKCO", "COPY", "MOVE", "LOCK", "UNLO", "REPO",
                     "SEAR", "SUBS", "UNSU", "NOTI", "M-SE", "CCM_", "RPC_", "ICY"), "Request"),
}  # fmt: skip
_HTTP = _Words("HTTP: ", _HTTP_METHODS, None)
_FTP = _Words("FTP: Request ", {
    **_same("USER", "PASS", "AUTH", "PASV", "PORT", "RETR", "STOR", "LIST", "QUIT"),
    "EPSV": "PASV", "EPRT": "PORT", "APPE": "STOR", "STOU": "STOR", "NLST": "LIST",
    "MLSD": "LIST", "MLST": "LIST"}, "Other")  # fmt: skip
_SMTP = _Words("SMTP: ", {
    **_same("EHLO", "MAIL", "RCPT", "AUTH", "QUIT", "DATA"), "HELO": "EHLO", "LHLO": "EHLO",
    "STAR": "STARTTLS", "X-AN": "STARTTLS", "BDAT": "DATA",
    **dict.fromkeys(("RSET", "NOOP", "VRFY", "EXPN", "HELP", "TURN", "ETRN"), "Command")},
    "Message")  # fmt: skip
_POP3 = _Words("POP3: ", {
    **_same("USER", "PASS", "AUTH", "CAPA", "STLS", "STAT", "RETR", "QUIT"), "APOP": "USER",
    "LIST": "STAT", "UIDL": "STAT", "TOP": "RETR"}, "Command")  # fmt: skip
_IMAP = _Words("IMAP: ", {
    "CAPA": "CAPABILITY", "LOGI": "LOGIN", "AUTH": "LOGIN", "STAR": "STARTTLS", "SELE": "SELECT",
    "EXAM": "SELECT", "FETC": "FETCH", "UID": "FETCH", "IDLE": "IDLE", "LOGO": "LOGOUT"},
    "Request")  # fmt: skip

_HTTP_STATUS = np.full(256, CODES["HTTP: Continuation"], dtype=np.int16)
_FTP_STATUS = np.full(256, CODES["FTP: Response Other"], dtype=np.int16)
_SMTP_STATUS = np.full(256, CODES["SMTP: Reply Other"], dtype=np.int16)
for _digit in range(1, 6):
    _HTTP_STATUS[48 + _digit] = CODES[f"HTTP: Response {_digit}xx"]
    _FTP_STATUS[48 + _digit] = CODES[f"FTP: Response {_digit}xx"]
    _SMTP_STATUS[48 + _digit] = CODES.get(f"SMTP: Reply {_digit}xx", CODES["SMTP: Reply Other"])

_SSH = np.full(256, CODES["SSH: Other"], dtype=np.int16)
_SSH[20], _SSH[21] = CODES["SSH: Key Exchange Init"], CODES["SSH: New Keys"]
_SSH[30:42] = CODES["SSH: Key Exchange"]

_BT_KINDS = ("Choke", "Unchoke", "Interested", "Not Interested", "Have", "Bitfield", "Request",
             "Piece", "Cancel", "Port")  # fmt: skip
_BT = np.full(256, CODES["BitTorrent: Continuation"], dtype=np.int16)
_BT[: len(_BT_KINDS)] = [CODES[f"BitTorrent: {kind}"] for kind in _BT_KINDS]
_BT[20] = CODES["BitTorrent: Extended"]
_BT_LENGTH = np.zeros(256, dtype=np.int64)
_BT_LENGTH[:10] = [1, 1, 1, 1, 5, 0, 13, 0, 13, 3]


def words_of(heads):
    """First four bytes as a number with letters in upper case; (n, >= 4) -> (n,) int64."""
    return be32(heads, 0) & _FOLD


def http_codes(heads):
    """Name HTTP requests and responses by their first line; -1 where there is none."""
    codes = _HTTP(words_of(heads))
    status = (be32(heads, 0) == int.from_bytes(b"HTTP")) & (heads[:, 4] == ord("/"))
    # A method is written in capitals.
    codes = np.where((heads[:, 0] >= 0x61) | (heads[:, 1] >= 0x61), -1, codes)
    # RTSP and SIP have OPTIONS too; the resource tells ("OPTIONS rtsp://...").
    foreign = (codes == CODES["HTTP: OPTIONS"]) & np.isin(heads[:, 8], (ord("r"), ord("s")))
    codes = np.where(foreign, -1, codes)
    # "HTTP/1.1 200": the status stands behind one blank.
    return np.where(status, _HTTP_STATUS[heads[:, 9]], codes).astype(np.int16)


def evidence(heads, length):
    """Tell what a session speaks by the first bytes of a segment; 0 where they tell nothing.

    Parameters
    ----------
    heads : ndarray of shape (n, >= 24), uint8
    length : ndarray of shape (n,)
        Bytes of payload on the wire.

    Returns
    -------
    ndarray of shape (n,), int16
    """
    first = be32(heads, 0)
    spoken = np.zeros(len(heads), dtype=np.int16)
    spoken[http_codes(heads) >= 0] = HTTP
    spoken[first == int.from_bytes(b"SSH-")] = SSH
    handshake = (heads[:, 0] == 19) & (be32(heads, 1) == int.from_bytes(b"BitT"))
    spoken[handshake] = BITTORRENT
    spoken[looks_like_stun(heads, length)] = STUN
    spoken[looks_like_tls(heads) & (length >= 5)] = TLS
    return spoken


def payload_codes(spoken, data, start, stop, heads, length, to_server):
    """Name what segments say, each by its first bytes.

    Parameters
    ----------
    spoken : ndarray of shape (n,)
        What the session speaks; TLS is not named here.
    data : ndarray of shape (n_bytes,), uint8
    start, stop : ndarray of shape (n,)
        Captured payload.
    heads : ndarray of shape (n, >= 24), uint8
        Its first bytes.
    length : ndarray of shape (n,)
        Bytes of payload on the wire.
    to_server : ndarray of shape (n,), bool

    Returns
    -------
    ndarray of shape (n,), int16
        -1 where nothing is to be said.
    """
    codes = np.full(len(spoken), -1, dtype=np.int16)
    for protocol in np.unique(spoken).tolist():
        if protocol not in _NAMERS:
            continue
        rows = np.flatnonzero(spoken == protocol)
        codes[rows] = _NAMERS[protocol](
            data, start[rows], stop[rows], heads[rows], length[rows], to_server[rows]
        )
    return codes


def _ssh(data, start, stop, heads, length, to_server):
    size = be32(heads, 0)
    clear = (size >= 5) & (size < 36000) & (heads[:, 4] >= 4) & (heads[:, 4] < size)
    clear &= (size + 4) % 8 == 0
    codes = np.where(clear & (_SSH[heads[:, 5]] != CODES["SSH: Other"]), _SSH[heads[:, 5]],
                     CODES["SSH: Encrypted Packet"])  # fmt: skip
    banner = size == int.from_bytes(b"SSH-")
    return np.where(banner, CODES["SSH: Protocol"], codes)


def _ftp(data, start, stop, heads, length, to_server):
    return np.where(to_server, _FTP(words_of(heads)), _FTP_STATUS[heads[:, 0]])


def _smtp(data, start, stop, heads, length, to_server):
    return np.where(to_server, _SMTP(words_of(heads)), _SMTP_STATUS[heads[:, 0]])


def _pop3(data, start, stop, heads, length, to_server):
    answer = np.full(len(heads), CODES["POP3: Data"], dtype=np.int16)
    answer[be32(heads, 0) >> 8 == int.from_bytes(b"+OK")] = CODES["POP3: OK"]
    answer[be32(heads, 0) == int.from_bytes(b"-ERR")] = CODES["POP3: Error"]
    return np.where(to_server, _POP3(words_of(heads)), answer)


def _imap(data, start, stop, heads, length, to_server):
    # A command follows the tag and one blank.
    tag = np.argmax(heads[:, :20] == 0x20, axis=1)
    command = window(data, start + tag + 1, stop, 4)
    return np.where(to_server, _IMAP(words_of(command)), CODES["IMAP: Response"])


def _bittorrent(data, start, stop, heads, length, to_server):
    size, kind = be32(heads, 0), heads[:, 4]
    fits = (size > 0) & (size < 1 << 18) & ((_BT_LENGTH[kind] == 0) | (_BT_LENGTH[kind] == size))
    codes = np.where(fits, _BT[kind], CODES["BitTorrent: Continuation"])
    handshake = (heads[:, 0] == 19) & (be32(heads, 1) == int.from_bytes(b"BitT"))
    return np.where(handshake, CODES["BitTorrent: Handshake"], codes)


def _stun(data, start, stop, heads, length, to_server):
    return np.where(looks_like_stun(heads, length), stun_codes(heads), -1)


def _dns(data, start, stop, heads, length, to_server):
    whole = (be16(heads, 0) >= 12) & (be16(heads, 0) + 2 <= length)
    return np.where(whole, dns_codes(data, np.minimum(start + 2, stop), stop), -1)


_NAMERS = {SSH: _ssh, FTP: _ftp, SMTP: _smtp, POP3: _pop3, IMAP: _imap, BITTORRENT: _bittorrent,
           STUN: _stun, DNS: _dns}  # fmt: skip
