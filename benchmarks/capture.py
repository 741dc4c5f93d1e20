"""Reading captures: packets per second and memory, beside bare nfstream, in one run.

    python benchmarks/capture.py CAPTURES_FOLDER [--repeats 5] [--copies 10]

The captures of the folder (the IoT set: 303 captures, 101,227 packets) are merged into one file by
time. Printed are, one job each and taking turns: bare nfstream, nfstream with a minimal plugin that
collects (time, direction, size) of every packet, and SessionExtractor with everything on; then peak
memory when writing Parquet, for the capture and for the same ten times over; then the time for all
captures one by one with 1 and 2 jobs. Rates are medians; what counts is their ratio.
"""

import argparse
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sktraffic.capture._records import FileFacts
from sktraffic.capture._survey import read_records

from sktraffic.capture import SessionExtractor
from sktraffic.capture._paths import capture_paths

NFSTREAM = """
import sys, time
from nfstream import NFPlugin, NFStreamer
class Minimal(NFPlugin):
    def on_init(self, packet, flow):
        flow.udps.packets = [(packet.time, packet.direction, packet.ip_size)]
    def on_update(self, packet, flow):
        flow.udps.packets.append((packet.time, packet.direction, packet.ip_size))
plugins = Minimal() if sys.argv[2] == "minimal" else None
began = time.perf_counter()
flows = sum(1 for _ in NFStreamer(source=sys.argv[1], n_meters=1, udps=plugins))
print(time.perf_counter() - began)
"""


def merge(paths, target, copies=1):
    """Write the Ethernet frames of many captures into one, by time; copies follow one another."""
    times, frames, wires = [], [], []
    for path in paths:
        for block in read_records(path, FileFacts()):
            ends = block.at + block.captured
            frames += [block.data[a:b] for a, b in zip(block.at, ends, strict=True)]
            times.append(block.time)
            wires.append(block.wire)
    time_ns, wire = np.concatenate(times), np.concatenate(wires)
    order = np.argsort(time_ns, kind="stable")
    span = int(time_ns.max() - time_ns.min()) + 3600 * 10**9
    with open(target, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for copy in range(copies):
            for i in order:
                seconds, rest = divmod(int(time_ns[i]) + copy * span, 10**9)
                frame = frames[i]
                file.write(struct.pack("<IIII", seconds, rest, len(frame), int(wire[i])) + frame)
    return copies * len(order)


def seconds_of_nfstream(path, kind):
    """Time nfstream in a process of its own, imports left out."""
    done = subprocess.run(
        [sys.executable, "-c", NFSTREAM, str(path), kind],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def seconds_of_extractor(path):
    """Time a whole `transform`, its engine's start included."""
    began = time.perf_counter()
    SessionExtractor().transform(path)
    return time.perf_counter() - began


def peak_memory(path):
    """Return the peak of caller and engine together, MB, writing Parquet in a fresh process."""
    code = (
        "import resource, sys, json\nfrom sktraffic.capture import SessionExtractor\n"
        "SessionExtractor().to_parquet(sys.argv[1], sys.argv[2])\n"
        "print(json.dumps([resource.getrusage(who).ru_maxrss / 1024 for who in"
        " (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]))"
    )
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), folder],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return json.loads(done.stdout)


def compare_rates(merged, packets, repeats):
    """Print packets/s of the three ways, taking turns."""
    seconds_of_extractor(merged)  # imports and the file's pages
    runs = {"bare nfstream": [], "minimal plugin": [], "SessionExtractor": []}
    for _ in range(repeats):
        runs["bare nfstream"].append(seconds_of_nfstream(merged, "bare"))
        runs["minimal plugin"].append(seconds_of_nfstream(merged, "minimal"))
        runs["SessionExtractor"].append(seconds_of_extractor(merged))
    base = statistics.median(runs["minimal plugin"])
    print(f"{'one job, ' + format(packets, ',') + ' packets':32s} packets/s  rate / minimal plugin")
    for name, seconds in runs.items():
        median = statistics.median(seconds)
        print(f"{name:32s} {packets / median:9,.0f}  {base / median:.2f}")
    pairs = [m / s for m, s in zip(runs["minimal plugin"], runs["SessionExtractor"], strict=True)]
    print(f"SessionExtractor / minimal plugin, pair by pair: {min(pairs):.2f} to {max(pairs):.2f}")


def compare_memory(paths, merged, folder, copies):
    """Print the peak memory for the capture and for its copies."""
    large = folder / "large.pcap"
    merge(paths, large, copies)
    print(f"\n{'peak memory writing Parquet, MB':32s} caller  engine  both")
    both = []
    for name, path in (("the capture", merged), (f"{copies} times over", large)):
        caller, engine = peak_memory(path)
        both.append(caller + engine)
        print(f"{name:32s} {caller:6.0f}  {engine:6.0f}  {both[-1]:4.0f}")
    print(f"{'ratio':32s} {both[1] / both[0]:.2f}")


def compare_jobs(paths):
    """Print the time for all captures, one by one, with 1 and 2 jobs."""
    print(f"\n{f'all {len(paths)} captures':32s} seconds")
    for jobs in (1, 2):
        SessionExtractor(n_jobs=jobs).transform(paths[:4])  # workers and their imports
        began = time.perf_counter()
        SessionExtractor(n_jobs=jobs).transform(paths)
        print(f"{f'{jobs} job(s)':32s} {time.perf_counter() - began:7.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("captures")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=10)
    arguments = parser.parse_args()
    paths = capture_paths(arguments.captures)
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "merged.pcap"
        packets = merge(paths, merged)
        compare_rates(merged, packets, arguments.repeats)
        compare_memory(paths, merged, Path(folder), arguments.copies)
    compare_jobs(paths)


if __name__ == "__main__":
    main()
