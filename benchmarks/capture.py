"""Reading captures beside nfstream: time, memory and start-up, in one run.

    python benchmarks/capture.py IOT_FOLDER [--old CHECKOUT] [--turns 5] [--parts ...]

Captures are made: the folder's (the IoT set: 303 captures, 101,227 packets) merged into one by
time, the bundled laboratory captures merged, both together over and over with other addresses and
times until the file is as large as asked, and their DNS alone, where sessions are short.
Jobs take turns, each in a process of its own that is bound to one core (two, where nDPI names the
sessions; all others to one) and has imported everything and read a small capture before its clock
starts. Printed are medians and what counts, their ratios to nfstream with its statistics; on a busy
machine the time that processors spent says more than the time that passed. cypcap
(libpcap for Python) only walks the records: the floor of any reader.

--old names a working tree of an older version, whose time for all captures one by one is compared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from capture_files import merge, multiply, only_dns

from sktraffic.datasets import lab_captures

PREPARE = """
import json, os, psutil, resource, sys, time, warnings
warnings.simplefilter("ignore")
small, path, cores, settings = sys.argv[1], sys.argv[2:-2], sys.argv[-2], json.loads(sys.argv[-1])
os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
"""
NFSTREAM = """
from nfstream import NFStreamer
def run(paths):
    return sum(1 for path in paths for _ in NFStreamer(source=path, n_meters=1, **settings))
"""
EXTRACTOR = """
from sktraffic.capture import SessionExtractor
def run(paths):
    return len(SessionExtractor(**settings).transform(paths))
"""
CYPCAP = """
import cypcap
def run(paths):
    return sum(1 for path in paths for _ in cypcap.open_offline(path))
"""
CLOCK = """
def spent():
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(usage.ru_utime + usage.ru_stime for usage in both)
    return ended + sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children())
run([small])
before, began = spent(), time.perf_counter()
count = run(path)
print(json.dumps([time.perf_counter() - began, spent() - before, count]))
"""
BARE = {"messages": False, "n_bytes": 0, "n_dissections": 0}
STATISTICS = {"statistical_analysis": True, "n_dissections": 0}
ONE, TWO = "1", "0,1"
# name -> (code, settings, cores)
JOBS = {
    "nfstream, statistics": (NFSTREAM, STATISTICS, ONE),
    "cypcap, records alone": (CYPCAP, {}, ONE),
    "sizes, times, flags": (EXTRACTOR, BARE, ONE),
    "messages and bytes too": (EXTRACTOR, {"n_dissections": 0}, ONE),
    "nfstream, statistics, nDPI": (NFSTREAM, {"statistical_analysis": True}, TWO),
    "everything, with nDPI's labels": (EXTRACTOR, {}, TWO),
}
PARTS = ("IoT", "laboratory", "DNS", "start", "versions", "memory", "large")
PEER = {True: "nfstream, statistics, nDPI", False: "nfstream, statistics"}
TO_PARQUET = """
import sys
from sktraffic.capture import SessionExtractor
SessionExtractor(key=sys.argv[3]).to_parquet(sys.argv[1], sys.argv[2])
"""


def measure(code, settings, cores, paths, small, checkout=None):
    """Run a job in a process of its own.

    Returns
    -------
    seconds, processor : float
        Time that passed, and time that processors spent on it, its children's included.
    count : int
        Flows, sessions or records.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", PREPARE + code + CLOCK, str(small), *map(str, paths), cores,
         json.dumps(settings)],
        capture_output=True, text=True, check=False, env=_environment(checkout),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _environment(checkout):
    places = [str(checkout)] if checkout else sys.path
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)),
            "OMP_NUM_THREADS": "1"}  # fmt: skip


