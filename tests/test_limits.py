"""Files that would unpack to far more than they are: refused by name, settable, cheap to refuse."""

import bz2
import gzip
import io
import json
import lzma
import struct
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.dummy import DummyClassifier

from sktraffic._limits import GROWTH, check_unpacked, gunzip
from sktraffic.capture import CaptureError, SessionExtractor, cut_sessions
from sktraffic.exchange import read_packet_sequences, read_zeek
from sktraffic.packets import FileFacts, read_records
from sktraffic.persistence import ModelFileError, load, save
from sktraffic.sessions import iter_sessions, read_sessions, write_sessions
from sktraffic.wireshark import read_wireshark
from tests.capture.craft import Craft
from tests.persistence.attacks._craft import archive

PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def capture(n_frames=2, size=30):
    """Return a capture of packets that zeros make long."""
    craft = Craft()
    frames = [craft.ethernet(craft.udp(bytes(size), sport=1000 + i)) for i in range(n_frames)]
    return craft.pcap([(100, i, frame) for i, frame in enumerate(frames)])


@pytest.mark.parametrize("suffix", [*PACK, "zst"])
def test_compressed_captures_have_a_limit(tmp_path, suffix):
    """Of bytes unpacked, in every format; the file, both sizes, the limit and the remedy."""
    pack = PACK.get(suffix) or pytest.importorskip("zstandard").compress
    plain = capture(50, 1000)
    path = tmp_path / f"bomb.pcap.{suffix}"
    path.write_bytes(pack(plain))
    assert len(SessionExtractor(n_dissections=0).transform(path)) == 50
    allowed = SessionExtractor(n_dissections=0, max_unpacked=len(plain))
    assert len(allowed.transform(path)) == 50
    with pytest.raises(
        CaptureError, match=rf"bomb\.pcap\.{suffix} unpacks from .* the limit is 40,000.*first"
    ):
        SessionExtractor(n_dissections=0, max_unpacked=40_000).transform(path)
    X, report = SessionExtractor(max_unpacked=99, on_error="skip").extract(path)
    assert len(X) == 0 and "max_unpacked=BYTES" in report["error"][0]


def test_plain_captures_have_none(tmp_path):
    """What is as large on disk is no bomb."""
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    assert len(SessionExtractor(n_dissections=0, max_unpacked=1).transform(path)) == 2


def test_what_lies_behind_damage_counts_too(tmp_path):
    """The bytes that nobody reads are unpacked to be counted, and so no further than the limit."""
    path = tmp_path / "a.pcap.gz"
    damaged = capture() + struct.pack("<4I", 1, 0, 2**32 - 1, 2**32 - 1)
    path.write_bytes(gzip.compress(damaged + bytes(10**7)))
    with pytest.raises(CaptureError, match="unpacks from"):
        SessionExtractor(n_dissections=0, max_unpacked=10**6).transform(path)


def test_the_limit_holds_for_cutting(tmp_path):
    """Cutting reads the captures again, under the same limit."""
    path = tmp_path / "a.pcap.gz"
    path.write_bytes(gzip.compress(capture()))
    X = SessionExtractor(n_dissections=0).transform(path)
    with pytest.raises(CaptureError, match="unpacks from"):
        cut_sessions(X, tmp_path / "b.pcap", extractor=SessionExtractor(max_unpacked=10))
    assert not (tmp_path / "b.pcap").exists()


def test_growth_is_what_limits_large_files():
    """A file may grow a hundredfold, a small one to the least; the user's limit is absolute."""
    check_unpacked(GROWTH * 1000, 1000, None, 10, "")
    check_unpacked(10**6, 1, None, 10**6, "")
    for unpacked, size, given, least in (
        (GROWTH * 1000 + 1, 1000, None, 10),
        (10**6 + 1, 1, None, 10**6),
        (11, 10**6, 10, 10**6),
    ):
        with pytest.raises(ValueError, match="the limit is"):
            check_unpacked(unpacked, size, given, least, "")


def test_a_dictionary_of_xz_takes_bounded_memory(tmp_path):
    """A stream that asks for 1.5 GB of memory is refused, and says what to do."""
    path = tmp_path / "a.pcap.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096}]
    data = bytearray(lzma.compress(capture(), lzma.FORMAT_XZ, filters=filters))
    # the block header behind the 12 bytes of the stream's: filter 0x21, one byte, the size
    at = data.index(b"\x21\x01", 12)
    data[at + 2] = 37  # 1.5 GiB
    size = (data[12] + 1) * 4
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib_crc(data[12 : 12 + size - 4]))
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=r"128 MiB of memory to unpack .*unpack it first"):
        SessionExtractor(n_dissections=0).transform(path)


def zlib_crc(data):
    """Return the CRC-32 of bytes."""
    import zlib

    return zlib.crc32(bytes(data))


def test_streams_of_xz_one_behind_the_other(tmp_path):
    """With zeros between them they are one capture; with anything else they are damaged."""
    plain = capture(6)
    packed = lzma.compress(plain[:100]) + bytes(8) + lzma.compress(plain[100:])
    for behind, damage in ((b"", ""), (bytes(4), ""), (b"rest", "(xz) is damaged")):
        facts = FileFacts()
        assert sum(map(len, read_records(io.BytesIO(packed + behind), facts))) == 6
        assert damage in facts.damage


