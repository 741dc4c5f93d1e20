"""Files that are small, or look so, and would fill memory, disk or days: what each costs.

    python -m tools.bombs [--only NAME]

Each is made in a temporary folder, then read in a process of its own, as a user would, for no
longer than `SECONDS` of the processor. A line says what came of it: the error's words or the
table's size, seconds of the processor, and megabytes beyond those of a process that has imported
everything. It ends with exit code 1 if one dies, hangs or takes more than `MEMORY`.
"""

import argparse
import bz2
import gzip
import io
import json
import lzma
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SECONDS, MEMORY = 120, 1 << 30
PIECE = 64 << 20  # zeros that are packed once, and repeated


def udp(number):
    """Return the Ethernet frame of a packet whose five-tuple no other number has."""
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 29, 1, 0, 64, 17, 0, 0x0A000000 + number, 0xC0000201)
    return bytes(12) + b"\x08\x00" + head + struct.pack(">HHHH", 1000, 2000, 9, 0) + b"x"


def pcap(frames, snap_length=65535):
    """Return a capture, a packet a microsecond."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap_length, 1)]
    for number, frame in enumerate(frames):
        time = divmod(number, 10**6)
        parts.append(struct.pack("<4I", 1_000_000 + time[0], time[1], len(frame), len(frame)))
        parts.append(frame)
    return b"".join(parts)


def block(kind, body, order="<"):
    """Return a block of a pcapng file."""
    body += bytes(-len(body) % 4)
    ends = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + ends + body + ends


def section(order="<"):
    """Return the header of a section of a pcapng file."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order="<"):
    """Return the description of an interface."""
    return block(1, struct.pack(order + "HHI", 1, 0, 65535), order)


def enhanced(frame, number=0, order="<"):
    """Return a packet of an interface."""
    head = struct.pack(order + "5I", number, 300_000, 0, len(frame), len(frame))
    return block(6, head + frame, order)


