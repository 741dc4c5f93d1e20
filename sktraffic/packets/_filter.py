"""Filters in libpcap's language: compiled once by libpcap, run on all packets at once.

Libpcap compiles a filter for raw IP, into a program of its packet filter machine (McCanne and
Jacobson, "The BSD Packet Filter", USENIX Winter 1993). The program then reads from the IP header
that was found, so tags and tunnels in front of it do not matter. Its jumps go forward only: one
walk over the instructions, each on all packets that reach it, runs it on a whole table.
"""

import re
from dataclasses import dataclass

import numpy as np

__all__ = ["PacketFilter", "compile_filter"]

# the lower three bits of an instruction's code, its class
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
WIDTH = {0x00: 4, 0x08: 2, 0x10: 1}  # bytes of a load: word, half word, byte
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0  # modes of a load
FROM_X, X_TO_A, BY_A = 0x08, 0x80, 0x10  # operand of ALU and JMP, way of MISC, value of RET
JUMP_ALWAYS = 0x00
TESTS = {
    0x10: np.equal,
    0x20: np.greater,
    0x30: np.greater_equal,
    0x40: lambda a, value: (a & value) != 0,
}
# shifts by 32 and more give 0; a division by 0 is seen to before
ARITHMETIC = {
    0x00: np.add,
    0x10: np.subtract,
    0x20: np.multiply,
    0x30: np.floor_divide,
    0x40: np.bitwise_or,
    0x50: np.bitwise_and,
    0x60: lambda a, value: np.where(value < 32, a << np.minimum(value, 31), 0),
    0x70: lambda a, value: np.where(value < 32, a >> np.minimum(value, 31), 0),
    0x80: lambda a, value: np.negative(a),
    0x90: np.mod,
    0xA0: np.bitwise_xor,
}
DIVISIONS = (0x30, 0x90)

SNAP_LENGTH = 262_144
# a place no packet has: loads from it give the identifier of the packet's VLAN tag
VLAN_AT = 1 << 30
VLAN = re.compile(r"\bvlan\b(?:\s+(0[xX][0-9a-fA-F]+|\d+)\b)?")
# places from here on are what Linux says of a packet beside its bytes (direction, interface)
BESIDE = 0xFFFF_F000
CHUNK = 1 << 14  # packets a walk: their first bytes fit a core's cache

# Wireshark's display filters -> libpcap's filters
_HOST, _PORT = r"\s*(?:==|eq)\s*([0-9A-Fa-f:.]+(?:/\d+)?)", r"\s*(?:==|eq)\s*(\d+)"
DISPLAY = (
    (rf"\b(?:ip|ipv6)\.addr{_HOST}", r"host \1"),
    (rf"\b(?:ip|ipv6)\.(src|dst){_HOST}", r"\1 host \2"),
    (rf"\b(tcp|udp|sctp)\.port{_PORT}", r"\1 port \2"),
    (rf"\b(tcp|udp|sctp)\.(src|dst)port{_PORT}", r"\1 \2 port \3"),
    (rf"\bvlan\.id{_PORT}", r"vlan \1"),
    (r"\b(?:dns|mdns)\b", "port 53"),
    (r"\b(?:tls|ssl)\b", "tcp port 443"),
    (r"\bhttp\b", "tcp port 80"),
    (r"\bquic\b", "udp port 443"),
    (r"\bipv6\b", "ip6"),
    (r"\bicmpv6\b", "icmp6"),
)
DISPLAY_ONLY = re.compile(r"\b[a-z]\w*\.[a-z_]\w*|\b(?:contains|matches|eq|ne)\b|==", re.I)
LINK_WORDS = re.compile(r"\b(?:ether|fddi|tr|wlan|mpls|pppoe[ds]|r?arp|atalk|aarp|iso|stp)\b")


@dataclass(frozen=True)
class PacketFilter:
    """A compiled filter; made by :func:`compile_filter`. It pickles, and needs no libpcap then.

    Attributes
    ----------
    text : str
        The filter as given.
    program : tuple of (int, int, int, int)
        Instructions: code, distances of the jump where its test holds and where not, operand.

    Examples
    --------
    >>> import pickle
    >>> from sktraffic.packets import compile_filter
    >>> kept = compile_filter("udp port 53")
    >>> kept.text, pickle.loads(pickle.dumps(kept)) == kept
    ('udp port 53', True)
    """

    text: str
    program: tuple

    def match(self, table):
        """Say which packets pass.

        Parameters
        ----------
        table : PacketTable
            Bytes behind the captured ones are not there: what reads them does not pass, as in
            libpcap.

        Returns
        -------
        ndarray of shape (n_packets,), bool
        """
        passed = np.zeros(len(table), dtype=bool)
        for first in range(0, len(table), CHUNK):
            rows = slice(first, first + CHUNK)
            passed[rows] = _run(self.program, _Packets(table, rows))
        return passed


