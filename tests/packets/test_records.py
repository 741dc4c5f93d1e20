"""Records of capture files: formats, byte orders, times, damage, and how they are found."""

import bz2
import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.packets import NO_TIME, FileFacts, _records, _walk, capture_format, read_records
from tests.capture.craft import Craft

COLUMNS = ("time", "captured", "wire", "link_type")


def walk(source):
    """Return all records of a capture, column by column, and its facts."""
    facts = FileFacts()
    blocks = list(read_records(source, facts))
    columns = [
        np.concatenate([getattr(b, n) for b in blocks]) if blocks else np.zeros(0, int)
        for n in COLUMNS
    ]
    return *columns, facts


def contents(source):
    """Return the captured bytes of every record."""
    return [
        bytes(np.asarray(block.data[at : at + size]))
        for block in read_records(source, FileFacts())
        for at, size in zip(block.at, block.captured, strict=True)
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_classic_times_in_both_byte_orders(craft, order, magic, unit):
    """Seconds and micro- or nanoseconds, whichever way the bytes run."""
    file = io.BytesIO(craft.pcap([(5, 7, b"abc"), (4, 9, b"", 60)], 101, order, magic))
    time, captured, wire, link, facts = walk(file)
    assert time.tolist() == [5 * 10**9 + 7 * unit, 4 * 10**9 + 9 * unit]
    assert captured.tolist() == [3, 0]
    assert wire.tolist() == [3, 60]
    assert link.tolist() == [101, 101]
    assert (facts.records, facts.truncated, facts.backwards) == (2, 1, 1)
    assert (facts.damage, facts.unread_bytes, facts.format) == ("", 0, "pcap")


@pytest.mark.parametrize("block", [1 << 12, 1 << 22])
def test_a_stretch_of_zeros_is_not_read_as_records_for_ever(craft, monkeypatch, block):
    """A file that was never written to its end; wherever blocks are cut, the same records."""
    monkeypatch.setattr(_records, "CHUNK", block)
    head = craft.pcap([(5, 7, b"abc"), (5, 8, b"")])
    few = io.BytesIO(head + bytes(16 * 65_536) + craft.pcap([(6, 0, b"d")])[24:])
    *_, facts = walk(few)
    assert (facts.records, facts.damage) == (65_539, "")
    *_, facts = walk(io.BytesIO(head + bytes(16 * 65_537)))
    assert (facts.records, facts.unread_bytes) == (65_538, 16)
    assert facts.damage == "65,536 records of zeros in a row: the rest is not read"


@pytest.mark.parametrize("magic", [0xA1B2CD34, 0xA1B2C3D4])
def test_long_record_headers(craft, magic):
    """Kuznetzov's 24 bytes are read under their own magic number and under the standard one."""
    frames = [(1_500_000_000 + i, i, bytes(range(40 + i))) for i in range(30)]
    extra = bytes([1, 0, 0, 0, 9, 9, 9, 9])
    time, captured, _, _, facts = walk(io.BytesIO(craft.pcap(frames, magic=magic, extra=extra)))
    assert captured.tolist() == [40 + i for i in range(30)]
    assert (time // 10**9).tolist() == [1_500_000_000 + i for i in range(30)]
    assert facts.damage == ""
    assert len(facts.remarks) == (magic == 0xA1B2C3D4)


def test_nanoseconds_under_the_magic_number_of_microseconds(craft):
    """Fractions beyond a million prove it; one alone, among many that fit, proves nothing."""
    frames = [(9, 123_456_789 + i * 10**6, b"abc") for i in range(8)]
    time, _, _, _, facts = walk(io.BytesIO(craft.pcap(frames)))
    assert np.diff(time).tolist() == [10**6] * 7
    assert time[0] == 9_123_456_789
    assert "nanoseconds" in facts.remarks[0]
    frames = [(9, 1_000_001 if i == 3 else i, b"abc") for i in range(8)]
    time, *_, facts = walk(io.BytesIO(craft.pcap(frames)))
    assert time[3] == 10_000_001_000
    assert facts.remarks == []


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("options", "ticks", "nanoseconds"),
    [
        (b"", 1_500_000_000_000_007, 1_500_000_000_000_007_000),
        ((9, 1, b"\x09"), 1_500_000_000_000_000_007, 1_500_000_000_000_000_007),
        ((9, 1, b"\x03"), 1_500_000_000_007, 1_500_000_000_007_000_000),
        ((9, 1, b"\x8a"), 1024 * 7 + 512, 7_500_000_000),  # 2**-10 s
        ((14, 8, 100), 5_000_000, 105_000_000_000),  # seconds added to every time
        (b"", 10**6 * (1000 * 2**32 + 5) + 7, 5_000_007_000),  # beyond 2262: a clock gone wrong
    ],
)
def test_pcapng_time_resolutions(craft, order, options, ticks, nanoseconds):
    """if_tsresol as a power of ten or of two, and if_tsoffset."""
    if options:
        code, size, value = options
        value = struct.pack(order + "q", value) if isinstance(value, int) else value
        options = struct.pack(order + "HH", code, size) + value + bytes(-size % 4)
    blocks = [craft.interface(1, options, order), craft.packet(b"abc", ticks, 0, order)]
    time, captured, _, _, facts = walk(io.BytesIO(craft.pcapng(blocks, order)))
    assert time.tolist() == [nanoseconds]
    assert captured.tolist() == [3]
    assert facts.format == "pcapng"


def test_pcapng_sections_interfaces_and_other_blocks(craft):
    """Interfaces count from zero in each section; unknown blocks are stepped over."""
    first = craft.pcapng([
        craft.interface(1), craft.interface(101), craft.block(5, b"statistics"),
        craft.packet(b"abcd", 1, interface=1), craft.packet(b"ab", 2, interface=0),
    ])  # fmt: skip
    simple = craft.block(3, struct.pack(">I", 9) + b"abcdefghi", ">")
    obsolete = craft.block(2, struct.pack(">HHIIII", 0, 0, 0, 8, 4, 4) + b"abcd", ">")
    second = craft.pcapng([craft.interface(113, b"", ">"), simple, obsolete], ">")
    third = craft.pcapng([craft.interface(9), craft.packet(b"x", 3)])
    fourth = craft.pcapng([craft.packet(b"nobody's", 4)])
    time, captured, _, link, facts = walk(io.BytesIO(first + second + third + fourth))
    assert link.tolist() == [101, 1, 113, 113, 9, -1]
    assert captured.tolist() == [4, 2, 9, 4, 1, 8]
    assert time.tolist() == [1000, 2000, NO_TIME, 8000, 3000, NO_TIME]
    assert facts.link_types == {1, 9, 101, 113}
    assert (facts.damage, facts.timeless) == ("", 2)


def test_pcapng_interfaces_with_their_own_snap_lengths(craft):
    """A simple packet is cut at the first interface's length, others say what they hold."""
    short = craft.block(1, struct.pack("<HHI", 1, 0, 6))
    wide = craft.block(1, struct.pack("<HHI", 1, 0, 262144))
    simple = craft.block(3, struct.pack("<I", 9) + b"abcdef")
    blocks = [short, wide, simple, craft.packet(bytes(300), 7, interface=1, wire=1000)]
    _, captured, wire, _, facts = walk(io.BytesIO(craft.pcapng(blocks)))
    assert captured.tolist() == [6, 300]
    assert wire.tolist() == [9, 1000]
    assert facts.truncated == 2


def test_a_block_never_gives_more_than_it_holds(craft):
    """A packet that claims more captured bytes than its block has is cut to the block."""
    lying = craft.block(6, struct.pack("<IIIII", 0, 0, 1, 5000, 5000) + b"abcd")
    file = craft.pcapng([craft.interface(), lying, craft.packet(b"next", 2)])
    assert contents(io.BytesIO(file)) == [b"abcd", b"next"]


@given(cut=st.integers(0, 400), pcapng=st.booleans(), chunk=st.sampled_from([1, 64, 1 << 20]))
def test_a_cut_file_gives_what_is_before_the_cut(tmp_path_factory, cut, pcapng, chunk):
    """Records before the cut are given; the bytes behind the last whole one are counted."""
    craft = Craft()
    frames = [bytes([i]) * (3 * i + 1) for i in range(12)]
    if pcapng:
        parts = [craft.pcapng([craft.interface()])]
        parts += [craft.packet(frame, i) for i, frame in enumerate(frames)]
    else:
        parts = [craft.pcap([])]
        parts += [craft.pcap([(1, 2, frame)])[24:] for frame in frames]
    whole = b"".join(parts)
    cut = max(4, len(whole) - cut)
    path = tmp_path_factory.mktemp("cut") / "x"
    path.write_bytes(whole[:cut])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_records, "CHUNK", chunk)
        _, captured, _, _, facts = walk(path)
    ends = np.cumsum([len(part) for part in parts])
    n = int((ends <= cut).sum()) - 1
    assert captured.tolist() == [len(frame) for frame in frames[: max(n, 0)]]
    begun = ends[n] if n >= 0 else 0
    assert facts.unread_bytes == cut - begun
    assert bool(facts.damage) == (cut > begun)


