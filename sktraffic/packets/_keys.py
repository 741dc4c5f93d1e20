"""What makes packets one session: equal numbers for packets of one key, in either direction."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["KeyGroups", "group_keys", "pair_hashes"]

KEYS = ("five_tuple", "host_pair", "capture")
_ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


@dataclass
class KeyGroups:
    """Packets by key.

    Attributes
    ----------
    group : ndarray of shape (n_packets,), int64
        Number of the packet's key, from 0 in the order in which keys occur.
    first : ndarray of shape (n_keys,), int64
        First packet of each key.
    names : list of bytes, length n_keys
        The keys themselves: equal for equal keys, also between tables.
    from_low : ndarray of shape (n_packets,), bool
        The sender is the lower of the key's two ends; says which direction a packet has.
    """

    group: np.ndarray
    first: np.ndarray
    names: list
    from_low: np.ndarray


def group_keys(table, key="five_tuple", vlan_in_key=True):
    """Find the packets that share a key.

    Parameters
    ----------
    table : PacketTable
    key : {"five_tuple", "host_pair", "capture"}
    vlan_in_key : bool
        Whether packets of different VLANs have different five-tuples.

    Returns
    -------
    KeyGroups
    """
    n = len(table)
    if key == "capture":
        # one key, its lower end the sender of the first packet: which that was, the caller keeps
        first = np.zeros(min(n, 1), np.int64)
        return KeyGroups(np.zeros(n, np.int64), first, [b""] * len(first), np.ones(n, bool))
    words, from_low = _words(table, key, vlan_in_key)
    group, first = _factorize(words)
    return KeyGroups(group, first, _names(words, table.version, first), from_low)


def _words(table, key, vlan_in_key):
    """Write each key as 64-bit words that differ where keys differ.

    Returns (low end, high end, rest), and for IPv6 the upper halves of both addresses too; and
    whether the sender is the low end. An IPv4 end is address and port in one word; the ports of
    IPv6 are in the rest.
    """
    five = key == "five_tuple"
    source, target = table.src[:, 1], table.dst[:, 1]
    rest = table.version.astype(np.uint64)
    if five:
        # -1, an unknown port, becomes 0: port 0 becomes 1
        sport = (table.src_port + 1).astype(np.uint64)
        dport = (table.dst_port + 1).astype(np.uint64)
        rest |= table.protocol.astype(np.uint64) << np.uint64(4)
        if vlan_in_key:
            rest |= table.vlan.astype(np.uint64) << np.uint64(12)
    six = table.version == 6
    if not six.any():
        if five:
            source, target = _beside(source, sport), _beside(target, dport)
        return (np.minimum(source, target), np.maximum(source, target), rest), source <= target
    upper, upper_target = table.src[:, 0], table.dst[:, 0]
    if five:
        source = np.where(six, source, _beside(source, sport))
        target = np.where(six, target, _beside(target, dport))
    same = (upper == upper_target) & (source == target)
    from_low = (upper < upper_target) | ((upper == upper_target) & (source < target)) | same
    if five:
        from_low &= ~same | ~six | (sport <= dport)
        low, high = np.where(from_low, sport, dport), np.where(from_low, dport, sport)
        ports = (low << np.uint64(24)) | (high << np.uint64(42))
        rest |= np.where(six, ports, np.uint64(0))
    words = (
        np.where(from_low, source, target),
        np.where(from_low, target, source),
        rest,
        np.where(from_low, upper, upper_target),
        np.where(from_low, upper_target, upper),
    )
    return words, from_low


def _beside(address, port):
    return (address << np.uint64(17)) | port


def _factorize(words):
    """Give equal rows of words a number; -> (number of each row, first row of each number)."""
    group, uniques = pd.factorize(_mixed(words).view(np.int64))
    first = _first(group, len(uniques))
    # different keys may mix to one number: rare, but then a session would hold strangers
    if not all(np.array_equal(word, word[first][group]) for word in words):
        rows = np.stack(words, axis=1).view(f"V{8 * len(words)}")[:, 0]
        group, uniques = pd.factorize(np.array(rows.tolist(), dtype=object))
        first = _first(group, len(uniques))
    return group, first


def _mixed(words):
    """Mix words into one; shape (n,), uint64."""
    mixed = np.zeros(len(words[0]), np.uint64)
    for i, word in enumerate(words):
        mixed += word
        mixed *= np.uint64(_ODD[i % 3])
        mixed ^= mixed >> np.uint64(29)
    return mixed


def pair_hashes(table):
    """Hash each packet's five-tuple, the same in either direction; shape (n_packets,), uint64."""
    words, _ = _words(table, "five_tuple", True)
    # words of IPv6 are the longer ones; without such packets the last two are zero
    zero = np.zeros(len(table), np.uint64)
    return _mixed((*words, zero, zero)[:5])


def _first(group, n):
    first = np.empty(n, np.int64)
    first[group[::-1]] = np.arange(len(group) - 1, -1, -1)
    return first


def _names(words, version, first):
    """Keys as bytes: 24 for IPv4, 40 for IPv6."""
    short = np.stack([word[first] for word in words[:3]], axis=1)
    names = short.view("V24")[:, 0].tolist()
    six = np.flatnonzero(version[first] == 6)
    if len(six):
        tail = np.stack([word[first[six]] for word in words[3:]], axis=1).view("V16")[:, 0]
        for row, more in zip(six.tolist(), tail.tolist(), strict=True):
            names[row] += more
    return names
