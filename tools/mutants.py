"""Damage captures in a hundred thousand ways, and have each become a table or a clear error.

    python -m tools.mutants CAPTURES... --count 100000 --seed 0

A mutant is drawn from the seed and its own number alone, so that any can be made again with
``--first N --count 1 --keep FOLDER``. It must end within two seconds of the processor and 256 MB
beyond what the process had before, in a session table whose report sums up and counts the records
that a plain walk counts, or in a CaptureError that names the file. The process that reads is
watched from outside: if it dies or hangs, that is noted and another goes on behind the mutant.
"""

import argparse
import collections
import gzip
import json
import lzma
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

SECONDS, MEMORY = 2.0, 256 << 20
HANG = 120  # seconds without a finished mutant after which the reader is killed
HEAD = 48 << 10  # bytes of a capture that are looked at
LONGEST = 1 << 20  # bytes of a mutant
ABSURD = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x7FFFFFFFFFFFFFFF, 2**63, 2**64 - 1)


def packet_places(data):
    """Return (where each record or block begins, byte order, whether it is pcapng)."""
    if data[:4] == b"\n\r\r\n":
        order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        at, field, extra, least = 0, 4, 0, 12
    else:
        order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        at, field, extra, least = 24, 8, 16, 0
    places = []
    while at + 16 <= len(data):
        places.append(at)
        length = struct.unpack_from(order + "I", data, at + field)[0]
        if length < least or length > 1 << 18:
            break
        at += length + extra
    return places or [0], order, data[:4] == b"\n\r\r\n"


def flip_bits(rng, data, _):
    """Turn single bits over."""
    for at in rng.integers(len(data), size=rng.integers(1, 40)):
        data[at] ^= 1 << rng.integers(8)
    return data


def extreme_bytes(rng, data, _):
    """Put the least and the largest numbers anywhere."""
    for at in rng.integers(len(data), size=rng.integers(1, 10)):
        size = int(rng.choice([1, 2, 4, 8]))
        data[at : at + size] = bytes([rng.choice([0, 255, 127, 128])]) * size
    return data


def cut(rng, data, _):
    """End anywhere."""
    return data[: rng.integers(1, len(data) + 1)]


def cut_out(rng, data, _):
    """Lose a stretch in the middle."""
    a, b = sorted(rng.integers(len(data), size=2))
    del data[a : min(b, a + 4000)]
    return data


def swap_lengths(rng, data, _):
    """Change the lengths of two records, or make them absurd."""
    places, order, is_ng = packet_places(data)
    fields = [4, 20, 24] if is_ng else [8, 12]
    for _ in range(rng.integers(1, 4)):
        a, b = (int(x) + fields[rng.integers(len(fields))] for x in rng.choice(places, size=2))
        if rng.random() < 0.3:
            data[a : a + 4] = struct.pack(order + "I", ABSURD[rng.integers(5)])
        else:
            data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]
    return data


def absurd_times(rng, data, _):
    """Give records times that no clock shows."""
    places, order, is_ng = packet_places(data)
    for place in rng.choice(places, size=rng.integers(1, 12)).tolist():
        value = ABSURD[rng.integers(len(ABSURD))] if rng.random() < 0.7 else rng.integers(2**63)
        at = place + (12 if is_ng else 0)
        data[at : at + 8] = struct.pack(order + "Q", int(value))
    return data


def file_header(rng, data, _):
    """Another link type, snap length, magic number, interface option."""
    at = int(rng.integers(min(len(data), 100)))
    value = int(rng.choice([0, 1, 9, 101, 105, 113, 127, 276, 65535, 2**31, 2**32 - 1]))
    data[at : at + 4] = struct.pack(rng.choice(["<I", ">I"]), value)
    return data


def splice(rng, data, other):
    """Put records of another capture between these."""
    places, theirs = packet_places(data)[0], packet_places(other)[0]
    a, b = sorted(rng.choice(len(theirs), size=2))
    at = int(rng.choice(places))
    data[at:at] = other[theirs[a] : theirs[b]]
    return data


