"""anonymise: the published algorithm's values, prefixes, and nothing left that tells."""

import ipaddress
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.datasets import load_lab_sessions
from sktraffic.exchange import anonymise
from sktraffic.exchange._anonymise import anonymise_addresses

# the key and the addresses of Crypto-PAn's sample program
KEY = bytes(
    [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
        216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
    ]
)  # fmt: skip
KNOWN = {
    "128.11.68.132": "135.242.180.132",
    "129.118.74.4": "134.136.186.123",
    "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160",
    "141.233.145.108": "141.129.237.235",
    "152.163.225.39": "151.140.114.167",
}


def test_the_addresses_are_those_of_crypto_pan():
    """The values that the algorithm's authors publish with their program."""
    assert anonymise_addresses(list(KNOWN), KEY) == list(KNOWN.values())


def shared_bits(a, b):
    a, b = ipaddress.ip_address(a), ipaddress.ip_address(b)
    return a.max_prefixlen - (int(a) ^ int(b)).bit_length()


addresses = st.one_of(
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address),
    st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address),
)


@given(addresses, st.integers(0, 127), st.binary(min_size=32, max_size=32))
def test_prefixes_are_preserved(address, bit, key):
    """Two addresses share as many first bits afterwards as before; so the mapping is one to one."""
    bit %= address.max_prefixlen
    other = type(address)(int(address) ^ (1 << bit))
    new = anonymise_addresses([str(address), str(other)], key)
    assert shared_bits(*new) == shared_bits(address, other)


@pytest.fixture(scope="module")
def sessions():
    return load_lab_sessions().data.iloc[:400]


def test_nothing_that_names_is_left(sessions):
    """No address, file name, server name or byte of the table stands in the new one."""
    hidden = anonymise(sessions, "a passphrase of some length", start="shift", ports="hash")
    for name in ("src_ip", "dst_ip", "capture"):
        assert not set(hidden[name].dropna()) & set(sessions[name].dropna())
        assert hidden[name].nunique() == sessions[name].nunique()
    assert hidden["sni"].isna().all() and hidden["packet_bytes"].isna().all()
    assert hidden["start"].min() == pd.Timestamp(0, tz="UTC")
    assert sessions["sni"].notna().any()  # there was something to hide


def test_what_is_learned_from_stays(sessions):
    """Sizes, times, types and row order are as they were, the original untouched."""
    before = sessions.copy(deep=True)
    hidden = anonymise(sessions, KEY)
    untouched = [name for name in sessions if name.startswith("packet_") and name != "packet_bytes"]
    pd.testing.assert_frame_equal(hidden[untouched], sessions[untouched])
    assert hidden.dtypes.equals(sessions.dtypes)
    pd.testing.assert_frame_equal(sessions, before)
    assert (hidden["src_port"] == sessions["src_port"]).all()


def test_one_key_fits_tables_together(sessions):
    """Halves that are anonymised apart equal the whole; another key gives other addresses."""
    whole = anonymise(sessions, KEY)
    halves = pd.concat([anonymise(sessions.iloc[:200], KEY), anonymise(sessions.iloc[200:], KEY)])
    pd.testing.assert_frame_equal(whole[["src_ip", "capture"]], halves[["src_ip", "capture"]])
    other = anonymise(sessions, bytes(32))
    assert (other["src_ip"] != whole["src_ip"]).mean() > 0.9


def test_ports_are_exchanged_one_to_one():
    """All 65,536 ports stay different, 0 stays 0; drop makes them missing."""
    table = pd.DataFrame({"src_port": np.arange(65_536), "dst_port": 443})
    hidden = anonymise(table, KEY, ports="hash")
    assert hidden["src_port"].nunique() == 65_536
    assert hidden["src_port"].iloc[0] == 0
    assert hidden["dst_port"].nunique() == 1
    assert hidden["dst_port"].iloc[0] == hidden["src_port"].iloc[443]
    nullable = table.astype("uint16[pyarrow]")
    assert anonymise(nullable, KEY, ports="drop")["src_port"].isna().all()


def test_missing_addresses_stay_missing():
    """A session without an address keeps none."""
    table = pd.DataFrame({"src_ip": pd.Series(["192.0.2.1", None], dtype="string")})
    assert anonymise(table, KEY)["src_ip"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": b"short"}, "32 bytes"),
        ({"key": 7}, "32 bytes"),
        ({"ports": "mask"}, "keep, hash, drop"),
        ({"captures": "drop"}, "hash, keep"),
        ({"start": "hash"}, "keep, shift, drop"),
    ],
)
def test_errors_name_the_remedy(change, words):
    """A key or an option that cannot be is refused."""
    with pytest.raises(ValueError, match=words):
        anonymise(pd.DataFrame({"src_ip": ["192.0.2.1"]}), **{"key": KEY, **change})


def test_a_host_name_is_no_address():
    """A name instead of an address is not passed through."""
    with pytest.raises(ValueError, match=r"printer\.lan.*address"):
        anonymise(pd.DataFrame({"src_ip": ["printer.lan"]}), KEY)


def test_without_cryptography_the_extra_is_named(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(ImportError, match=r"sktraffic\[anonymise\]"):
        anonymise_addresses(["192.0.2.1"], KEY)
