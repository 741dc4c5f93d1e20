"""Live traffic: the highest rate that loses nothing, held for minutes; with the memory it takes.

    python benchmarks/live.py CAPTURES... [--seconds 600] [--no-messages] [--n-dissections 0]
    python benchmarks/live.py CAPTURES... --replay 1000000

Needs root (a pair of virtual interfaces). The Ethernet frames of the captures are sent into one
end again and again, each round with other addresses, by a process of its own; at the other end
`SessionExtractor.stream` makes sessions of them. The rate is doubled until packets are lost, then
halved between the last two; the rate that is held is a little lower, and lower still if that loses.
Lost is what was sent and is no record of the stream's report: packets that the kernel dropped,
which the report counts, and others, of which there must be none.

With --replay so many sessions come through a pipe as fast as they can, about a day of capture
time, and the resident set is printed at every tenth of them. That needs no root.
"""

import argparse
import ctypes
import itertools
import multiprocessing
import os
import resource
import socket
import struct
import subprocess
import tempfile
import time
import warnings

import numpy as np

from sktraffic.capture import SessionExtractor
from sktraffic.packets import FileFacts, read_records

NEAR, FAR = "sktlive0", "sktlive1"
BATCH = 64  # frames a call
CALL = np.dtype(  # struct mmsghdr of Linux
    {
        "names": ["vectors", "n_vectors"],
        "formats": ["u8", "u8"],
        "offsets": [16, 24],
        "itemsize": 64,
    }
)


def frames_of(paths):
    """Read the Ethernet frames that carry IPv4; (data, starts, lengths)."""
    data, starts, lengths, size = [], [], [], 0
    for path in paths:
        for block in read_records(path, FileFacts()):
            raw = np.frombuffer(block.data, np.uint8)
            whole = (block.link_type == 1) & (block.captured == block.wire) & (block.captured > 34)
            at = block.at[whole]
            four = (raw[at + 12] == 8) & (raw[at + 13] == 0)
            data.append(raw)
            starts.append(at[four] + size)
            lengths.append(block.captured[whole][four])
            size += len(raw)
    return np.concatenate(data), np.concatenate(starts), np.concatenate(lengths)


def send(paths, rate, seconds, ready, go, sent):
    """Send frames at a rate, packets a second; the work of the sending process."""
    data, starts, lengths = frames_of(paths)
    vectors = np.empty((len(starts), 2), np.uint64)
    vectors[:, 0], vectors[:, 1] = starts + data.ctypes.data, lengths
    calls = np.zeros(len(starts), CALL)
    calls["vectors"] = vectors.ctypes.data + 16 * np.arange(len(starts))
    calls["n_vectors"] = 1
    # the upper halves of both addresses: moved alike, so both directions stay one session
    places = starts[:, None] + np.array([26, 27, 30, 31])
    first = data[places]
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((NEAR, 0))
        ready.set()
        go.wait()
        began, count, at, turn = time.perf_counter(), 0, 0, 0
        while (now := time.perf_counter() - began) < seconds:
            due = int(rate * now) - count
            if due < BATCH:
                time.sleep(0.0002)
                continue
            number = min(due, 16 * BATCH, len(starts) - at)
            address = ctypes.c_void_p(calls.ctypes.data + CALL.itemsize * at)
            done = libc.sendmmsg(out.fileno(), address, number, 0)
            if done < 0:
                continue
            count, at = count + done, at + done
            if at == len(starts):
                at, turn = 0, turn + 1
                data[places] = first + np.array([turn >> 8 & 255, turn & 255] * 2, np.uint8)
    sent.value = count


def memory():
    """Return the megabytes that this process holds now, and its most so far."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[1]) * resource.getpagesize()
    return now / 2**20, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def trial(paths, rate, seconds, options, show=False):
    """Send for so long; returns the rate that was sent, lost packets and the sessions' number."""
    context = multiprocessing.get_context("spawn")
    ready, go, sent = context.Event(), context.Event(), context.Value("q", 0)
    sender = context.Process(target=send, args=(paths, rate, seconds, ready, go, sent))
    sender.start()
    ready.wait()
    with SessionExtractor(**options).stream(FAR, stop_after=2) as stream:
        go.set()
        given = sessions = 0
        shown = time.monotonic()
        for table in stream:
            given += int(table["packet_count"].sum())
            sessions += len(table)
            if show and time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"  {given:,} packets in sessions; {memory()[0]:.0f} MiB", flush=True)
        sender.join()
        lost, dropped = sent.value - stream.report["records"], stream.report["dropped"]
    if lost != dropped:
        print(f"  {lost} packets lost, of which the kernel dropped {dropped}")
    return sent.value / seconds, lost, sessions