def _random_file(rng, n, pcapng, order):
    """Frames of many sizes, some with what looks like records inside, and their file."""
    craft = Craft()
    sizes = rng.choice([0, 1, 40, 60, 61, 700, 1500], n, p=[0.1, 0.1, 0.3, 0.2, 0.1, 0.1, 0.1])
    decoy = craft.packet(b"abc", 5, 0, order) + craft.pcap([(1_600_000_000, 5, b"ab")], 1, order)
    frames = [
        bytes(rng.integers(0, 256, size, np.uint8)) if rng.random() < 0.8
        else (decoy * 20)[:size] for size in sizes
    ]  # fmt: skip
    if pcapng:
        blocks = [craft.interface(1, b"", order)]
        blocks += [craft.packet(frame, 7 * i, 0, order) for i, frame in enumerate(frames)]
        return frames, craft.pcapng(blocks, order)
    # the upper byte of the seconds changes half-way
    starts = [1_610_000_000 + 300 * i for i in range(n)]
    records = [(start, i, frame) for i, (start, frame) in enumerate(zip(starts, frames))]  # noqa: B905
    return frames, craft.pcap(records, 1, order)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pcapng", [False, True])
@pytest.mark.parametrize("lane", [1, 4, 48])
def test_lanes_find_the_records_of_the_plain_walk(monkeypatch, rng, order, pcapng, lane):
    """Walking many stretches at once gives every record, whatever looks like one inside frames."""
    frames, file = _random_file(rng, 3000, pcapng, order)
    monkeypatch.setattr(_walk, "SMALL", 0)
    monkeypatch.setattr(_walk, "LANE", lane)
    monkeypatch.setattr(_records, "CHUNK", 200_000)
    assert contents(io.BytesIO(file)) == frames


