"""A harness a parser: a function of any bytes that ends where the parser keeps its promises.

`HARNESSES` names them. Each raises AssertionError, or whatever the parser should not have raised.
"""

import contextlib
import io
import os
import tempfile
import warnings

import numpy as np

from sktraffic.capture import CaptureError, SessionExtractor
from sktraffic.capture._sessions import SessionReader
from sktraffic.capture._settings import Settings
from sktraffic.datasets._heads import parse_heads
from sktraffic.feature_extraction import ByteTokens
from sktraffic.messages import MESSAGES, MessageReader
from sktraffic.packets import (
    NO_TIME,
    FileFacts,
    PacketTable,
    RecordBlock,
    SessionBuilder,
    SessionTracker,
    parse_headers,
    read_packets,
    read_records,
)
from sktraffic.persistence import ModelFileError, load, read_provenance
from sktraffic.sessions import from_arrow, iter_sessions, read_sessions, to_arrow
from sktraffic.wireshark import read_wireshark
from tests.fuzz.promises import (
    check_block,
    check_facts,
    check_packets,
    check_report,
    check_sessions,
    count_records,
    expect,
    same_packets,
)
from tests.fuzz.promises import to_arrow as join

# Ethernet, raw IP, and everything else whose frames are looked into
LINKS = (1, 101, 0, 6, 8, 9, 12, 50, 51, 104, 105, 107, 108, 109, 113, 117, 119, 127, 138, 149,
         163, 166, 192, 204, 228, 229, 239, 242, 258, 276, 195)  # fmt: skip
# what messages are told by: a port for each protocol that is looked for
PORTS = (443, 80, 53, 67, 69, 123, 137, 1900, 5353, 5060, 3478, 22, 25, 21, 5222, 554, 50000, 143,
         110, 161, 500, 1194, 4433, 6881, 51820, 5004)  # fmt: skip


# the least and the largest time that capture files give, ns
TIMES = -3 * 10**17, 89 * 10**17


class Trickle(io.RawIOBase):
    """A file that gives a few bytes at a time, as a slow pipe does."""

    def __init__(self, data, step):
        self._data, self._step, self._at = data, step, 0

    def readable(self):
        """Say yes."""
        return True

    def readinto(self, buffer):
        """Give the next few bytes."""
        part = self._data[self._at : self._at + min(self._step, len(buffer))]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def _frames(data, most=64):
    """Cut fuzz bytes into frames, each behind two bytes of length."""
    out, at = [], 0
    while at + 2 <= len(data) and len(out) < most:
        size = int.from_bytes(data[at : at + 2], "little") & 0x7FF
        out.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return out


def block_of(pieces, link_type, time=None, fill=b"\xff"):
    """Make a block of records of frames, with `fill` between them."""
    at, content = [], bytearray()
    for piece in pieces:
        content += fill
        at.append(len(content))
        content += piece
    size = np.array([len(piece) for piece in pieces], np.int64)
    n = len(pieces)
    return RecordBlock(
        np.arange(n) * 10**7 if time is None else time,
        size,
        size,
        np.full(n, link_type, np.int64),
        np.array(at, np.int64),
        bytes(content + fill * 64),
    )


def _records(source):
    """Read all records: facts, blocks, and what each frame holds; None where it is no capture."""
    facts = FileFacts()
    try:
        blocks = list(read_records(source, facts))
    except ValueError as error:
        expect("first bytes" in str(error) or "compress" in str(error), "unclear:", error)
        return facts, None
    for block in blocks:
        check_block(block)
    return facts, blocks


def _told(blocks):
    names = ("time", "captured", "wire", "link_type")
    empty = np.zeros(0, np.int64)
    columns = [np.concatenate([empty, *(getattr(b, name) for b in blocks)]) for name in names]
    content = [
        bytes(memoryview(b.data)[a : a + size])
        for b in blocks
        for a, size in zip(b.at.tolist(), b.captured.tolist(), strict=True)
    ]
    return columns, content


def records(data):
    """Pcap and pcapng records: counted as the plainest walk does, and the same in pieces."""
    facts, blocks = _records(io.BytesIO(data))
    plain = count_records(data)
    if blocks is None:
        expect(not plain, plain, "records in what is refused")
        return
    expect(facts.records == sum(map(len, blocks)), "records are not counted")
    expect(0 <= facts.unread_bytes, "negative rest")
    if plain is not None and not facts.remarks:
        expect(facts.records == plain, facts.records, "records, the plain walk has", plain)
    for step in (7, 4096):
        if len(data) // step > 2000:
            continue
        slow, pieces = _records(Trickle(data, step))
        if facts.remarks or slow.remarks:  # guesses from what is there at first
            continue
        expect(pieces is not None, "refused in pieces of", step)
        (a, frames_a), (b, frames_b) = _told(blocks), _told(pieces)
        expect(all(map(np.array_equal, a, b)), "other records in pieces of", step)
        expect(frames_a == frames_b, "other frames in pieces of", step)
        expect(slow.damage == facts.damage, slow.damage, "in pieces, else", facts.damage)