def put_behind(rng, data, other):
    """Put another capture behind this one, header and all."""
    return data + other


def repeat(rng, data, _):
    """Repeat some records many times."""
    places = [*packet_places(data)[0], len(data)]
    a = int(rng.integers(len(places) - 1))
    b = int(rng.integers(a + 1, min(a + 5, len(places))))
    piece = data[places[a] : places[b]]
    times = int(rng.integers(2, 400)) if rng.random() < 0.9 else LONGEST
    times = min(times, (LONGEST - len(data)) // max(len(piece), 1))
    data[places[a] : places[a]] = piece * max(times, 0)
    return data


def frame_bytes(rng, data, _):
    """Write numbers that mean something to dissectors over bytes of frames."""
    known = [b"\x45\x00", b"\x60\x00", b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\x47", b"\x2f",
             b"\x29", b"\x04", b"\x2c", b"\x16\x03\x01", b"HTTP/1.1", b"\xff\xff", b"\x00\x00",
             b"\x08\x68", b"\x12\xb5", b"\x17\xc1"]  # fmt: skip
    for at in rng.integers(len(data), size=rng.integers(1, 12)):
        word = known[rng.integers(len(known))]
        data[at : at + len(word)] = word
    return data


def compress(rng, data, _):
    """Compress the capture, and damage that."""
    packed = bytearray(gzip.compress(data, 1) if rng.random() < 0.8 else lzma.compress(data))
    if rng.random() < 0.7:
        packed = [flip_bits, cut, cut_out][rng.integers(3)](rng, packed, None)
    return packed


MUTATIONS = (flip_bits, extreme_bytes, cut, cut_out, swap_lengths, absurd_times, file_header,
             splice, put_behind, repeat, frame_bytes)  # fmt: skip


def mutant(files, seed, number):
    """Make a mutant: its bytes, and a line that says how."""
    rng = np.random.default_rng([seed, number])
    source, other = (files[i] for i in rng.integers(len(files), size=2))
    data, theirs = plain_head(source), plain_head(other)
    how = [MUTATIONS[i] for i in rng.integers(len(MUTATIONS), size=rng.integers(1, 4))]
    if rng.random() < 0.03:
        how.append(compress)
    for change in how:
        data = change(rng, data, theirs)[:LONGEST] or bytearray(1)
    return bytes(data), f"{source} {'+'.join(change.__name__ for change in how)}"


def plain_head(path):
    """First bytes of a capture, unpacked; never none."""
    if str(path).endswith(".xz"):
        with lzma.open(path) as file:
            return bytearray(file.read(HEAD))
    with open(path, "rb") as file:
        return bytearray(file.read(HEAD)) or bytearray(1)


class Bounds:
    """Measure one mutant's processor time and memory, and end it where it takes far more."""

    def __enter__(self):
        self.before = self._status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        limit = self._status("VmData") + 2 * MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_PROF, 5 * SECONDS)
        self.began = time.process_time()
        return self

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.seconds = time.process_time() - self.began
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)
        self.memory = self._status("VmHWM") - self.before

    @staticmethod
    def _status(name):
        with open("/proc/self/status") as file:
            return int(re.search(rf"{name}:\s+(\d+)", file.read())[1]) << 10


class TooSlow(BaseException):
    """Raised by the timer; nothing catches it on the way."""


def read_one(path, data):
    """Read a mutant as a user does; what became of it."""
    from sktraffic.capture import CaptureError, SessionExtractor
    from sktraffic.sessions import to_arrow
    from tests.fuzz.promises import check_report, check_sessions, count_records, expect

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            X, report = SessionExtractor(n_dissections=0).extract(path)
        except CaptureError as error:
            expect(path in str(error), "the error does not name the file:", error)
            return "error"
    row = report.iloc[0]
    check_report(row)
    check_sessions(to_arrow(X), int(row["session_packets"]))
    plain = count_records(data)
    if plain is not None and "24 bytes" not in (row["remarks"] or ""):
        expect(plain == row["records"], row["records"], "records, the plain walk has", plain)
    if row["unread_bytes"]:
        expect(any(path in str(w.message) for w in heard), "bytes are left out without a word")
    return "table, told of damage" if row["damage"] else "table"


