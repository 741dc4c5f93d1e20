"""Packets of a network interface: a packet socket whose ring the kernel fills (Linux).

The kernel writes packets into blocks of memory that this process sees, with a header before each
(Linux, Documentation/networking/packet_mmap.rst, TPACKET_V3). A block is copied once and given
back; its packets are read as the records of a file are.
"""

import contextlib
import mmap
import os
import select
import socket
import struct

import numpy as np

from sktraffic.capture._errors import CaptureError
from sktraffic.packets import RecordBlock

__all__ = ["InterfaceRing"]

ETHERNET, RAW_IP = 1, 101  # LINKTYPE numbers
# what the kernel's headers call ARPHRD_*: Ethernet and the loopback, whose frames have its header,
# and tunnels, whose packets begin with IP
LOOPBACK = 772
LINKS = {1: ETHERNET, LOOPBACK: ETHERNET, 65534: RAW_IP, 776: RAW_IP, 768: RAW_IP, 769: RAW_IP}
# the kernel's <linux/if_packet.h>
SOL_PACKET, ADD_MEMBERSHIP, RX_RING, STATISTICS, VERSION, IGNORE_OUTGOING = 263, 1, 5, 6, 10, 23
TPACKET_V3, PROMISCUOUS, ALL_PROTOCOLS, OUTGOING = 2, 1, 3, 4
STATUS, N_PACKETS, FIRST, LENGTH = 8, 12, 16, 20  # of a block: places of its fields
OURS = 1  # a block's status while it is ours to read
VLAN_VALID, VLAN_TYPE_VALID = 0x10, 0x40
HEADER = np.dtype(
    {
        "names": "next seconds nanoseconds captured wire status mac tag tag_type kind".split(),
        "formats": ["u4"] * 6 + ["u2", "u4", "u2", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20, 24, 32, 36, 58],
        "itemsize": 64,
    }
)
BLOCK_SIZE, N_BLOCKS, RETIRE_MS = 1 << 20, 64, 50
AT_ONCE = 8  # blocks that are read together, at most


class InterfaceRing:
    """Records of a network interface, from now on.

    Parameters
    ----------
    name : str
    promiscuous : bool, default=True
        Whether to see frames for other hosts, too (a switch's mirror port, say).

    Raises
    ------
    CaptureError
        If this is not Linux, the right is missing, or the interface has an unknown link type.
    """

    def __init__(self, name, promiscuous=True):
        self.name = name
        self._dropped = 0
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except AttributeError:
            raise CaptureError("Interfaces can be read on Linux only; follow a file.") from None
        except PermissionError:
            raise CaptureError(
                f"Reading the interface {name} needs the capability CAP_NET_RAW (or root). "
                f"{_instead(name)}"
            ) from None
        try:
            self._prepare(name, promiscuous)
        except BaseException:
            self._socket.close()
            raise

    def _prepare(self, name, promiscuous):
        sock = self._socket
        sock.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
        size = BLOCK_SIZE * N_BLOCKS
        ring = struct.pack("7I", BLOCK_SIZE, N_BLOCKS, 2048, size // 2048, RETIRE_MS, 0, 0)
        sock.setsockopt(SOL_PACKET, RX_RING, ring)
        self._memory = mmap.mmap(sock.fileno(), size)
        self._at = 0  # the block to be read next
        try:
            sock.bind((name, ALL_PROTOCOLS))
        except OSError as error:
            raise CaptureError(f"The interface {name} cannot be read: {error.strerror}.") from error
        kind = sock.getsockname()[3]
        if kind not in LINKS:
            raise CaptureError(
                f"The interface {name} has link type {kind} (ARPHRD), which a stream cannot read. "
                f"{_instead(name)}"
            )
        self._link, self._loopback = LINKS[kind], kind == LOOPBACK
        if self._loopback:
            with contextlib.suppress(OSError):  # kernels before 4.20 do not know it
                sock.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
        if promiscuous and self._link == ETHERNET:
            request = struct.pack("iHH8s", socket.if_nametoindex(name), PROMISCUOUS, 0, b"")
            sock.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, request)

    @property
    def dropped(self):
        """Packets that the kernel could not keep so far."""
        if self._socket.fileno() >= 0:
            # reading sets the kernel's counters to zero
            counts = self._socket.getsockopt(SOL_PACKET, STATISTICS, 12)
            self._dropped += struct.unpack("III", counts)[1]
        return self._dropped

    def read(self, wait):
        """Return the next records, or None when none have come in `wait` seconds.

        A reader that is behind gets more at once, and so catches up: what a block costs is then
        shared by more packets.
        """
        if not self._filled(self._at):
            if not select.select([self._socket], [], [], wait)[0]:
                return None
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise CaptureError(f"The interface {self.name} failed: {os.strerror(error)}.")
        blocks = []
        while len(blocks) < AT_ONCE and self._filled(self._at):
            blocks.append(self._at)
            self._at = (self._at + BLOCK_SIZE) % (BLOCK_SIZE * N_BLOCKS)
        if not blocks:
            return None
        starts, views, size = [], [], 0
        for at in blocks:
            count, first, length = struct.unpack_from("3I", self._memory, at + N_PACKETS)
            views.append(np.frombuffer(self._memory, np.uint8, length, at))
            starts += _starts(views[-1], count, first, size)
            size += length
        data = np.concatenate(views)
        for at in blocks:  # the kernel may have them again
            struct.pack_into("I", self._memory, at + STATUS, 0)
        return _records(data, np.array(starts, np.int64), self._link, self._loopback)

    def _filled(self, at):
        """Whether the kernel has filled a block."""
        return bool(struct.unpack_from("I", self._memory, at + STATUS)[0] & OURS)

    def close(self):
        """Close the socket; `dropped` stays."""
        self.dropped  # noqa: B018
        self._socket.close()
        self._memory.close()