def test_a_record_is_no_longer_than_sixteen_megabytes():
    """Whatever snap length the file names."""
    head = Craft.pcap([(1, 0, b"abc")], snap_length=2**31 - 1)
    facts = FileFacts()
    blocks = list(read_records(io.BytesIO(head + struct.pack("<4I", 1, 0, 2**25, 2**25)), facts))
    assert sum(map(len, blocks)) == 1
    assert facts.damage == f"a record claims {2**25} captured bytes"


@pytest.mark.parametrize("apart", [1, 3])
def test_many_sections_and_interfaces(apart):
    """Packets find their interface among thousands, in every section; those of none have none."""
    craft = Craft()
    blocks, expected = [], []
    for section in range(300):
        links = [1 + (section + i) % 7 for i in range(apart)]
        parts = [craft.interface(link) for link in links]
        parts += [craft.packet(b"abcd", 5, interface=i) for i in range(apart + 1)]
        blocks.append(craft.pcapng(parts))
        expected += [*links, -1]
    facts = FileFacts()
    found = [block.link_type for block in read_records(io.BytesIO(b"".join(blocks)), facts)]
    assert np.concatenate(found).tolist() == expected
    assert facts.records == 300 * (apart + 1)


def test_sections_in_alternating_byte_orders(tmp_path):
    """Each is read in its own."""
    craft = Craft()
    both = [craft.pcapng([craft.interface(order=o), craft.packet(b"abcd", 5, order=o)], o)
            for o in "<>"]  # fmt: skip
    facts = FileFacts()
    assert sum(map(len, read_records(io.BytesIO(b"".join(both) * 100), facts))) == 200
    assert facts.damage == ""


def test_packets_before_a_short_interface_are_kept():
    """What stands behind it is unread, and said to be."""
    craft = Craft()
    short = struct.pack("<III", 1, 16, 0) + struct.pack("<I", 16)
    packet = craft.packet(b"abcd", 5)
    file = craft.pcapng([craft.interface(), packet]) + short + packet
    facts = FileFacts()
    assert sum(map(len, read_records(io.BytesIO(file), facts))) == 1
    assert facts.damage == "an interface description is too short"
    assert facts.unread_bytes == len(short) + len(packet)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Return the members of a sound model file."""
    path = tmp_path_factory.mktemp("model") / "model.skt"
    save(DummyClassifier().fit([[0.0], [1.0]], ["a", "b"]), path)
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def npy(shape, n_bytes, dtype="|u1"):
    """Return an array file whose header and content need not fit."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + bytes(n_bytes)


@pytest.mark.parametrize(
    ("shape", "n_bytes"), [((8,), 9), ((8,), 7), ((10**12,), 0), ((10**9, 10**12), 5), ((), 0)]
)
def test_arrays_have_the_bytes_that_their_headers_declare(members, tmp_path, shape, n_bytes):
    """A member that has more or fewer is refused before it is unpacked."""
    path = archive(tmp_path / "model.skt", members | {"more.npy": npy(shape, n_bytes)})
    with pytest.raises(ModelFileError, match=r"more\.npy has .* bytes; its header declares"):
        load(path)


def test_model_files_have_a_limit(members, tmp_path):
    """Of bytes unpacked, settable; the same file loads where it may."""
    path = archive(tmp_path / "model.skt", members | {"more.npy": npy((10**6,), 10**6)})
    assert isinstance(load(path), DummyClassifier)
    assert isinstance(load(path, max_unpacked=2 * 10**6), DummyClassifier)
    with pytest.raises(ModelFileError, match=r"model\.skt unpacks from .*limit is 1,000,000"):
        load(path, max_unpacked=10**6)


def test_members_that_overlap_are_refused(members, tmp_path):
    """Also by a Python whose zipfile does not look."""
    path = archive(tmp_path / "model.skt", members | {"a.npy": npy((9,), 9), "b.npy": npy((9,), 9)})
    data = path.read_bytes()
    with zipfile.ZipFile(path) as opened:
        first, second = (opened.NameToInfo[name].header_offset for name in ("a.npy", "b.npy"))
    at = data.rindex(struct.pack("<I", second))
    path.write_bytes(data[:at] + struct.pack("<I", first) + data[at + 4 :])
    with pytest.raises(ModelFileError, match="overlap"):
        load(path)


def lists(n_values):
    """Return a table of one session with so many packets, all alike."""
    flat = pa.array(np.zeros(n_values, np.int8))
    column = pa.ListArray.from_arrays(pa.array([0, n_values], pa.int32()), flat)
    return pa.table({"packet_direction": column})


