"""read_nfdump: old and new columns, the summary at the end, ICMP in the port."""

import lzma
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures
from sktraffic.exchange import TableWarning, read_nfdump

OLD = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das"
ROW = (
    "2024-05-01 10:00:00.250,2024-05-01 10:00:02.750,2.500,192.0.2.1,198.51.100.7,41000,443,TCP,"
    "...AP.SF,0,0,10,1420,9,4476,1,2,0,0"
)
NEW = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"
SUMMARY = "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n1,5896,19,1,1,310\n"


def write(tmp_path, text):
    path = Path(tmp_path, "flows.csv")
    path.write_text(text)
    return path


def test_both_directions_are_added(tmp_path):
    """By hand: 10 + 9 packets, 1,420 + 4,476 bytes; the summary is left out and said."""
    with pytest.warns(TableWarning, match="summary among them.*: 3"):
        sessions = read_nfdump(write(tmp_path, f"{OLD}\n{ROW}\n{SUMMARY}"))
    one = sessions.iloc[0]
    assert len(sessions) == 1
    assert one["start"] == pd.Timestamp("2024-05-01 10:00:00.250", tz="UTC")
    assert (one["packet_count"], one["total_bytes"], one["duration"]) == (19, 5896, 2.5)
    assert (one["src_port"], one["dst_port"], one["protocol"]) == (41000, 443, 6)
    assert one["tcp_flags"] == "...AP.SF"


def test_the_columns_since_version_1_7(tmp_path):
    """Other names and another order; one direction a row."""
    text = f"{NEW}\n2024-05-01 10:00:00.250,2.5,UDP,2001:db8::1,5353,ff02::fb,5353,3,400,1\n"
    one = read_nfdump(write(tmp_path, text)).iloc[0]
    assert (one["protocol"], one["ip_version"], one["packet_count"]) == (17, 6, 3)


@pytest.mark.parametrize(
    ("old", "new", "column", "value"),
    [
        ("41000,443,TCP", "0,8.0,ICMP", "dst_port", 0),
        ("41000,443,TCP", "0,0,6", "protocol", 6),
        ("2.500,", ",", "duration", None),
        ("10,1420", "10,many", "total_bytes", None),
        ("2024-05-01 10:00:00.250", "never", "start", None),
    ],
)
def test_odd_cells(tmp_path, old, new, column, value):
    """ICMP's type in the port, numbers for names, cells that are no number."""
    got = read_nfdump(write(tmp_path, f"{OLD}\n{ROW.replace(old, new)}\n"), on_mend="ignore")
    assert pd.isna(got.loc[0, column]) if value is None else got.loc[0, column] == value


def test_a_file_of_several_runs(tmp_path):
    """A header in the middle is left out."""
    text = f"{OLD}\n{ROW}\n{OLD}\n{ROW}\n"
    assert len(read_nfdump(write(tmp_path, text), on_mend="ignore")) == 2


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "No matched flows\n"])
def test_what_is_no_such_table_is_refused(tmp_path, text):
    """Empty files, other tables, nfdump's word that there is nothing."""
    with pytest.raises(ValueError, match=r"flows\.csv is no"):
        read_nfdump(write(tmp_path, text), on_mend="ignore")


def test_mending_can_be_refused(tmp_path):
    """on_mend='raise' refuses the summary."""
    with pytest.raises(ValueError, match="summary"):
        read_nfdump(write(tmp_path, f"{OLD}\n{ROW}\n{SUMMARY}"), on_mend="raise")


@pytest.mark.skipif(shutil.which("nfpcapd") is None, reason="nfdump is not installed")
@pytest.mark.parametrize("option", [[], ["-b"]])
def test_a_run_of_nfdump(tmp_path, option):
    """Packets and bytes of a bundled capture, through nfpcapd and nfdump, by five-tuple."""
    path, flows, out = tmp_path / "run.pcap", tmp_path / "flows", tmp_path / "out.csv"
    with lzma.open(lab_captures()[0][3]) as file:
        path.write_bytes(file.read())
    flows.mkdir()
    subprocess.run(["nfpcapd", "-r", path, "-l", flows], check=True, capture_output=True)
    with open(out, "wb") as file:
        subprocess.run(["nfdump", "-R", flows, "-o", "csv", *option], check=True, stdout=file)
    found = read_nfdump(out, on_mend="ignore")
    wanted = SessionExtractor(n_dissections=0, messages=False).transform(path)

    def by_ends(X):
        """Add up both directions of each pair of ends."""
        sums = {}
        for row in X.to_dict("records"):
            ends = frozenset([(row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"])])
            key = (ends if row["protocol"] in (6, 17) else row["protocol"], row["protocol"])
            packets, size = sums.get(key, (0, 0))
            sums[key] = packets + row["packet_count"], size + row["total_bytes"]
        return sums

    assert by_ends(found) == by_ends(wanted)
