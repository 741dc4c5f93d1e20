"""Live sources: the packets of a growing file, a pipe and an interface are those of the file."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sktraffic.capture import CaptureError
from sktraffic.capture._sources import LiveSource
from sktraffic.packets import PacketTable, read_packets
from tests.capture.craft import Craft

FIELDS = [name for name in vars(PacketTable.blank(0)) if name not in ("at", "transport", "payload",
                                                                      "stop", "data")]  # fmt: skip


def frames(n=400):
    """Frames of several sizes, some with a VLAN tag."""
    tags = [(), [(0x8100, 7)], [(0x88A8, 9)]]
    return [
        Craft.ethernet(Craft.udp(bytes(40 + 3 * i), sport=1000 + i % 9), tags[i % 3])
        for i in range(n)
    ]


def classic(n=400):
    return Craft.pcap([(i // 10, i % 10, frame) for i, frame in enumerate(frames(n))])


def next_generation(n=400):
    craft = Craft()
    packets = [craft.packet(frame, 10**15 + i) for i, frame in enumerate(frames(n))]
    return craft.pcapng([craft.interface(), *packets])


def packets_of(blocks):
    return PacketTable.concatenate(read_packets(blocks))


def content(table, fields=FIELDS):
    """Fields and captured bytes of each packet."""
    places = zip(table.at.tolist(), table.stop.tolist(), strict=True)
    raw = [bytes(table.data[at:stop]) for at, stop in places]
    return [getattr(table, name).tolist() for name in fields], raw


def played(data, write, pieces=60, seconds=0.6, then=None):
    """Write data piece by piece in a thread, pieces that end anywhere."""

    def run():
        for part in np.array_split(np.frombuffer(data, np.uint8), pieces):
            write(part.tobytes())
            time.sleep(seconds / pieces)
        if then is not None:
            then()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.fixture(params=[classic, next_generation], ids=["pcap", "pcapng"])
def capture(request, tmp_path):
    """Return a capture's bytes and what the packets of its file are."""
    data = request.param()
    path = tmp_path / "whole"
    path.write_bytes(data)
    return data, content(PacketTable.concatenate(read_packets(path)))


def test_a_growing_file_gives_what_the_whole_file_gives(capture, tmp_path):
    """Bit for bit, however it is written; the file may be empty at first."""
    data, expected = capture
    path = tmp_path / "growing"
    path.touch()
    with open(path, "ab", buffering=0) as file, LiveSource(path, stop_after=1) as source:
        thread = played(data, file.write)
        found = content(packets_of(source))
        thread.join()
    assert found == expected
    assert (source.facts.records, source.facts.damage, source.dropped) == (400, "", 0)


def test_a_named_pipe_gives_what_the_file_gives(capture, tmp_path):
    """Its end is the end, without any `stop_after`; the writer may come late."""
    data, expected = capture
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with LiveSource(path) as source:
        assert len(next(source)) == 0  # nobody writes yet
        file = open(path, "wb", buffering=0)
        played(data, file.write, then=file.close)
        assert content(packets_of(source)) == expected


def test_standard_input_gives_what_the_file_gives(capture, tmp_path):
    """The name is "-"."""
    data, expected = capture
    code = (
        "import pickle, sys\n"
        "from tests.capture.test_sources import LiveSource, content, packets_of\n"
        "sys.stdout.buffer.write(pickle.dumps(content(packets_of(LiveSource('-')))))"
    )
    import pickle

    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert pickle.loads(done.stdout) == expected


@contextlib.contextmanager
def virtual_pair():
    """Give a pair of connected interfaces, or skip where that is not permitted."""
    near, far = (f"skt{os.getpid() % 10000}{end}" for end in "ab")
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
        # no IPv6 of its own: the kernel's own packets are not in the file
        for command in (
            f"ip link add {near} type veth peer name {far}",
            f"ip link set {near} addrgenmode none up",
            f"ip link set {far} addrgenmode none up",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)
    except (OSError, AttributeError, subprocess.CalledProcessError) as error:
        subprocess.run(["ip", "link", "del", near], check=False, capture_output=True)
        pytest.skip(f"no raw sockets or virtual interfaces here: {error}")
    try:
        yield near, far
    finally:
        subprocess.run(["ip", "link", "del", near], check=False, capture_output=True)