def test_session_tables_have_a_limit(tmp_path):
    """Of what the columns that are read claim, settable, for batches too."""
    path = tmp_path / "sessions.parquet"
    table = lists(10**6).append_column("session", pa.array([7]))
    pq.write_table(table, path, compression="zstd")
    assert len(read_sessions(path)) == 1
    for read in (read_sessions, lambda *a, **k: list(iter_sessions(*a, **k))):
        with pytest.raises(ValueError, match=r"sessions\.parquet unpacks from .*max_unpacked="):
            read(path, max_unpacked=10**6)
        read(path, columns=["session"], max_unpacked=10**6)


@pytest.mark.parametrize("store_schema", [False, True])
def test_words_that_stand_once_and_are_meant_often(tmp_path, store_schema):
    """Words count as often as they are meant, unless the column stays a dictionary."""
    path = tmp_path / "sessions.parquet"
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**4, np.int32)), ["x" * 10**4])
    pq.write_table(pa.table({"sni": words}), path, store_schema=store_schema)
    if store_schema:
        assert len(read_sessions(path, max_unpacked=10**6)) == 10**4
        return
    assert len(read_sessions(path, max_unpacked=2 * 10**8)) == 10**4
    with pytest.raises(ValueError, match=r"unpacks from .* to 100,0"):
        read_sessions(path, max_unpacked=9 * 10**7)


def test_words_written_by_what_differs(tmp_path):
    """The encoding that writes the difference to the word before is counted the same."""
    path = tmp_path / "sessions.parquet"
    table = pa.table({"sni": ["x" * 10**5] * 1000})
    pq.write_table(
        table, path, use_dictionary=False, column_encoding={"sni": "DELTA_BYTE_ARRAY"},
        store_schema=False,
    )  # fmt: skip
    assert path.stat().st_size < 10**6
    assert len(read_sessions(path, max_unpacked=2 * 10**8)) == 1000
    with pytest.raises(ValueError, match="unpacks from"):
        read_sessions(path, max_unpacked=9 * 10**7)


def test_what_is_refused_takes_no_memory(tmp_path):
    """The claim is read from the file's end alone."""
    path = tmp_path / "sessions.parquet"
    pq.write_table(lists(3 * 10**7), path, compression="zstd")
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks from"):
        read_sessions(path, max_unpacked=10**7)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 10**6


@pytest.mark.parametrize("note", [b"[" * 100_000, b"3", b"{}", b'{"settings": 1}', b"\xff"])
def test_parts_whose_note_is_none(tmp_path, note):
    """Nested without end or of the wrong kind: the part is named, and not taken for one."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (tmp_path / "a.pcap").write_bytes(capture())
    X = SessionExtractor(n_dissections=0).transform(tmp_path / "a.pcap")
    write_sessions(X, folder / "x.parquet")
    table = pq.read_table(folder / "x.parquet").replace_schema_metadata({b"sktraffic": note})
    pq.write_table(table, folder / "x.parquet")
    with pytest.raises(ValueError, match=r"x\.parquet .*no whole part.*choose another folder"):
        SessionExtractor(n_dissections=0).to_parquet(tmp_path / "a.pcap", folder)


def test_nested_json_in_tables(tmp_path):
    """A line or a cell that is nested without end is no line, or an error that names it."""
    deep = '{"a":' * 100_000
    (tmp_path / "conn.log").write_text(deep + "\n")
    with pytest.raises(ValueError, match=r"conn\.log holds no line of JSON"):
        read_zeek(tmp_path / "conn.log")
    (tmp_path / "a.csv").write_text(f'PPI\n"{deep}"\n')
    with pytest.raises(ValueError, match="no JSON list"):
        read_packet_sequences(tmp_path / "a.csv")


def test_gzip_in_memory_has_a_limit():
    """Tables and arrays of other tools, too."""
    packed = gzip.compress(bytes(10**6))
    assert len(gunzip(packed, "x.gz", least=10**6)) == 10**6
    with pytest.raises(ValueError, match=r"x\.gz unpacks from .*unpack it first"):
        gunzip(packed, "x.gz", least=10**5)
    with pytest.raises(ValueError, match=r"x\.gz is damaged gzip"):
        gunzip(packed[:-9], "x.gz")


def test_spreadsheets_have_a_limit(tmp_path, monkeypatch):
    """The file is named; as CSV it can be read."""
    from sktraffic.wireshark import _text

    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/sharedStrings.xml", bytes(10**6))
    pytest.importorskip("openpyxl")
    monkeypatch.setattr(_text, "MOST_SPREADSHEET", 10**5)
    with pytest.raises(ValueError, match=r"book\.xlsx unpacks from .*save it as CSV"):
        read_wireshark(path)


def test_structure_has_a_limit_of_its_own(members, tmp_path, monkeypatch):
    """JSON takes far more than its bytes when it is read."""
    from sktraffic.persistence import _archive

    schema = json.dumps({**json.loads(members["schema.json"]), "more": "x" * 10**5})
    path = archive(tmp_path / "model.skt", members | {"schema.json": schema.encode()})
    assert isinstance(load(path), DummyClassifier)
    monkeypatch.setattr(_archive, "_MOST_STRUCTURE", 10**5)
    with pytest.raises(ModelFileError, match="unpacks from"):
        load(path)
    assert isinstance(load(path, max_unpacked=10**6), DummyClassifier)
