"""Fetchers of public sets: the real ones where they are, made ones in every layout."""

import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import (
    fetch_iscx_vpn2016,
    fetch_iscx_vpn2016_flows,
    fetch_ustc_tfc2016,
)
from sktraffic.datasets._download import sha256_of
from sktraffic.datasets._iscx import service_of
from sktraffic.datasets._iscx_flows import read_arff
from sktraffic.datasets._public import known_files, read_idx
from sktraffic.ragged import ragged

PER_PACKET = ("packet_size", "packet_direction", "packet_message")


@pytest.fixture(scope="module")
def ustc(traffic_data):
    """Return the real heads of USTC-TFC2016."""
    return fetch_ustc_tfc2016(data_home=traffic_data)


@pytest.fixture(scope="module")
def iscx(traffic_data):
    """Return the real heads of ISCX VPN-nonVPN."""
    return fetch_iscx_vpn2016(data_home=traffic_data)


@pytest.fixture(scope="module")
def flows(traffic_data):
    """Return the real CICFlowMeter tables."""
    return fetch_iscx_vpn2016_flows(data_home=traffic_data)


def check(bunch, rows, classes):
    """Everything that scikit-learn's own fetchers promise."""
    assert bunch.data.shape[0] == len(bunch.target) == len(bunch.groups) == rows
    assert len(bunch.target_names) == classes
    assert bunch.frame["target"].tolist() == bunch.target.tolist()
    assert bunch.feature_names == list(bunch.data.columns)
    for word in ("Licence", "Cite", "Traps"):
        assert word in bunch.DESCR
    assert all(Path(name).is_file() for name in bunch.filenames)


def test_ustc_heads(ustc):
    """20 classes, 8,653 sessions, at least 308 a class."""
    check(ustc, 8653, 20)
    counts = pd.Series(ustc.target).value_counts()
    assert (counts["Shifu"], counts["Miuref"]) == (585, 308)
    assert ustc.left_out == 0
    assert "8653 sessions of 20 classes" in ustc.DESCR


def test_iscx_heads(iscx):
    """12 classes, 19,837 sessions, at most 2,500 a class."""
    check(iscx, 19837, 12)
    counts = pd.Series(iscx.target).value_counts()
    assert counts.max() == 2500
    assert counts["Vpn_Email"] == 268


@pytest.mark.parametrize("name", ["ustc_tfc2016", "iscx_vpn2016"])
def test_heads_agree_with_the_published_columns(name, ustc, iscx, traffic_data):
    """Addresses, ports, packets, times and directions are those that the table's maker found."""
    bunch = ustc if name == "ustc_tfc2016" else iscx
    table = pq.read_table(traffic_data / name / "session_heads_784B.parquet").to_pandas()
    X = bunch.data
    pairs = {"src": "src_ip", "dst": "dst_ip", "sport": "src_port", "dport": "dst_port"}
    for theirs, ours in (pairs | {"proto": "protocol"}).items():
        assert X[ours].tolist() == table[theirs].tolist()
    direction, offsets = ragged(X["packet_direction"])
    assert np.diff(offsets).tolist() == table["ts"].map(len).tolist()
    theirs = np.concatenate(table["direction"].to_numpy())
    # theirs is 0 also where only the ports are cut
    assert (direction == theirs)[theirs != 0].all()
    assert set(np.flatnonzero(direction == 0)) <= set(offsets[1:] - 1)
    time, _ = ragged(X["packet_time"])
    latest = [np.maximum.accumulate(row) - row[0] for row in table["ts"]]
    np.testing.assert_allclose(time, np.concatenate(latest), atol=1e-6)
    size, _ = ragged(X["packet_size"])
    behind = np.concatenate(table["orig_len"].to_numpy()) - size
    ethernet = np.repeat(table["linktype"] == 1, np.diff(offsets))
    assert (behind[~ethernet] == 0).all()
    assert behind[ethernet].min() >= 14  # header, and what the card padded