def compare_rates(name, path, packets, small, turns):
    """Print the time and the ratio of every job, which take turns."""
    found = {job: [] for job in JOBS}
    for _ in range(turns):
        for job, (code, settings, cores) in JOBS.items():
            found[job].append(measure(code, settings, cores, [path], small)[:2])
    seconds = {job: [wall for wall, _ in values] for job, values in found.items()}
    spent = {job: statistics.median(cpu for _, cpu in values) for job, values in found.items()}
    size = os.path.getsize(path) / 1e6
    print(f"\n{name}: {packets:,} packets, {size:,.0f} MB, {turns} turns")
    print(f"{'':32s}{'seconds':>9s}  nfstream's / its (turn by turn) {'processor s':>12s}  ratio")
    for job, values in seconds.items():
        peer = PEER[JOBS[job][2] == TWO]
        median, theirs = statistics.median(values), statistics.median(seconds[peer])
        pairs = [a / b for a, b in zip(seconds[peer], values, strict=True)]
        print(
            f"{job:32s}{median:9.3f}{theirs / median:9.2f} ({min(pairs):6.2f} to {max(pairs):6.2f})"
            f"{spent[job]:17.3f}{spent[peer] / spent[job]:7.2f}",
            flush=True,
        )


def compare_versions(paths, small, old, turns):
    """Print the time for all captures one by one, in one job."""
    print(f"\nall {len(paths)} captures one by one, {turns} turns")
    versions = {"this version": None} | ({"the older one": old} if old else {})
    seconds = {name: [] for name in versions}
    for _ in range(turns):
        for name, checkout in versions.items():
            seconds[name].append(measure(EXTRACTOR, {}, TWO, paths, small, checkout)[0])
    for name, values in seconds.items():
        ratio = statistics.median(values) / statistics.median(seconds["this version"])
        print(f"{name:32s}{statistics.median(values):9.3f} s   {ratio:.2f}", flush=True)


def start_up(small, turns):
    """Print the time of a capture of ten packets, after the imports."""
    values = [measure(EXTRACTOR, BARE, ONE, [small], small)[0] for _ in range(turns)]
    print(f"\na capture of 10 packets, no labels: {1000 * statistics.median(values):.1f} ms")


def peak_memory(path, key):
    """Return the peak of a process and its children together, MB, writing Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        process = psutil.Popen(
            [sys.executable, "-W", "ignore", "-c", TO_PARQUET, str(path), folder, key],
            env=_environment(None),
        )
        peak = 0
        while process.poll() is None:
            total = 0
            for each in [process, *_children(process)]:
                try:
                    total += each.memory_info().rss
                except psutil.Error:
                    pass
            peak = max(peak, total)
            time.sleep(0.01)
        if process.returncode:
            raise RuntimeError(f"writing {path} by {key} failed")
    return peak / 1e6


def _children(process):
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def compare_memory(path, ten):
    """Print the peak memory for a capture and for ten times as much."""
    print(f"\n{'peak memory writing Parquet, MB':32s}{'once':>9s}{'ten times':>11s}   ratio")
    for key in ("five_tuple", "host_pair", "capture"):
        once, many = peak_memory(path, key), peak_memory(ten, key)
        print(f"{key:32s}{once:9.0f}{many:11.0f}   {many / once:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("captures")
    parser.add_argument("--old")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    paths = sorted(str(path) for path in Path(arguments.captures).rglob("*.pcap"))
    turns = arguments.turns
    with tempfile.TemporaryDirectory() as folder:
        iot, lab, both, large, dns, small, ten = (
            Path(folder) / f"{name}.pcap"
            for name in ("iot", "lab", "both", "large", "dns", "small", "ten")
        )
        count = {iot: merge(paths, iot), lab: merge(lab_captures()[0], lab)}
        count[both] = merge([iot, lab], both)
        if "large" in arguments.parts:
            copies = int(arguments.gigabytes * 1e9 / os.path.getsize(both)) + 1
            count[large] = multiply(both, large, copies)
        count[dns] = only_dns(both, dns)
        count[dns] = multiply(dns, both, 10)
        os.replace(both, dns)
        _first_packets(iot, small, 10)
        for name, path in (("IoT", iot), ("laboratory", lab), ("DNS", dns), ("large", large)):
            if name in arguments.parts:
                compare_rates(name, path, count[path], small, turns)
        if "start" in arguments.parts:
            start_up(small, turns)
        if "versions" in arguments.parts:
            compare_versions(paths, small, arguments.old, turns)
        if "memory" in arguments.parts:
            multiply(iot, ten, 10)
            compare_memory(iot, ten)


def _first_packets(source, target, n):
    """Write the first records of a classic capture."""
    content = source.read_bytes()
    end = 24
    for _ in range(n):
        end += 16 + int.from_bytes(content[end + 8 : end + 12], "little")
    target.write_bytes(content[:end])


if __name__ == "__main__":
    main()