def replay(paths, path, step):
    """Write the captures' frames into a pipe again and again, each round with other addresses.

    Parameters
    ----------
    paths : list of str
    path : str
        The pipe.
    step : float
        Seconds of capture time between the beginnings of two rounds.
    """
    data, starts, lengths = frames_of(paths)
    # one record behind the other: 16 bytes of header, then the frame
    record_at = np.concatenate([[0], np.cumsum(lengths + 16)])
    out = np.zeros(record_at[-1], np.uint8)
    inside = np.arange(len(out)) - np.repeat(record_at[:-1], lengths + 16)
    frame = inside >= 16
    out[frame] = data[(np.repeat(starts, lengths + 16) + inside - 16)[frame]]
    heads = np.zeros((len(starts), 4), "<u4")
    heads[:, 2] = heads[:, 3] = lengths
    places = record_at[:-1, None] + 16 + np.array([26, 27, 30, 31])
    first = out[places]
    offset = np.arange(len(starts)) * step / len(starts)
    with open(path, "wb", buffering=0) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
        for turn in itertools.count():
            time_of = 1_700_000_000 + turn * step + offset
            heads[:, 0], heads[:, 1] = time_of, (time_of % 1) * 1e6
            out[record_at[:-1, None] + np.arange(16)] = heads.view(np.uint8).reshape(-1, 16)
            out[places] = first + np.array([turn >> 8 & 255, turn & 255] * 2, np.uint8)
            file.write(out)


def replayed(paths, n_sessions, options):
    """Read sessions from a pipe, and print the resident set at every tenth of them."""
    rounds = -(-n_sessions // len(SessionExtractor(n_dissections=0).transform(paths)))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pipe.pcap")
        os.mkfifo(path)
        context = multiprocessing.get_context("spawn")
        writer = context.Process(target=replay, args=(paths, path, 86_400 / rounds))
        writer.start()
        given, shown, held = 0, 0, []
        began = time.monotonic()
        with SessionExtractor(**options).stream(path) as stream:
            for table in stream:
                given += len(table)
                if given >= shown + n_sessions // 10:
                    shown = given // (n_sessions // 10) * (n_sessions // 10)
                    held.append(memory()[0])
                    print(f"{given:,} sessions: {held[-1]:.0f} MiB", flush=True)
                if given >= n_sessions:
                    writer.terminate()  # its end of the pipe closes, and the stream ends
        writer.join()
    report, seconds = stream.report, time.monotonic() - began
    print(
        f"{given:,} sessions of {report['records']:,} packets ({report['session_packets']:,} in "
        f"sessions) in {seconds:.0f} s; {held[0]:.0f} MiB at the first tenth, {held[-1]:.0f} at "
        f"the last, at most {memory()[1]:.0f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--trial-seconds", type=float, default=8)
    parser.add_argument("--rate", type=int, help="packets a second, in place of a search")
    parser.add_argument("--no-messages", action="store_true")
    parser.add_argument("--n-dissections", type=int, default=0)
    parser.add_argument("--replay", type=int, help="sessions that come through a pipe")
    chosen = parser.parse_args()
    options = {"messages": not chosen.no_messages, "n_dissections": chosen.n_dissections}
    warnings.simplefilter("ignore")
    if chosen.replay:
        replayed(chosen.captures, chosen.replay, options)
        return
    for command in (
        f"ip link add {NEAR} mtu 65535 type veth peer name {FAR} mtu 65535",
        f"ip link set {NEAR} addrgenmode none up",
        f"ip link set {FAR} addrgenmode none up",
    ):
        subprocess.run(command.split(), check=True)
    try:
        held, lost = chosen.rate or search(chosen, options), 1
        while lost:
            rate, lost, sessions = trial(chosen.captures, held, chosen.seconds, options, show=True)
            print(
                f"held for {chosen.seconds:.0f} s: {rate:,.0f} packets a second, {sessions:,} "
                f"sessions, {lost} packets lost; {memory()[0]:.0f} MiB at the end, at most "
                f"{memory()[1]:.0f} MiB",
                flush=True,
            )
            held = int(0.85 * held)
    finally:
        subprocess.run(["ip", "link", "del", NEAR], check=False)


def search(chosen, options):
    """Find a rate that loses nothing."""
    good, bad = 0, None
    rate = 20_000
    while bad is None or bad > 1.15 * good:
        reached, lost, _ = trial(chosen.captures, rate, chosen.trial_seconds, options)
        print(
            f"{rate:,} packets a second: {reached:,.0f} sent, {lost:,} lost, all counted by the "
            "kernel unless said otherwise",
            flush=True,
        )
        if lost or reached < 0.9 * rate:
            bad = rate
        else:
            good = rate
        if bad is not None and bad < 1000:
            break
        rate = 2 * rate if bad is None else (good + bad) // 2
    return int(0.9 * good)


if __name__ == "__main__":
    main()