@pytest.mark.parametrize(
    ("folder", "name", "label"),
    [
        ("ustc_tfc2016", "Facetime.eth", "Facetime"),
        ("iscx_vpn2016", "Vpn_Email.rawip", "Vpn_Email"),
        ("iscx_vpn2016", "Chat.eth", "Chat"),
    ],
)
def test_heads_agree_with_the_capture_engine(folder, name, label, ustc, iscx, traffic_data):
    """The same heads as one pcap file, read by nfstream: the same packets in every session."""
    bunch = ustc if folder == "ustc_tfc2016" else iscx
    read = SessionExtractor().transform(traffic_data / folder / "session_heads" / f"{name}.pcap")
    ends = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol"]
    ours = bunch.data[bunch.target == label]
    # in one file, heads with the same five-tuple within the timeout become one session
    single = ~ours.duplicated(ends, keep=False)
    both = ours[single].merge(read, on=[*ends, "start"], suffixes=("", "_read"))
    both = both[both["packet_count"] == both["packet_count_read"]]
    assert len(both) > 0.95 * single.sum()
    assert len(both) > 200
    for column in PER_PACKET:
        assert both[column].map(list).tolist() == both[f"{column}_read"].map(list).tolist()
    for own, other, size in zip(
        both["packet_bytes"], both["packet_bytes_read"], both["packet_size"], strict=True
    ):
        # the engine keeps what Ethernet padded
        cut = [packet[:length] for packet, length in zip(other, size, strict=False)]
        assert [packet[:256] for packet in own[:4]] == cut


def test_no_capture_is_split_over_groups(iscx, flows):
    """Sessions found again in a capture's flow table by five-tuple and time share one group."""
    X, known = iscx.data, flows.identity
    ends = ["src_ip", "src_port", "dst_ip", "dst_port"]
    other = known.rename(columns=dict(zip(ends, ends[2:] + ends[:2], strict=True)))
    table = X[ends].astype({"src_ip": str, "dst_ip": str, "src_port": int, "dst_port": int})
    table["start"], table["group"] = X["start"].astype("datetime64[ns, UTC]"), iscx.groups
    found = table.merge(pd.concat([known, other]), on=ends, suffixes=("", "_flow"))
    near = (found["start"] - found["start_flow"]).abs() < pd.Timedelta(seconds=3)
    found = found[near]
    assert found["capture"].nunique() > 40
    services = found["capture"].map(service_of)
    assert (services == found["group"].str.split("/").str[0]).mean() > 0.99
    same = found[services == found["group"].str.split("/").str[0]]
    assert same.groupby("capture")["group"].nunique().max() == 1


def test_ustc_groups_are_classes_and_times(ustc):
    """A group is of one class; most applications are one recording."""
    groups = pd.DataFrame({"group": ustc.groups, "label": ustc.target}).drop_duplicates()
    assert groups["group"].is_unique
    recordings = groups["label"].value_counts()
    assert (recordings[["BitTorrent", "Facetime", "Gmail", "Skype"]] == 1).all()


def test_flow_tables(flows):
    """80 captures, 36,130 biflows, 77 features without addresses, ports and times."""
    check(flows, 36130, 13)
    assert flows.data.shape[1] == 77
    assert len(set(flows.groups)) == 80
    assert (flows.groups == "vpn_icq_chat1a").sum() == 69
    assert not {"Src IP", "Src Port", "Timestamp", "Flow ID", "Label"} & set(flows.feature_names)
    assert flows.identity["capture"].tolist() == flows.groups.tolist()


def test_one_flow_table(traffic_data, no_network):
    """A capture by its name, its name as the target, and the set's own folder as `data_home`."""
    folder = traffic_data / "iscx_vpn2016"
    settings = {"data_home": folder, "captures": ["vpn_icq_chat1a", "scp1"], "target": "capture"}
    few = fetch_iscx_vpn2016_flows(**settings)
    assert few.target_names.tolist() == ["scp1", "vpn_icq_chat1a"]
    X, y = fetch_iscx_vpn2016_flows(**settings, return_X_y=True)
    assert X.equals(few.data)
    assert y.tolist() == few.target.tolist()


