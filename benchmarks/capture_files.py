"""Large captures for benchmarks, made of small ones."""

import struct

import numpy as np

from sktraffic.packets import FileFacts, find_ip, read_packets, read_records

ETHERNET = 1
HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, ETHERNET)  # nanoseconds


def merge(paths, target):
    """Write the Ethernet frames of many captures into one, by time; returns their number."""
    times, wires, frames = [], [], []
    for path in paths:
        for block in read_records(path, FileFacts()):
            rows = np.flatnonzero(block.link_type == ETHERNET)
            data = memoryview(block.data)
            ends = (block.at + block.captured)[rows].tolist()
            frames += [bytes(data[a:b]) for a, b in zip(block.at[rows].tolist(), ends, strict=True)]
            times.append(block.time[rows])
            wires.append(block.wire[rows])
    time, wire = np.concatenate(times), np.concatenate(wires)
    order = np.argsort(time, kind="stable")
    write(target, time[order], wire[order], [frames[i] for i in order.tolist()])
    return len(order)


def write(target, time, wire, frames):
    """Write frames with their times (ns) and lengths on the wire."""
    captured = np.fromiter(map(len, frames), np.int64, len(frames))
    heads = np.column_stack([time // 10**9, time % 10**9, captured, wire]).astype("<u4").tobytes()
    with open(target, "wb") as file:
        file.write(HEADER)
        file.writelines(
            part for i, frame in enumerate(frames) for part in (heads[16 * i : 16 * i + 16], frame)
        )


def multiply(source, target, copies):
    """Write a capture several times over, each copy with other addresses and behind the last.

    The second byte of IPv4 addresses and the sixth of IPv6 addresses differ from copy to copy, so
    that sessions do not meet those of other copies.
    """
    content = np.fromfile(source, np.uint8)
    records, ip, version = _places(source)
    seconds = records[:, None] + np.arange(4)
    time = content[seconds].view("<u4")[:, 0].astype(np.int64)
    span = int(time.max() - time.min()) + 3600
    step = np.where(version == 4, [[13], [17]], [[13], [29]])
    changed = (ip + step).ravel()
    with open(target, "wb") as file:
        file.write(HEADER)
        for copy in range(copies):
            again = content.copy()
            again[changed] += np.uint8(copy)
            again[seconds] = (time + copy * span).astype("<u4").view(np.uint8).reshape(-1, 4)
            file.write(again[len(HEADER) :].data)
    return copies * len(records)


def _places(source):
    """Return where records begin, where IP headers do, and the versions of IP."""
    content = np.fromfile(source, np.uint8)
    captured = np.concatenate([block.captured for block in read_records(source, FileFacts())])
    records = len(HEADER) + np.concatenate([[0], np.cumsum(captured + 16)[:-1]])
    at, _, _ = find_ip(content, records + 16, records + 16 + captured, np.ones_like(captured))
    version = content[np.minimum(at, len(content) - 1)] >> 4
    known = ((version == 4) | (version == 6)) & (at + 40 <= len(content))
    return records, at[known], version[known]


def only_dns(source, target):
    """Write the DNS packets of a capture: sessions of few packets; returns their number."""
    numbers = [
        packets.record[(packets.src_port == 53) | (packets.dst_port == 53)]
        for packets in read_packets(source)
    ]
    chosen = np.unique(np.concatenate(numbers))
    times, wires, frames, first = [], [], [], 0
    for block in read_records(source, FileFacts()):
        rows = chosen[(chosen >= first) & (chosen < first + len(block))] - first
        first += len(block)
        data = memoryview(block.data)
        ends = (block.at + block.captured)[rows].tolist()
        frames += [bytes(data[a:b]) for a, b in zip(block.at[rows].tolist(), ends, strict=True)]
        times.append(block.time[rows])
        wires.append(block.wire[rows])
    write(target, np.concatenate(times), np.concatenate(wires), frames)
    return len(chosen)