def _instead(name):
    return f"Or let dumpcap write a file (dumpcap -i {name} -w FILE) and follow that."


def _starts(data, count, at, shift):
    """Places of a block's packets, each of which says how far it is to the next; plus `shift`."""
    length_of, out = struct.Struct("I").unpack_from, []
    for _ in range(count):
        out.append(at + shift)
        at += length_of(data, at)[0]
    return out


def _records(data, starts, link, loopback):
    """Read the packets that begin at `starts`; shape of every array (n_packets,)."""
    # the headers of all packets side by side
    heads = data[starts[:, None] + np.arange(HEADER.itemsize)].view(HEADER)[:, 0]
    if loopback and (heads["kind"] == OUTGOING).any():  # these come in as well
        kept = heads["kind"] != OUTGOING
        starts, heads = starts[kept], heads[kept]
    at = starts + heads["mac"]
    captured, wire = heads["captured"].astype(np.int64), heads["wire"].astype(np.int64)
    tagged = np.flatnonzero(heads["status"] & VLAN_VALID)
    if len(tagged) and link == ETHERNET:
        at[tagged] -= 4
        _put_tags_back(data, at[tagged], heads[tagged])
        captured[tagged] += 4
        wire[tagged] += 4
    time = heads["seconds"].astype(np.int64) * 10**9 + heads["nanoseconds"]
    return RecordBlock(time, captured, wire, np.full(len(at), link), at, data)


def _put_tags_back(data, at, heads):
    """Write VLAN tags, which the kernel took out, behind the addresses of frames, in place.

    The frames begin 4 bytes earlier then, at `at`: the kernel leaves room there.
    """
    addresses = at[:, None] + np.arange(12)
    data[addresses] = data[addresses + 4]
    kind = np.where(heads["status"] & VLAN_TYPE_VALID, heads["tag_type"], 0x8100)
    tag = np.stack([kind >> 8, kind & 255, heads["tag"] >> 8, heads["tag"] & 255], axis=1)
    data[at[:, None] + np.arange(12, 16)] = tag.astype(np.uint8)