@pytest.mark.parametrize(("tables", "classes"), [("a1", 2), ("a2", 14)])
def test_arff_tables(traffic_data, tables, classes, no_network):
    """18,758 flows with 23 features in both scenarios; nothing to group by."""
    bunch = fetch_iscx_vpn2016_flows(data_home=traffic_data, tables=tables)
    assert bunch.data.shape == (18758, 23)
    assert len(bunch.target_names) == classes
    assert bunch.groups is None
    assert bunch.data.dtypes.map(pd.api.types.is_numeric_dtype).all()
    assert bunch.data.notna().all(axis=None)
    vpn = np.char.startswith(bunch.target, "VPN-" if tables == "a2" else "VPN")
    assert vpn.sum() == 9793


def test_nothing_is_asked_of_the_network(traffic_data, no_network):
    """Where the files are, every fetcher works with all ways out barred."""
    for home in (traffic_data, traffic_data / "ustc_tfc2016"):
        assert len(fetch_ustc_tfc2016(data_home=home, download_if_missing=False).data) == 8653
    X, y = fetch_iscx_vpn2016(data_home=traffic_data / "iscx_vpn2016", return_X_y=True)
    assert len(X) == len(y) == 19837


def test_raw_captures(traffic_data):
    """Tinba and Facetime as they were recorded: 28,000 packets, of which tshark calls 88 not IP."""
    bunch = fetch_ustc_tfc2016(data_home=traffic_data, subset="captures")
    assert bunch.target_names.tolist() == ["Facetime", "Tinba"]
    assert bunch.data["packet_count"].sum() == 28_000 - 88
    assert len(set(bunch.groups)) == 2


@pytest.mark.parametrize("name", ["ustc_tfc2016", "iscx_vpn2016_flows"])
def test_registry_is_what_lies_here(traffic_data, name):
    """Checksums and sizes in the registry are those of the files that the tests read."""
    folder = traffic_data / name.removesuffix("_flows")
    folder = folder / "raw" if name == "ustc_tfc2016" else folder
    remotes = known_files(name)
    assert len(remotes) == {"ustc_tfc2016": 2, "iscx_vpn2016_flows": 80}[name]
    for remote in remotes:
        assert (folder / remote.path).stat().st_size == remote.size
        assert sha256_of(folder / remote.path) == remote.sha256


def idx(path, array, packed=True):
    """Write an idx file."""
    head = struct.pack(">I", 0x800 | array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)


def write_heads(folder, make, labels, packed=True, part="t10k"):
    """Write idx files of one-packet heads, the label's number in the payload."""
    files = [
        make.pcap([make.ipv4(make.a, make.b, (5000, 443), bytes([n]))], link=101) for n in labels
    ]
    rows = np.stack([np.frombuffer(file.ljust(784, b"\0"), np.uint8) for file in files])
    end = ".gz" if packed else ""
    idx(folder / f"{part}-images-idx3-ubyte{end}", rows.reshape(-1, 28, 28), packed)
    idx(folder / f"{part}-labels-idx1-ubyte{end}", np.asarray(labels), packed)


def test_idx_files_of_ten_classes(make, tmp_path, no_network):
    """Labels of the two parts count from 0 each; other layers and two classes are not read."""
    folder = tmp_path / "ustc_tfc2016" / "3.PreprocessedResults"
    write_heads(folder / "10class" / "Benign" / "SessionAllLayers", make, [0, 2, 9])
    write_heads(folder / "10class" / "Malware" / "SessionAllLayers", make, [0, 7], packed=False)
    write_heads(folder / "10class" / "Malware" / "SessionL7", make, [1])
    write_heads(folder / "2class" / "SessionAllLayers", make, [0, 1])
    bunch = fetch_ustc_tfc2016(data_home=tmp_path)
    assert bunch.target.tolist() == ["BitTorrent", "FTP", "WorldOfWarcraft", "Cridex", "Tinba"]
    assert [row[0][-1] for row in bunch.data["packet_bytes"]] == [0, 2, 9, 0, 7]
    assert len(bunch.filenames) == 4
    write_heads(folder / "20class" / "SessionAllLayers", make, [0, 19])
    assert fetch_ustc_tfc2016(data_home=tmp_path).target.tolist() == ["BitTorrent", "Zeus"]