def compressed(pack):
    """Return a writer of a capture that unpacks to 100 GB: zeros behind a few packets."""

    def write(path):
        with open(path, "wb") as file:
            file.write(pack(pcap(map(udp, range(10)))))
            zeros = pack(bytes(PIECE))
            for _ in range(10**11 // PIECE):
                file.write(zeros)

    return write


def zstd(data):
    """Pack with Zstandard."""
    import zstandard

    return zstandard.compress(data)


def one_record(path):
    """Write a record of 2 GB, within the snap length that the file names, in 2 MB."""
    with gzip.open(path, "wb", 1) as file:
        file.write(pcap([udp(0)], 2**31 - 1))
        file.write(struct.pack("<4I", 1_000_001, 0, 2**31 - 1, 2**31 - 1))
        for _ in range(2**31 // PIECE):
            file.write(bytes(PIECE))


def large_dictionary(path):
    """Write xz that asks for a dictionary of 1.5 GB."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1536 << 20}]
    with lzma.open(path, "wb", filters=filters) as file:
        file.write(pcap(map(udp, range(10))))
        for _ in range(32):
            file.write(bytes(PIECE))


def sparse_block(path):
    """Write a pcapng block of 4 GB that is a hole in the file."""
    with open(path, "wb") as file:
        file.write(section() + interface() + enhanced(udp(0)))
        file.write(struct.pack("<II", 6, 2**32 - 4))
        file.truncate(2**32 + 4096)


def sections(path):
    """Write a million sections, each with an interface and a packet."""
    path.write_bytes((section() + interface() + enhanced(udp(0))) * 10**6)


def sections_in_both_orders(path):
    """Write two hundred thousand sections, each in the other byte order than the one before."""
    both = [section(o) + interface(o) + enhanced(udp(0), order=o) for o in "<>"]
    path.write_bytes(b"".join(both) * 10**5)


def interfaces(path):
    """Write a hundred thousand interfaces, and a packet of each."""
    blocks = [section(), interface() * 10**5]
    path.write_bytes(b"".join(blocks + [enhanced(udp(0), n) for n in range(10**5)]))


def million_sessions(path):
    """Write a million sessions of one packet."""
    path.write_bytes(pcap(map(udp, range(10**6))))


def deep_note(path):
    """Write a part of a session table whose note is nested a hundred thousand deep."""
    note = {b"sktraffic": b"[" * 100_000}
    pq.write_table(pa.table({"capture": ["x"]}).replace_schema_metadata(note), path)


def long_lists(path):
    """Write a session table of one session with five hundred million packets, in few bytes."""
    flat = pa.array(np.zeros(5 * 10**8, np.int8))
    column = pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)
    table = pa.table({f"packet_{n}": column for n in ("direction", "flags", "size", "time")})
    pq.write_table(table, path, compression="zstd")


def long_words(path):
    """Write a session table whose every server name is a megabyte long, one and the same."""
    words = pa.array(["x" * 10**6])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), words)
    pq.write_table(pa.table({"sni": column}), path, compression="zstd", store_schema=False)


def sound_model():
    """Return the members of a model file."""
    from sklearn.dummy import DummyClassifier

    from sktraffic.persistence import save

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.skt")
        save(
            DummyClassifier().fit([[0.0], [1.0]], ["a", "b"]), path, X=[[0.0], [1.0]], y=["a", "b"]
        )
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def model(path, name, pieces):
    """Write a model file with one more member, whose hash fits."""
    import hashlib

    members, digest = sound_model(), hashlib.sha256()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(name, "w", force_zip64=True) as member:
            for piece in pieces:
                digest.update(piece)
                member.write(piece)
        note = json.loads(members.pop("provenance.json"))
        note["members"][name] = digest.hexdigest()
        for other, data in {"provenance.json": json.dumps(note), **members}.items():
            archive.writestr(other, data)


def npy_header(n_bytes):
    """Return the head of an array file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": (n_bytes,)}
    )
    return file.getvalue()


def honest_array(path):
    """Write a model file with an array of 4 GB of zeros, as its header says."""
    model(path, "more.npy", [npy_header(2**32), *[bytes(PIECE)] * (2**32 // PIECE)])


def more_than_declared(path):
    """Write a model file with an array of 8 bytes whose member is 4 GB."""
    model(path, "more.npy", [npy_header(8), *[bytes(PIECE)] * (2**32 // PIECE)])


def claimed_array(path):
    """Write a model file with an array that claims a terabyte."""
    model(path, "more.npy", [npy_header(10**12)])


def spreadsheet(path):
    """Write a spreadsheet whose sheet unpacks to 4 GB."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["No.", "Time", "Source", "Destination", "Protocol", "Length", "Info"])
    book.active.append([1, 0.0, "10.0.0.1", "10.0.0.2", "TCP", 60, "1 > 2 [SYN]"])
    book.save(path.with_suffix(".plain"))
    with (
        zipfile.ZipFile(path.with_suffix(".plain")) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            if name == "xl/worksheets/sheet1.xml":
                with new.open(name, "w", force_zip64=True) as member:
                    member.write(old.read(name))
                    for _ in range(2**32 // PIECE):
                        member.write(b" " * PIECE)
            else:
                new.writestr(name, old.read(name))


BOMBS = {
    "gzip": (compressed(lambda data: gzip.compress(data, 9)), "bomb.pcap.gz", "extract"),
    "bzip2": (compressed(bz2.compress), "bomb.pcap.bz2", "extract"),
    "xz": (compressed(lzma.compress), "bomb.pcap.xz", "extract"),
    "zstd": (compressed(zstd), "bomb.pcap.zst", "extract"),
    "one record": (one_record, "record.pcap.gz", "extract"),
    "xz dictionary": (large_dictionary, "dictionary.pcap.xz", "extract"),
    "pcapng block of 4 GB": (sparse_block, "block.pcapng", "extract"),
    "a million sections": (sections, "sections.pcapng", "extract"),
    "sections in both orders": (sections_in_both_orders, "orders.pcapng", "extract"),
    "interfaces": (interfaces, "interfaces.pcapng", "extract"),
    "a million sessions": (million_sessions, "sessions.pcap", "extract"),
    "a million sessions, to Parquet": (million_sessions, "sessions.pcap", "to_parquet"),
    "nested note": (deep_note, "note.parquet", "parts"),
    "lists": (long_lists, "lists.parquet", "read_sessions"),
    "lists in batches": (long_lists, "lists.parquet", "iter_sessions"),
    "words": (long_words, "words.parquet", "read_sessions"),
    "array as declared": (honest_array, "honest.skt", "load"),
    "more than declared": (more_than_declared, "more.skt", "load"),
    "claimed array": (claimed_array, "claimed.skt", "load"),
    "spreadsheet": (spreadsheet, "book.xlsx", "wireshark"),
}


def read(path, how):
    """Read a file as users do."""
    from sktraffic.capture import SessionExtractor
    from sktraffic.persistence import load
    from sktraffic.sessions import iter_sessions, read_sessions
    from sktraffic.wireshark import read_wireshark

    extractor = SessionExtractor(n_dissections=0)
    if how == "extract":
        X, report = extractor.extract(path)
        return f"{len(X):,} sessions; {report['damage'][0] or 'no damage'}"
    if how == "to_parquet":
        with tempfile.TemporaryDirectory() as folder:
            return f"{extractor.to_parquet(path, folder)['sessions'][0]:,} sessions"
    if how == "parts":
        return str(extractor.to_parquet(path, path.parent))
    if how == "iter_sessions":
        return f"{sum(map(len, iter_sessions(path)))} sessions"
    function = {"load": load, "read_sessions": read_sessions, "wireshark": read_wireshark}[how]
    return f"{type(function(path)).__name__}"


def work(name, path):
    """Read one file in this process, and say what it cost."""
    import sktraffic.persistence._load
    import sktraffic.wireshark  # noqa: F401

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    small = path.parent / "small.pcap"
    small.write_bytes(pcap([udp(0)]))
    read(small, "extract")
    small.unlink()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = before.ru_utime + before.ru_stime
    try:
        outcome = read(path, BOMBS[name][2])
    except ValueError as error:
        outcome = f"{type(error).__name__}: {error}"
        outcome += "" if str(path) in str(error) else " THE FILE IS NOT NAMED"
    after = resource.getrusage(resource.RUSAGE_SELF)
    told = [after.ru_utime + after.ru_stime - began, after.ru_maxrss - before.ru_maxrss, outcome]
    print(json.dumps(told))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="a part of names")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.work:
        work(told.work[0], Path(told.work[1]))
        return 0
    wrong = 0
    for name in BOMBS:
        if not told.only or told.only in name:
            wrong += try_one(name)
    print(f"{wrong} wrong")
    return bool(wrong)


def try_one(name):
    """Make a file, have it read and say what came of it; whether that is wrong."""
    write, file, _ = BOMBS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        write(path)
        size = path.stat().st_size
        command = [sys.executable, "-m", "tools.bombs", "--work", name, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        seconds, memory, outcome = json.loads(done.stdout.splitlines()[-1])
        wrong = memory << 10 > MEMORY or outcome.endswith("NOT NAMED")
    except (IndexError, ValueError):
        wrong, seconds, memory = True, 0, 0
        died = f"DIES, exit status {done.returncode}: {done.stderr[-300:]}"
        outcome = "HANGS" if done.returncode == -signal.SIGXCPU else died
    outcome = outcome.replace(folder + "/", "")
    print(f"{name}: {size:,} bytes, {seconds:.1f} s, {memory >> 10} MB: {outcome}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
