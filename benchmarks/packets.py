"""Packets per second from a capture file, beside other readers, in one run.

    python benchmarks/packets.py CAPTURE [--repeats 5] [--copies 10]

Each reader runs in turn, in a process of its own pinned to one core, on a file that is in memory:
cypcap iterating records and nothing else (the floor), dpkt parsing each packet in Python,
`read_records` and `read_packets`. Printed are medians of processor time a packet and their ratio to
`read_packets`, then peak memory for the capture and for its records many times over.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PRELUDE = """
import resource, sys, time
path = sys.argv[1]
began = time.process_time()
"""
EPILOGUE = """
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(n, time.process_time() - began, memory / 1024)
"""
READERS = {
    "cypcap, records only": """
import cypcap
began = time.process_time()
n = 0
with cypcap.open_offline(path) as capture:
    for header, data in capture:
        n += 1
""",
    "dpkt, parsed one by one": """
import dpkt
began = time.process_time()
n = 0
with open(path, "rb") as file:
    for moment, frame in dpkt.pcap.UniversalReader(file):
        dpkt.ethernet.Ethernet(frame)
        n += 1
""",
    "read_records": """
from sktraffic.packets import FileFacts, read_records
began = time.process_time()
n = sum(map(len, read_records(path, FileFacts())))
""",
    "read_packets": """
from sktraffic.packets import read_packets
began = time.process_time()
reader = read_packets(path)
for table in reader:
    pass
n = reader.facts.records
""",
}


def measure(reader, path):
    """Return records, seconds of processor time and peak memory (MB) of one run."""
    pin = ["taskset", "-c", "0"] if sys.platform == "linux" else []
    command = [*pin, sys.executable, "-c", PRELUDE + READERS[reader] + EPILOGUE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1], None
    count, seconds, memory = done.stdout.split()
    return int(count), float(seconds), float(memory)


def copies_of(path, copies, folder):
    """Write a capture's records many times over (classic pcap)."""
    content = Path(path).read_bytes()
    out = Path(folder) / "copies.pcap"
    with open(out, "wb") as file:
        file.write(content[:24])
        for _ in range(copies):
            file.write(content[24:])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=10)
    options = parser.parse_args()
    runs = {reader: [] for reader in READERS}
    for _ in range(options.repeats):
        for reader in READERS:
            runs[reader].append(measure(reader, options.capture))
    own = statistics.median(seconds for _, seconds, _ in runs["read_packets"])
    for reader, results in runs.items():
        if results[0][0] is None:
            print(f"{reader:26} {results[0][1]}")
            continue
        seconds = statistics.median(run[1] for run in results)
        each = seconds / results[0][0] * 1e9
        print(f"{reader:26} {each:8.0f} ns a record, {seconds / own:6.2f} of read_packets")
    with tempfile.TemporaryDirectory() as folder:
        larger = copies_of(options.capture, options.copies, folder)
        peaks = [measure("read_packets", path)[2] for path in (options.capture, larger)]
    ratio = peaks[1] / peaks[0]
    print(f"peak memory {peaks[0]:.0f} MB, {options.copies} times the records {ratio:.2f} of it")


if __name__ == "__main__":
    main()
