"""Session tables without the persons in them."""

import hashlib
import ipaddress
import os

import numpy as np
import pandas as pd

from sktraffic.sessions import check_sessions

__all__ = ["anonymise", "anonymise_addresses"]

CHUNK = 4096  # addresses encrypted at a time: 128 blocks of 16 bytes each
DROPPED = ("sni", "packet_bytes")


def anonymise(sessions, key, *, ports="keep", captures="hash", start="keep"):
    """Make a session table that can be given away: whose traffic it was cannot be told from it.

    Addresses are replaced so that two with a common prefix of n bits still have one of n bits
    (Xu, Fan, Ammar and Moon 2002), so networks stay networks; requested server names and packet
    bytes, which hold addresses and contents, become missing. The same key gives the same
    addresses everywhere, so tables that are anonymised one by one fit together.

    Parameters
    ----------
    sessions : DataFrame
        Session table; labels and other columns outside its schema are kept as they are.
    key : bytes of length 32, or str
        Secret. A str is stretched to 32 bytes with scrypt; choose a long one. Who knows the key
        can undo everything: keep it, or throw it away.
    ports : {"keep", "hash", "drop"}, default="keep"
        "hash" exchanges port numbers by a permutation that the key draws, so that equal ports
        stay equal and different ones different; 0 stays 0. "drop" makes them missing.
    captures : {"hash", "keep"}, default="hash"
        What becomes of the column `capture`: file names often tell names. "hash" gives 16
        hexadecimal digits a name, so groups stay groups.
    start : {"keep", "shift", "drop"}, default="keep"
        "shift" moves all times so that the earliest session begins at 1970-01-01; "drop" makes
        them missing.

    Returns
    -------
    DataFrame
        A copy with the same rows and columns.

    Raises
    ------
    ImportError
        If the package cryptography is not installed: ``pip install 'sktraffic[anonymise]'``.
    ValueError
        If the key has another length, a parameter another value, or an address cannot be read.

    Notes
    -----
    Anonymised addresses do not make traffic anonymous: sizes and times can give a page or an
    application away, which is what this package is for. Fingerprints (`client_fingerprint`,
    `server_fingerprint`) and `application` are kept; drop the columns if they say too much.

    References
    ----------
    Xu, Fan, Ammar and Moon, "Prefix-preserving IP address anonymization", ICNP 2002. The
    construction with AES-128 is that of their Crypto-PAn, whose addresses these are.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.exchange import anonymise
    >>> table = pd.DataFrame({"src_ip": ["192.0.2.1", "192.0.2.7"], "sni": ["a.org", None]})
    >>> hidden = anonymise(table, "a long passphrase")
    >>> bool(hidden["sni"].isna().all()), hidden["src_ip"].str.rsplit(".", n=1).str[0].nunique()
    (True, 1)
    """
    check_sessions(sessions)
    for name, value, options in (
        ("ports", ports, ("keep", "hash", "drop")),
        ("captures", captures, ("hash", "keep")),
        ("start", start, ("keep", "shift", "drop")),
    ):
        if value not in options:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(options)}.")
    key = _key(key)
    out = sessions.copy()
    for name in ("src_ip", "dst_ip"):
        if name in out:
            out[name] = _replaced(out[name], lambda known: anonymise_addresses(known, key))
    for name in ("src_port", "dst_port"):
        if name in out and ports == "hash":
            out[name] = _replaced(out[name], lambda known: _permuted_ports(known, key))
    if captures == "hash" and "capture" in out:
        out["capture"] = _replaced(out["capture"], lambda known: _digests(known, key))
    dropped = DROPPED
    dropped += ("src_port", "dst_port") if ports == "drop" else ()
    dropped += ("start",) if start == "drop" else ()
    for name in dropped:
        if name in out:
            out[name] = pd.Series([None] * len(out), index=out.index, dtype=out[name].dtype)
    if start == "shift" and "start" in out and len(out):
        times = out["start"]
        out["start"] = times - (times.min() - pd.Timestamp(0, tz="UTC"))
    return out