def packets(data):
    """Whole captures to packets, with tunnels and fragments or without; the accounting."""
    for options in ({}, {"decode_tunnels": False, "join_fragments": False}):
        reader = read_packets(io.BytesIO(data), **options)
        try:
            for table in reader:
                check_packets(table)
        except ValueError as error:
            expect(not reader.facts.format or reader.facts.damage, "unclear:", error)
            return
        check_facts(reader.facts)


def links(data):
    """Frames of every link layer to packets; what stands around a frame makes no difference."""
    if not data:
        return
    link_type, pieces = LINKS[data[0] % len(LINKS)], _frames(data[1:])
    _in_any_surroundings(pieces, link_type)


def tunnels(data):
    """Packets in tunnels and fragments: raw IP, the first byte of each frame its version's."""
    _in_any_surroundings(_frames(data), 101)


def _in_any_surroundings(pieces, link_type):
    if not pieces:
        return
    found = []
    for fill in (bytes(64), b"\x45" * 3):
        reader = read_packets([block_of(pieces, link_type, fill=fill)])
        found.append(PacketTable.concatenate(reader))
        check_packets(found[-1])
        check_facts(reader.facts)
    same_packets(*found)
    # one record at a time
    first = read_packets([block_of([piece], link_type) for piece in pieces])
    one_by_one = [table for table in first if len(table)]
    times = np.concatenate([[], *(table.time for table in one_by_one)])
    expect(len(times) == len(found[0]), "other packets one by one")
    for name in ("size", "src_port", "payload_size", "protocol", "tunnel"):
        values = np.concatenate([[], *(getattr(table, name) for table in one_by_one)])
        expect(np.array_equal(values, getattr(found[0], name)), name, "differs one by one")


def headers(data):
    """Call the header parser alone: places, ranges, and nothing read beyond a packet's bytes."""
    pieces = _frames(data)
    if not pieces:
        return
    found = []
    for fill in (bytes(64), b"\x06" * 5):
        block = block_of(pieces, 101, fill=fill)
        content = np.frombuffer(block.data, np.uint8)
        table = parse_headers(content, block.at, block.at + block.captured)
        found.append(table.take(table.version > 0))
        expect((table.stop <= block.at + block.captured).all(), "beyond its packet")
        check_packets(found[-1])
    same_packets(*found)


def conversation(data):
    """Make packets that get past the headers: addresses, ports and sequence numbers are sound.

    Six bytes a packet say direction, flags, port, sequence number and length; then comes its
    payload.
    """
    out, at = [], 0
    while at + 6 <= len(data) and len(out) < 48:
        kind, port, seq, flags = (
            data[at],
            PORTS[data[at + 1] % len(PORTS)],
            data[at + 2],
            data[at + 3],
        )
        size = int.from_bytes(data[at + 4 : at + 6], "little") & 0x3FF
        payload = data[at + 6 : at + 6 + size]
        at += 6 + size
        ends = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
        ports = [(40000).to_bytes(2, "big"), port.to_bytes(2, "big")]
        step = 1 if kind & 1 else -1
        cut = len(payload) - (kind >> 4 if kind & 8 else 0)
        if kind & 2:
            head = b"".join(ports[::step]) + (8 + size).to_bytes(2, "big") + bytes(2)
        else:
            number = ((seq << 24) + seq * 7 + at * (kind & 4)).to_bytes(5, "big")[-4:]
            head = b"".join(ports[::step]) + number + bytes(4) + bytes([0x50, flags]) + bytes(6)
        total = (20 + len(head) + size).to_bytes(2, "big")
        ip = bytes([0x45, 0]) + total + bytes(4) + bytes([64, 17 if kind & 2 else 6]) + bytes(2)
        out.append(ip + b"".join(ends[::step]) + head + payload[: max(cut, 0)])
    return out


def messages(data):
    """Call the dissector: a known name for each packet, the same in tables of one packet."""
    pieces = conversation(data)
    if pieces:
        _dissect(block_of(pieces, 101))


def stray_messages(data):
    """Call the dissector behind any headers at all."""
    pieces = _frames(data)
    if pieces:
        _dissect(block_of(pieces, 101))


def _dissect(block):
    said = []
    for size in (len(block), 1):
        tracker, reader, codes = SessionTracker(end_on="fin"), MessageReader(), [[]]
        for first in range(0, len(block), size):
            names = ("time", "captured", "wire", "link_type", "at")
            part = [getattr(block, name)[first : first + size] for name in names]
            for table in read_packets([RecordBlock(*part, block.data)], join_fragments=False):
                sessions = tracker.add(table)
                codes.append(reader.read(table, sessions))
                reader.forget(sessions.ended)
        said.append(np.concatenate(codes))
        expect(((said[-1] >= 0) & (said[-1] < len(MESSAGES))).all(), "no such message")
    expect(np.array_equal(*said), "other messages packet by packet")