def compile_filter(text):
    """Compile a filter of libpcap's language.

    The filter is about IP packets, whatever lies in front of them: a link layer, VLAN tags, MPLS
    labels, PPPoE, or the tunnel of a packet in a tunnel that was decoded. ``vlan`` and ``vlan N``
    ask for the innermost tag, before and after other words alike, and move no other word's place;
    ``len``, ``greater`` and ``less`` mean bytes of the frame on the wire. Words about other link
    layers (``ether``, ``mpls``, ``pppoes``, ``wlan``) and about protocols that are not IP
    (``arp`` alone) are errors.

    Parameters
    ----------
    text : str
        ``"tcp port 443 and not host 10.0.0.1"`` say; see the manual page pcap-filter(7).

    Returns
    -------
    PacketFilter

    Raises
    ------
    ValueError
        If libpcap does not compile it; the message says what libpcap says, and what a display
        filter of Wireshark would be in libpcap's language.
    ImportError
        If cypcap, which brings libpcap, is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import compile_filter, parse_headers
    >>> packet = bytes.fromhex("4500001c00000000401100000a0000010a000002" "d903003500080000")
    >>> table = parse_headers(np.frombuffer(packet, np.uint8), np.array([0]), np.array([28]))
    >>> compile_filter("udp port 53").match(table), compile_filter("tcp").match(table)
    (array([ True]), array([False]))
    """
    pcap = _libpcap()
    try:
        program = _compile(pcap, text)
    except pcap.Error as error:
        raise ValueError(
            f"bpf_filter={text!r} is no filter that libpcap can apply to IP packets: {error.msg}."
            f"{_hint(pcap, text)}"
        ) from None
    if any(code & 7 == LD and code & 0xE0 == ABS and k >= BESIDE for code, _, _, k in program):
        raise ValueError(
            f"bpf_filter={text!r} asks for what captures do not hold, such as a packet's direction "
            "through an interface. Ask for addresses ('src host', 'src net') instead."
        )
    return PacketFilter(text, program)


def _libpcap():
    try:
        import cypcap
    except ImportError as error:
        raise ImportError(
            f"bpf_filter needs libpcap through the package cypcap, which cannot be imported "
            f"({error}): pip install cypcap (on Windows also Npcap)."
        ) from error
    return cypcap


def _compile(pcap, text):
    link = pcap.DatalinkType.RAW
    plain = VLAN.sub(_vlan_test, text)
    program = pcap.compile(link, SNAP_LENGTH, plain, True, pcap.NETMASK_UNKNOWN)
    return tuple(tuple(map(int, instruction)) for instruction in program)


def _vlan_test(found):
    """Write ``vlan N`` as a test of the number at the place `VLAN_AT`."""
    number = found[1]
    if number and int(number, 0) > 4095:
        raise ValueError(f"bpf_filter asks for {found[0]!r}; VLAN identifiers end at 4095.")
    return f"(link[{VLAN_AT}:2] {f'= {number}' if number else '!= 0'})"


def _hint(pcap, text):
    """Say what to do about a filter that does not compile."""
    translated = text.replace("&&", " and ").replace("||", " or ")
    for pattern, words in DISPLAY:
        translated = re.sub(pattern, words, translated)
    if translated != text:
        try:
            _compile(pcap, translated)
        except (pcap.Error, ValueError):
            pass
        else:
            return (
                " It looks like a display filter of Wireshark; in libpcap's language that is about "
                f"{' '.join(translated.split())!r}."
            )
    if DISPLAY_ONLY.search(text):
        return (
            " It looks like a display filter of Wireshark; libpcap's language has no names of "
            "fields. 'tcp port 443 and host 10.0.0.1' is one of its filters; see pcap-filter(7)."
        )
    if LINK_WORDS.search(text):
        return (
            " It is applied from the IP header on, so leave out words about link layers (ether, "
            "mpls, pppoes, arp); it looks behind tags and into tunnels without them."
        )
    return " The language is tcpdump's; see pcap-filter(7)."