def work(files, told):
    """Read mutants in this process; what happened goes to the standard output, a line each."""
    signal.signal(signal.SIGPROF, lambda *_: (_ for _ in ()).throw(TooSlow()))
    home = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=home) as folder:
        path = os.path.join(folder, "mutant.pcap")
        read_one_quietly(path, files)
        for number in range(told.first, told.first + told.count):
            data, how = mutant(files, told.seed, number)
            Path(path).write_bytes(data)
            if told.keep:
                Path(told.keep).mkdir(parents=True, exist_ok=True)
                Path(told.keep, f"{told.seed}-{number}.pcap").write_bytes(data)
            wrong = ""
            bounds = Bounds()
            try:
                with bounds:
                    outcome = read_one(path, data)
            except (Exception, TooSlow) as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                outcome, wrong = "fault", f"{type(error).__name__}: {error} ({place.name})"[:300]
            if not wrong and (bounds.seconds > SECONDS or bounds.memory > MEMORY):
                outcome, wrong = "fault", "takes too much"
            line = [number, outcome, round(bounds.seconds, 3), bounds.memory, len(data), wrong]
            print(json.dumps([*line, how if wrong else ""]), flush=True)


def read_one_quietly(path, files):
    """Read one capture, so that everything is imported before anything is measured."""
    shutil.copy(files[0], path)
    try:
        read_one(path, b"")
    except (Exception, TooSlow):
        pass


def watch(files, told):
    """Have mutants read in another process, and sum up; the number of faults."""
    outcomes, faults = collections.Counter(), []
    worst = {"seconds": (0, 0), "memory": (0, 0)}
    number, last, began = told.first, told.first + told.count, time.monotonic()
    while number < last:
        options = {"--seed": told.seed, "--first": number, "--count": last - number}
        command = [sys.executable, "-m", "tools.mutants", *told.captures, "--work"]
        command += [str(part) for option in options.items() for part in option]
        if told.keep:
            command += ["--keep", told.keep]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            signal.signal(signal.SIGALRM, lambda *_, r=reader: r.kill())
            signal.alarm(HANG)
            for line in reader.stdout:
                signal.alarm(HANG)
                number, outcome, seconds, memory, size, wrong, how = json.loads(line)
                outcomes[outcome] += 1
                worst["seconds"] = max(worst["seconds"], (seconds, number))
                worst["memory"] = max(worst["memory"], (memory, number))
                if wrong:
                    faults.append((number, wrong, how))
                    cost = f"{size} bytes, {seconds} s, {memory >> 20} MB"
                    print(f"mutant {number} ({cost}): {wrong}; {how}", flush=True)
                number += 1
            signal.alarm(0)
        if number < last:
            kind = "hang" if reader.returncode == -signal.SIGKILL else "crash"
            outcomes[kind] += 1
            faults.append((number, kind, mutant(files, told.seed, number)[1]))
            print(f"mutant {number}: {kind}, exit status {reader.returncode}; {faults[-1][2]}")
            number += 1
    print(f"{sum(outcomes.values())} mutants of {len(files)} captures, seed {told.seed}, "
          f"from {told.first}: {dict(outcomes)}; {time.monotonic() - began:.0f} s")  # fmt: skip
    print(f"worst: {worst['seconds'][0]} s of the processor (mutant {worst['seconds'][1]}), "
          f"{worst['memory'][0] / 2**20:.0f} MB (mutant {worst['memory'][1]})")  # fmt: skip
    return len(faults)


def captures_below(paths):
    """Capture files, sorted by name; folders are walked."""
    found = []
    for path in map(Path, paths):
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [p for p in inside if re.search(r"\.(pcap|pcapng|cap)(\.xz)?$", p.name)]
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captures", nargs="+", help="files and folders")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="folder that the mutants are written to")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    files = captures_below(told.captures)
    if told.work:
        work(files, told)
        return 0
    return bool(watch(files, told))


if __name__ == "__main__":
    sys.exit(main())