def test_idx_files_of_iscx(make, tmp_path, no_network):
    """Six classes plain and six with VPN, told by the folder, or all twelve."""
    folder = tmp_path / "iscx_vpn2016"
    write_heads(folder / "6class" / "NovpnSessionAllLayers", make, [5], part="train")
    write_heads(folder / "6class" / "VpnSessionAllLayers", make, [5], part="train")
    assert fetch_iscx_vpn2016(data_home=tmp_path).target.tolist() == ["Voip", "Vpn_Voip"]
    write_heads(folder / "12class" / "SessionAllLayers", make, [0, 11], part="train")
    assert fetch_iscx_vpn2016(data_home=tmp_path).target.tolist() == ["Chat", "Vpn_Voip"]


def test_damaged_idx_file(make, tmp_path):
    """A file that is shorter than it says is refused by name."""
    path = tmp_path / "labels"
    idx(path, np.arange(10), packed=False)
    assert read_idx(path).tolist() == list(range(10))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="no idx file"):
        read_idx(path)


def test_heads_with_checksums_of_the_user_are_downloaded(make, tmp_path, server):
    """What this package cannot check it downloads only by a checksum that the user has."""
    with pytest.raises(OSError, match=r"no checksum.*3\.PreprocessedResults.*sha256="):
        fetch_ustc_tfc2016(data_home=tmp_path / "home", base_url=server.address)
    assert server.requests == []
    origin, sums = tmp_path / "origin", {}
    for part in ("Benign", "Malware"):
        write_heads(origin / "10class" / part / "SessionAllLayers", make, [3])
    from sktraffic.datasets._ustc import HEADS, ORIGIN

    for name in HEADS:
        server.files[f"/{ORIGIN}{name}"] = (origin / name).read_bytes()
        sums[name] = sha256_of(origin / name)
    settings = {"data_home": tmp_path / "home", "base_url": server.address, "verbose": False}
    bunch = fetch_ustc_tfc2016(**settings, sha256=sums)
    assert bunch.target.tolist() == ["Gmail", "Miuref"]
    assert len(server.requests) == 4
    assert fetch_ustc_tfc2016(**settings).target.tolist() == ["Gmail", "Miuref"]
    assert len(server.requests) == 4
    with pytest.raises(ValueError, match="lacks 10class/Malware"):
        fetch_ustc_tfc2016(data_home=tmp_path / "new", sha256=dict(list(sums.items())[:2]))


def test_heads_of_another_set_are_refused(traffic_data):
    """One set's folder given for the other's is an error, not a wrong data set."""
    with pytest.raises(ValueError, match="which are not of ustc_tfc2016"):
        fetch_ustc_tfc2016(data_home=traffic_data / "iscx_vpn2016")