def sessions(data):
    """Any times, flags and ends: sessions hold all packets, however these are cut into tables."""
    n = len(data) // 12
    if not n:
        return
    raw = np.frombuffer(data[: 12 * n], np.uint8).reshape(n, 12)
    table = PacketTable.blank(n)
    table.time = raw[:, :8].copy().view("<i8")[:, 0].astype(np.int64)
    table.time[raw[:, 8] & 3 == 0] >>= 24  # hours, not centuries
    table.time[(raw[:, 8] & 0x1C == 4)] = NO_TIME
    table.time = np.where(table.time == NO_TIME, NO_TIME, np.clip(table.time, *TIMES))
    table.src[:, 1], table.dst[:, 1] = raw[:, 9] & 3, raw[:, 9] >> 2 & 3
    table.src_port, table.dst_port = (raw[:, 9] >> 4 & 1).astype(np.int32), np.zeros(n, np.int32)
    table.version[:], table.size = 4, raw[:, 10].astype(np.int64)
    table.protocol = np.where(raw[:, 8] & 32, 6, 17).astype(np.uint8)
    table.flags = raw[:, 11].astype(np.int16)
    for key in ("five_tuple", "host_pair", "capture"):
        found, steps = zip(*(_sessions_of(table, size, key) for size in (n, 3)), strict=True)
        for rows in found:
            check_sessions(rows, n)
        if any(steps):  # which sessions are over by then depends on when it is looked
            continue
        expect(found[0].num_rows == found[1].num_rows, "other sessions in pieces")
        for name in ("packet_count", "packet_size", "start", "packet_time", "src_port"):
            one, other = (rows.sort_by("session")[name].to_pylist() for rows in found)
            expect(repr(one) == repr(other), name, "differs in pieces")


def _sessions_of(table, size, key):
    reader, parts = SessionReader("fuzz", Settings(key=key, end_on="fin", messages=False)), []
    for first in range(0, len(table), size):
        reader.add(table.take(slice(first, first + size)))
        parts.append(reader.take())
    reader.finish()
    return join([*parts, reader.take()]), reader.tracker.clock.steps_back


@contextlib.contextmanager
def _file(data, suffix):
    """Write bytes to a file; warnings are not heard."""
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=folder) as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = os.path.join(home, "input" + suffix)
        with open(path, "wb") as file:
            file.write(data)
        yield path


def extraction(data):
    """Turn a file into a session table, as users do; errors name the file."""
    with _file(data, ".pcap") as path:
        try:
            X, report = SessionExtractor(n_dissections=0).extract(path)
        except CaptureError as error:
            expect(path in str(error), "the error does not name the file:", error)
            return
    row = report.iloc[0]
    check_report(row)
    check_sessions(to_arrow(X), int(row["session_packets"]))


def exports(data):
    """Wireshark's exports: a session table, or an error that names the file."""
    with _file(data, ".csv") as path:
        try:
            X = read_wireshark(path)
        except ValueError as error:
            expect(path in str(error), "the error does not name the file:", error)
            return
    check_sessions(to_arrow(X))


def heads(data):
    """First bytes of single-session captures."""
    width = 160
    rows = np.frombuffer(data[: len(data) // width * width], np.uint8).reshape(-1, width)
    try:
        X, kept = parse_heads(rows)
    except ValueError as error:
        expect("session heads" in str(error), "unclear:", error)
        return
    expect(len(X) == len(kept), "rows are lost")
    check_sessions(to_arrow(X))


def archive(data):
    """Model files: refused by name, and nothing of them runs."""
    with _file(data, ".skt") as path:
        for read in (read_provenance, load):
            try:
                read(path)
            except (ModelFileError, ImportError) as error:
                expect(path in str(error), "the error does not name the file:", error)


def parquet(data):
    """Session tables of strangers: rows, or an error that names the file."""
    with _file(data, ".parquet") as path:
        for read in (read_sessions, lambda p: list(iter_sessions(p))):
            try:
                read(path)
            except ValueError as error:
                expect(path in str(error), "the error does not name the file:", error)


def tokens(data):
    """Packet bytes to tokens: any bytes behind any headers."""
    pieces = _frames(data)
    tracker = SessionTracker()
    builder = SessionBuilder("fuzz")
    for table in read_packets([block_of(pieces, 101)]):
        builder.add(table, tracker.add(table))
    builder.end(tracker.finish())
    X = from_arrow(join([builder.take()]))
    if not len(X):
        return
    for options in ({"tokens": "pair"}, {"start": "ip"}):
        made = ByteTokens(**options).fit(X)
        out = np.asarray(made.transform(X))
        expect(out.shape[0] == len(X), "rows are lost")
        expect(((out >= 0) & (out < made.vocabulary_size_)).all(), "token out of the vocabulary")


HARNESSES = {
    function.__name__: function
    for function in (
        records,
        packets,
        links,
        headers,
        tunnels,
        messages,
        stray_messages,
        sessions,
        extraction,
        exports,
        heads,
        archive,
        parquet,
        tokens,
    )
}