class _Packets:
    """What instructions read of some packets of a table."""

    def __init__(self, table, rows):
        self.data = table.data
        self.at, self.stop = table.at[rows], table.stop[rows]
        self.vlan, self.length = table.vlan[rows], table.wire[rows]

    def __len__(self):
        return len(self.at)

    def load(self, rows, place, width):
        """Read big-endian numbers of `width` bytes at a place behind each packet's IP header.

        Returns the numbers, shape (len(rows),), and which of them lie inside what was captured.
        """
        at = self.at[rows] + place
        inside = at + width <= self.stop[rows]
        if not inside.any():
            return np.zeros(len(rows), np.uint32), inside
        at = np.where(inside, at, 0)
        value = self.data[at].astype(np.uint32)
        for offset in range(1, width):
            value = value << np.uint32(8) | self.data[at + offset]
        return value, inside


class _State:
    """Registers of the machine, one for each packet: accumulator, index, scratch memory."""

    def __init__(self, n):
        self.a, self.x = np.zeros(n, np.uint32), np.zeros(n, np.uint32)
        self.memory = {}

    def cell(self, k):
        return self.memory.setdefault(k, np.zeros(len(self.a), np.uint32))


def _run(program, packets):
    """Run a program on packets; shape (n_packets,), bool."""
    n = len(packets)
    state, passed = _State(n), np.zeros(n, dtype=bool)
    # waiting[i]: the packets, in groups, whose next instruction is i
    waiting = [[] for _ in program]
    waiting[0].append(np.arange(n))
    for here, (code, if_true, if_false, k) in enumerate(program):
        if not waiting[here]:
            continue
        rows = np.concatenate(waiting[here]) if len(waiting[here]) > 1 else waiting[here][0]
        kind = code & 7
        if kind == RET:
            passed[rows] = state.a[rows] != 0 if code & 0x18 == BY_A else k != 0
        elif kind == JMP:
            for way, group in _jump(state, rows, code, k, if_true, if_false):
                waiting[here + 1 + way].append(group)
        else:
            rows = _step(state, packets, rows, code, k)
            waiting[here + 1].append(rows)
    return passed


def _jump(state, rows, code, k, if_true, if_false):
    """Say how far ahead packets go on; pairs of a distance and the packets that go there."""
    if code & 0xF0 == JUMP_ALWAYS:
        return [(k, rows)]
    value = state.x[rows] if code & FROM_X else np.uint32(k)
    holds = TESTS[code & 0xF0](state.a[rows], value)
    ways = [(if_true, rows[holds]), (if_false, rows[~holds])]
    return [(way, group) for way, group in ways if len(group)]


def _step(state, packets, rows, code, k):
    """Carry out an instruction that does not jump; returns the packets that go on."""
    kind = code & 7
    if kind in (LD, LDX):
        value, inside = _loaded(state, packets, rows, code, k)
        if inside is not None and not inside.all():
            rows, value = rows[inside], value[inside]
        (state.a if kind == LD else state.x)[rows] = value
    elif kind in (ST, STX):
        state.cell(k)[rows] = (state.a if kind == ST else state.x)[rows]
    elif kind == MISC:
        if code & X_TO_A:
            state.a[rows] = state.x[rows]
        else:
            state.x[rows] = state.a[rows]
    else:
        value = state.x[rows] if code & FROM_X else np.full(len(rows), k, np.uint32)
        if code & 0xF0 in DIVISIONS:
            rows, value = rows[value != 0], value[value != 0]
        state.a[rows] = ARITHMETIC[code & 0xF0](state.a[rows], value)
    return rows


def _loaded(state, packets, rows, code, k):
    """Values that a load gives, and where they are there (None: everywhere)."""
    mode, width = code & 0xE0, WIDTH[code & 0x18]
    if mode == IMM:
        return np.full(len(rows), k, np.uint32), None
    if mode == MEM:
        return state.cell(k)[rows], None
    if mode == LEN:
        return packets.length[rows].astype(np.uint32), None
    if mode == MSH:  # four times the lower half of a byte: the length of an IPv4 header
        value, inside = packets.load(rows, k, 1)
        return (value & np.uint32(15)) << np.uint32(2), inside
    if mode == ABS and k == VLAN_AT:
        tag = packets.vlan[rows]
        return tag.astype(np.uint32), tag >= 0
    place = state.x[rows].astype(np.int64) + k if mode == IND else k
    return packets.load(rows, place, width)