def test_registration_is_explained(tmp_path, no_network):
    """Where a form stands between user and data, the error says where, what and whereto."""
    for call, what in (
        (lambda: fetch_iscx_vpn2016(data_home=tmp_path), "session heads"),
        (lambda: fetch_iscx_vpn2016(data_home=tmp_path, subset="captures"), "zip files"),
        (lambda: fetch_iscx_vpn2016_flows(data_home=tmp_path, tables="a1"), "ARFF"),
    ):
        with pytest.raises(OSError, match=what) as caught:
            call()
        assert "https://www.unb.ca/cic/datasets/vpn.html" in str(caught.value)
        assert str(tmp_path / "iscx_vpn2016") in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_original_captures(make, tmp_path, zipped, no_network):
    """The user's copy, unpacked or as zip files: services by name, Tor left out, groups."""
    folder = tmp_path / "iscx_vpn2016"
    folder.mkdir()
    packet = make.ethernet(make.ipv4(make.a, make.b, (5000, 443), b"x"))
    files = {
        "vpn_icq_chat1a.pcap": make.pcap([packet]),
        "scpUp3.pcap": make.pcap([packet, packet]),
        "torGoogle.pcap": make.pcap([packet]),
    }
    if zipped:
        with zipfile.ZipFile(folder / "PCAPs-01.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"inner/../{name}", content)
            archive.writestr("readme.txt", "no capture")
    else:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    bunch = fetch_iscx_vpn2016(data_home=tmp_path, subset="captures")
    found = dict(zip(bunch.target, bunch.groups, strict=True))
    assert {label: Path(group).name for label, group in found.items()} == {
        "File": "scpUp3.pcap",
        "Vpn_Chat": "vpn_icq_chat1a.pcap",
    }
    lying = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert lying == sorted([*files, *(["PCAPs-01.zip"] if zipped else [])])


def test_services_by_name():
    """Names of every kind in the set, and one that says nothing."""
    names = {
        "AIMchat1.pcapng": "Chat", "hangout_chat_4b": "Chat", "email2b": "Email",
        "ftps_down_1a": "File", "skype_file8": "File", "sftp_up_2a": "File", "scpDown5": "File",
        "Torrent01": "P2p", "vpn_bittorrent": "P2p", "youtubeHTML5_1": "Streaming",
        "spotify4": "Streaming", "netflix2": "Streaming", "vpn_vimeo_B": "Streaming",
        "facebook_audio1b": "Voip", "hangouts_video1b": "Voip", "voipbuster_4a": "Voip",
        "vpn_skype_files1b": "File", "vpn_email2b": "Email", "vpn_sftp_B": "File",
    }  # fmt: skip
    for name, service in names.items():
        assert service_of(name) == ("Vpn_" if name.startswith("vpn_") else "") + service
    assert service_of("a/torYoutube3.pcap") == "Tor"
    assert service_of("readme") is None


def test_arff_dialects(tmp_path):
    """With and without commas at the ends of lines, quotes, blank lines and unknown values."""
    plain = "@relation x\n@attribute 'a' numeric\n@attribute b numeric\n@attribute c {X,Y}\n@data\n"
    spreadsheet = plain.replace("\n", ",,\n").replace("@relation x,,\n", "@RELATION x,,\n,,\n")
    for number, head in enumerate((plain, spreadsheet.upper().replace("'A'", "'a'"))):
        path = tmp_path / f"{number}.arff"
        path.write_text(head + "1,2.5,X\n-1,?,Y\n")
        table = read_arff(path)
        assert table.iloc[:, 0].tolist() == [1, -1]
        assert table.iloc[0, 1] == 2.5
        assert np.isnan(table.iloc[1, 1])
        assert table.iloc[:, 2].tolist() == ["X", "Y"]
    (tmp_path / "no.arff").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no ARFF file"):
        read_arff(tmp_path / "no.arff")


def test_wrong_parameters(tmp_path):
    """An error says what the values are."""
    for call, text in (
        (lambda: fetch_ustc_tfc2016(data_home=tmp_path, subset="raw"), "'heads' or 'captures'"),
        (lambda: fetch_iscx_vpn2016(data_home=tmp_path, subset="raw"), "'heads' or 'captures'"),
        (lambda: fetch_iscx_vpn2016_flows(data_home=tmp_path, tables="b"), "'cicflow', 'a1'"),
        (lambda: fetch_iscx_vpn2016_flows(data_home=tmp_path, target="app"), "'service' or"),
        (lambda: fetch_iscx_vpn2016_flows(tables="a1", window=20), "15, 30, 60 or 120"),
        (lambda: fetch_iscx_vpn2016_flows(captures=["nosuch"]), "no table of nosuch"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