@given(st.data())
def test_lanes_and_plain_walk_agree_on_damaged_files(data):
    """The same records, damage and unread bytes, wherever bytes are overwritten."""
    pcapng, order = data.draw(st.booleans()), data.draw(st.sampled_from("<>"))
    file = bytearray(_random_file(np.random.default_rng(1), 300, pcapng, order)[1])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(100, len(file) - 4))
        file[place : place + 4] = data.draw(st.binary(min_size=4, max_size=4))
    found = []
    for small in (0, 1 << 30):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_walk, "SMALL", small)
            *columns, facts = walk(io.BytesIO(bytes(file)))
            found.append(([c.tolist() for c in columns], facts.damage, facts.unread_bytes))
    assert found[0] == found[1]


@given(st.binary(max_size=300), st.sampled_from([b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a", b""]))
def test_garbage_never_crashes(data, magic):
    """Any bytes are read to some end or refused with a ValueError."""
    if capture_format(magic + data):
        facts = FileFacts()
        for block in read_records(io.BytesIO(magic + data), facts):
            assert (block.at + block.captured <= len(block.data)).all()
            assert (block.captured >= 0).all()
    else:
        with pytest.raises(ValueError, match=r"first bytes|compressed"):
            walk(io.BytesIO(magic + data))


def test_a_claim_takes_no_memory(craft):
    """A record of two gigabytes in a file of a few bytes is damage, and nothing is set aside."""
    file = craft.pcap([(1, 0, b"abc")], snap_length=0x7FFFFFFF)
    file += struct.pack("<IIII", 1, 0, 0x70000000, 0x70000000) + b"rest"
    largest = []
    real = np.empty

    def noting(shape, *args, **kwargs):
        largest.append(np.prod(shape))
        return real(shape, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_records.np, "empty", noting)
        _, captured, _, _, facts = walk(io.BytesIO(file))
    assert captured.tolist() == [3]
    assert (facts.damage, facts.unread_bytes) == (
        f"a record claims {0x70000000} captured bytes",
        20,
    )
    assert facts.remarks == []  # one record that fits is no proof of longer headers
    assert max(largest) <= 3 * _records.CHUNK


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(tmp_path, craft, pack):
    """Read as they are; a cut one gives what could be unpacked, and says so."""
    rng = np.random.default_rng(0)
    frames = [bytes(rng.integers(0, 256, 1000, np.uint8)) for _ in range(2000)]
    packed = pack(craft.pcap([(1, i, frame) for i, frame in enumerate(frames)]))
    path = tmp_path / "x"
    path.write_bytes(packed)
    assert contents(path) == frames
    path.write_bytes(packed[: len(packed) * 3 // 4])
    *_, facts = walk(path)
    assert 0 < facts.records < 2000
    assert "compression" in facts.damage


def test_zstandard(tmp_path, craft):
    """As the others, where the package for it is installed; several frames are one file."""
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    file = craft.pcap([(1, i, bytes([i]) * 50) for i in range(200)])
    path = tmp_path / "x"
    path.write_bytes(zstandard.compress(file[:3000]) + zstandard.compress(file[3000:]))
    *_, facts = walk(path)
    assert (facts.records, facts.damage) == (200, "")


def test_pipes_are_read_as_files(tmp_path, craft):
    """A named pipe, plain or compressed, written in small pieces."""
    frames = [bytes([i % 251]) * (i % 400) for i in range(500)]
    file = craft.pcap([(1, i, frame) for i, frame in enumerate(frames)])
    for written in (file, gzip.compress(file)):
        path = tmp_path / f"pipe{len(written)}"
        os.mkfifo(path)

        def write(path=path, written=written):
            with open(path, "wb", buffering=0) as pipe:
                for at in range(0, len(written), 777):
                    pipe.write(written[at : at + 777])

        writer = threading.Thread(target=write)
        writer.start()
        assert contents(path) == frames
        writer.join()


def test_a_pipe_gives_what_has_come(craft):
    """Records are handed over as soon as they are there, not when a buffer is full."""
    reader, writer = os.pipe()
    head = craft.pcap([])
    with open(reader, "rb", buffering=0) as source:
        blocks = read_records(source, FileFacts())
        for i in range(3):
            record = craft.pcap([(1, i, bytes(40))])[24:]
            os.write(writer, (head if i == 0 else b"") + record)
            block = next(blocks)
            assert (len(block), block.time[0]) == (1, 10**9 + 1000 * i)
        os.close(writer)
        assert list(blocks) == []


def test_standard_input_gives_what_has_come(craft):
    """A record that is written to standard input is read before the next one comes."""
    script = (
        "from sktraffic.packets import FileFacts, read_records\n"
        "for block in read_records('-', FileFacts()): print(len(block), flush=True)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        for i in range(3):
            record = craft.pcap([(1, i, bytes(40))])[24:]
            reader.stdin.write((craft.pcap([]) if i == 0 else b"") + record)
            reader.stdin.flush()
            assert reader.stdout.readline() == b"1\n"
        assert reader.communicate()[0] == b""


def test_file_names_that_are_no_text(tmp_path, craft):
    """A name with a byte of another encoding is opened like any other."""
    path = os.path.join(os.fsencode(tmp_path), b"latin1-\xe9.pcap")
    with open(path, "wb") as file:
        file.write(craft.pcap([(1, 0, b"abc")]))
    assert contents(os.fsdecode(path)) == [b"abc"]


def test_real_captures_have_the_records_that_another_reader_counts(traffic_data):
    """Records of 103 awkward captures, against counts made without this package."""
    import csv

    with open(traffic_data / "robustness" / "INDEX.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong, read = [], 0
    for row in rows:
        path = traffic_data / "robustness" / row["file"]
        if not path.exists():
            continue
        *_, facts = walk(path)
        read += 1
        if facts.records != int(row["packets"]) and not row["error"]:
            wrong.append((row["file"], facts.records, row["packets"]))
    assert wrong == []
    assert read > 90