def anonymise_addresses(addresses, key):
    """Replace IP addresses, prefixes preserved; IPv4 and IPv6 as Crypto-PAn does it.

    Bit i of an address is inverted or not as a pseudo-random function of its first i bits says:
    the first bit of AES-128 of these bits, filled up with those of a secret pad.

    Parameters
    ----------
    addresses : sequence of str
    key : bytes of length 32
        16 bytes for AES, 16 for the pad.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from sktraffic.exchange._anonymise import anonymise_addresses
    >>> a, b = anonymise_addresses(["192.0.2.1", "192.0.2.2"], bytes(range(32)))
    >>> a.split(".")[:3] == b.split(".")[:3]
    True
    """
    try:
        parsed = [ipaddress.ip_address(address) for address in addresses]
    except ValueError as error:
        raise ValueError(
            f"{error}. Every src_ip and dst_ip must be an address or missing."
        ) from None
    out = [None] * len(parsed)
    for version, width in ((4, 4), (6, 16)):
        rows = [i for i, address in enumerate(parsed) if address.version == version]
        for begin in range(0, len(rows), CHUNK):
            part = rows[begin : begin + CHUNK]
            raw = np.frombuffer(b"".join(parsed[i].packed for i in part), np.uint8)
            for i, new in zip(part, _flipped(raw.reshape(-1, width), key), strict=True):
                out[i] = str(ipaddress.ip_address(new.tobytes()))
    return out


def _flipped(raw, key):
    """Addresses as bytes, (n, 4 or 16) uint8 -> the same shape."""
    n, width = raw.shape
    encrypt = _cipher(key[:16])
    pad = np.frombuffer(encrypt(key[16:]), np.uint8)
    filled = np.zeros((n, 16), np.uint8)
    filled[:, :width] = raw
    # (n_bits, 16) bytes: row i has its first i bits set
    n_bits = 8 * width
    mask = np.packbits(np.arange(128) < np.arange(n_bits)[:, None], axis=1)
    blocks = (filled[:, None] & mask) | (pad & ~mask)  # (n, n_bits, 16)
    answers = np.frombuffer(encrypt(blocks.tobytes()), np.uint8).reshape(n, n_bits, 16)
    return raw ^ np.packbits(answers[:, :, 0] >> 7, axis=1)


def _cipher(key):
    """AES-128 in ECB mode: what encrypts a whole number of independent blocks."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        raise ImportError(
            "Anonymising addresses takes the package cryptography: "
            "pip install 'sktraffic[anonymise]'."
        ) from None

    def encrypt(blocks):
        worker = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return worker.update(blocks) + worker.finalize()

    return encrypt


def _key(key):
    if isinstance(key, str):
        return hashlib.scrypt(
            key.encode(), salt=b"sktraffic.exchange.anonymise", n=2**14, r=8, p=1, dklen=32
        )
    if not isinstance(key, bytes | bytearray) or len(key) != 32:
        raise ValueError(
            f"key is {type(key).__name__} of length {len(key) if hasattr(key, '__len__') else '?'}"
            "; it must be 32 bytes (secrets.token_bytes(32) makes some) or a passphrase as str."
        )
    return bytes(key)


def _replaced(column, replace):
    """Replace each distinct value that is not missing; the column keeps its type."""
    codes, values = pd.factorize(column)
    if not len(values):
        return column.copy()
    new = np.append(np.asarray(replace(list(values)), dtype=object), None)
    # factorize gives missing values the code -1: the last
    return pd.Series(new[codes], index=column.index).astype(column.dtype)


def _permuted_ports(ports, key):
    seed = int.from_bytes(hashlib.blake2b(b"ports", key=key).digest()[:16], "big")
    order = 1 + np.random.default_rng(seed).permutation(65_535)
    return [int(order[port - 1]) if port else 0 for port in ports]


def _digests(names, key):
    return [
        hashlib.blake2b(os.fsencode(str(name)), key=key, digest_size=8).hexdigest()
        for name in names
    ]