def test_an_interface_gives_what_the_file_gives(tmp_path):
    """All but the times, which are the kernel's: tags, which it takes out, are put back."""
    path = tmp_path / "whole"
    path.write_bytes(classic())
    fields = [name for name in FIELDS if name != "time"]
    expected = content(PacketTable.concatenate(read_packets(path)), fields)
    before = time.time_ns()
    with virtual_pair() as (near, far), LiveSource(far, stop_after=1) as source:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((near, 0))
            for frame in frames():
                out.send(frame)
        table = packets_of(source)
        assert content(table, fields) == expected
        assert (np.diff(table.time) >= 0).all() and before < table.time[0] < time.time_ns()
        assert source.dropped == 0
        assert source.now(5) > before


def test_what_the_kernel_drops_is_counted(tmp_path):
    """A ring that nobody reads overflows: packets read and dropped are those that were sent."""
    frame = Craft.ethernet(Craft.udp(bytes(1400)))
    sent = 60_000  # beyond the 64 MiB of the ring
    from sktraffic.capture._ring import InterfaceRing

    with virtual_pair() as (near, far):
        ring = InterfaceRing(far)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((near, 0))
            for _ in range(sent):
                out.send(frame)
        dropped = ring.dropped
        read = 0
        while (block := ring.read(0.2)) is not None:
            read += len(block)
        ring.close()
    assert dropped > 0
    assert read + ring.dropped == sent


def test_the_loopback_gives_each_packet_once():
    """What goes out comes in again, and counts once."""
    try:
        source = LiveSource("lo", stop_after=0.5)
    except CaptureError as error:
        pytest.skip(str(error))
    with source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        mark = os.urandom(16)
        for _ in range(5):
            out.sendto(mark, ("127.0.0.1", 9))
        table = packets_of(source)
    sizes = zip(table.payload.tolist(), table.stop.tolist(), strict=True)
    assert sum(bytes(table.data[at:stop]) == mark for at, stop in sizes) == 5


def test_silence_gives_blocks_without_records(tmp_path):
    """So that sessions can end while nothing comes; a file's time goes on after a while."""
    path = tmp_path / "quiet"
    path.write_bytes(classic(3))
    with LiveSource(path) as source:
        sizes = [len(next(source)) for _ in range(4)]
        assert sizes == [3, 0, 0, 0] or sizes == [0, 3, 0, 0]
        assert source.now(10**9) == 10**9  # the writer may still hold a block
        source._heard -= 8
        assert 3 < (source.now(10**9) - 10**9) / 1e9 < 4


def test_closing_ends_a_source_that_waits(tmp_path):
    """At once, its thread too; it gives nothing any more."""
    path = tmp_path / "quiet"
    path.write_bytes(classic(3))
    before = threading.active_count()
    source = LiveSource(path)
    next(source)
    source.close()
    source.close()
    assert threading.active_count() == before
    assert list(source) == []


def test_a_full_queue_makes_the_reader_wait(tmp_path):
    """A slow consumer loses nothing, and closing does not hang on a reader that waits."""
    path = tmp_path / "long"
    data = Craft.pcap([(1, 0, bytes(60_000))] * 1000)  # 60 MB: more blocks than may wait
    path.write_bytes(data)
    with LiveSource(path, stop_after=0.3) as source:
        time.sleep(0.5)
        assert sum(map(len, source)) == 1000
    source = LiveSource(path)
    time.sleep(0.3)
    source.close()


def test_what_cannot_be_read_is_said(tmp_path):
    """No such source, a folder, no capture, a file that was replaced by a shorter one."""
    with pytest.raises(CaptureError, match="neither a file nor a pipe nor an interface"):
        LiveSource("no-such-thing0")
    with pytest.raises(CaptureError, match="is a folder"):
        LiveSource(tmp_path)
    path = tmp_path / "text"
    path.write_bytes(b"this is no capture at all, but long enough")
    with LiveSource(path) as source, pytest.raises(CaptureError, match="neither pcap nor pcapng"):
        list(source)
    path.write_bytes(classic(3))
    with LiveSource(path) as source:
        next(source)
        path.write_bytes(struct.pack("<I", 0xA1B2C3D4))
        with pytest.raises(CaptureError, match="has become shorter"):
            list(source)


def test_importing_needs_nothing_of_linux():
    """The package imports where there is no fcntl, resource or packet socket."""
    code = (
        "import psutil, socket, sys\n"
        "for name in ('fcntl', 'resource', 'termios', 'pwd'): sys.modules[name] = None\n"
        "del socket.AF_PACKET\n"
        "import sktraffic.capture._sources, sktraffic.datasets, sktraffic.wireshark"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
