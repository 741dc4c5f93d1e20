"""Features of what headers say, and CICFlowMeter's columns: by hand, and from captures."""

import numpy as np
import pandas as pd
import pytest

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures, load_lab_sessions
from sktraffic.feature_extraction import SessionStatistics
from sktraffic.packets import PacketTable, SessionTracker, read_packets
from sktraffic.ragged import list_column, ragged
from sktraffic.sessions import HEADERS, first_packets, read_sessions, session_schema, to_arrow

SYN, ACK, PSH, FIN = 2, 16, 8, 1
ROWS = ("time", "direction", "payload_size", "flags", "header_size", "window", "ttl", "seq")


def table(*sessions, size=100):
    """Session table of packets given as (time, direction, payload, flags, header, window, seq)."""
    flat = [packet for session in sessions for packet in session]
    offsets = np.cumsum([0, *(len(session) for session in sessions)])
    time, direction, payload, flags, header, window, seq = zip(*flat, strict=True)
    values = dict(
        zip(ROWS, (time, direction, payload, flags, header, window, [64] * len(flat), seq),
            strict=True)
    )  # fmt: skip
    columns = {f"packet_{name}": list_column(list(column), offsets)
               for name, column in values.items()}  # fmt: skip
    columns["packet_size"] = list_column([size] * len(flat), offsets)
    columns["packet_bytes"] = list_column([b""] * len(flat), offsets)
    frame = pd.DataFrame(columns)
    return frame.astype(
        {f.name: pd.ArrowDtype(f.type) for f in session_schema(True) if f.name in frame}
    )


def features(X, which):
    """One row a session, by name."""
    return SessionStatistics(which).set_output(transform="pandas").fit_transform(X)


TCP = [
    # a handshake, a request, six packets back of which one comes again, an end after a silence
    (0.0, 1, 0, SYN, 40, 64_000, 1_000),
    (0.1, -1, 0, SYN | ACK, 40, 32_000, 2**32 - 1),
    (0.2, 1, 500, PSH | ACK, 32, 500, 1_001),
    (0.3, -1, 1_000, ACK, 32, 600, 0),
    (0.4, -1, 1_000, ACK, 32, 600, 1_000),
    (0.5, -1, 1_000, ACK, 32, 600, 0),
    (0.6, -1, 1_000, PSH | ACK, 32, 600, 2_000),
    (8.6, 1, 0, FIN | ACK, 32, 700, 1_501),
]
UDP = [(0.0, 1, 30, 0, 8, None, None), (0.5, -1, 90, 0, 8, None, None)]


def test_what_headers_say_by_hand():
    """Both directions, a packet sent again, a silence, a bulk; UDP has no windows."""
    tcp, udp = features(table(TCP, UDP), "all").to_dict("records")
    wanted = {
        "forward_header_bytes": 104, "backward_header_bytes": 40 + 4 * 32,
        "forward_retransmission_count": 0, "backward_retransmission_count": 1,
        "forward_tcp_psh_count": 1, "backward_tcp_psh_count": 1, "backward_tcp_syn_count": 1,
        "forward_window_first": 64_000, "forward_window_min": 500,
        "forward_window_mean": (64_000 + 500 + 700) / 3, "backward_window_first": 32_000,
        "forward_ttl_first": 64, "direction_change_count": 4,
        "active_count": 2, "active_max": 0.6, "idle_count": 1, "idle_mean": 8.0,
        "forward_bulk_count": 0, "backward_bulk_count": 1, "backward_bulk_bytes_mean": 4_000,
    }  # fmt: skip
    assert {name: tcp[name] for name in wanted} == pytest.approx(wanted)
    assert np.isnan([udp["forward_window_first"], udp["backward_window_mean"]]).all()
    assert (udp["forward_retransmission_count"], udp["active_count"]) == (0, 1)


@pytest.mark.parametrize(
    ("packets", "again"),
    [
        ([(100, 10), (110, 10), (100, 10)], [0, 0, 1]),  # the first once more
        ([(100, 10), (120, 10), (110, 10)], [0, 0, 1]),  # a gap that is filled counts too
        ([(100, 10), (105, 10)], [0, 0]),  # overlap with new bytes
        ([(100, 0), (100, 10)], [0, 0]),  # an ACK carries nothing
        ([(2**32 - 5, 10), (5, 10), (2**32 - 5, 10)], [0, 0, 1]),  # numbers start over
        ([(100, 10), (99, 1)], [0, 1]),  # a keep-alive
    ],
)
def test_retransmissions_by_hand(packets, again):
    """A packet whose bytes all lie before the farthest byte so far, wrapping included."""
    X = table([(0.1 * i, 1, size, ACK, 20, 9, seq) for i, (seq, size) in enumerate(packets)])
    assert features(X, "all")["forward_retransmission_count"].tolist() == [sum(again)]


def test_sessions_do_not_touch_each_other():
    """A table of two sessions gives the rows of two tables of one."""
    for which in ("all", "cicflowmeter"):
        both = features(table(TCP, UDP), which)
        apart = pd.concat([features(table(TCP), which), features(table(UDP), which)])
        pd.testing.assert_frame_equal(both, apart.reset_index(drop=True))


def test_cicflowmeter_columns_by_hand():
    """Microseconds, payload bytes, N - 1, subflows and bulks as the tool counts them."""
    row, udp = features(table(TCP, UDP), "cicflowmeter").to_dict("records")
    backward = [0, 1_000, 1_000, 1_000, 1_000]
    wanted = {
        "Flow Duration": 8.6e6, "Total Fwd Packet": 3, "Total Bwd packets": 5,
        "Total Length of Fwd Packet": 500, "Total Length of Bwd Packet": 4_000,
        "Bwd Packet Length Mean": 800, "Bwd Packet Length Std": np.std(backward, ddof=1),
        "Flow Bytes/s": 4_500 / 8.6, "Flow Packets/s": 8 / 8.6,
        "Flow IAT Max": 8e6, "Fwd IAT Total": 8.6e6, "Fwd IAT Max": 8.4e6, "Bwd IAT Mean": 125_000,
        "Fwd PSH Flags": 1, "Bwd PSH Flags": 1, "FIN Flag Count": 1, "ACK Flag Count": 7,
        "Fwd Header Length": 104, "Down/Up Ratio": 5 / 3, "Average Packet Size": 4_500 / 8,
        "Bwd Bytes/Bulk Avg": 4_000, "Bwd Packet/Bulk Avg": 4, "Bwd Bulk Rate Avg": 4_000 / 0.3,
        "Subflow Fwd Packets": 3, "Subflow Bwd Bytes": 4_000, "FWD Init Win Bytes": 64_000,
        "Bwd Init Win Bytes": 32_000, "Fwd Act Data Pkts": 1, "Fwd Seg Size Min": 32,
        "Active Mean": 600_000, "Active Max": 600_000, "Idle Mean": 8e6, "Idle Std": 0,
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == pytest.approx(wanted)
    assert (udp["FWD Init Win Bytes"], udp["Fwd Header Length"]) == (0, 8)
    assert udp["Subflow Fwd Packets"] == 0


@pytest.fixture(scope="module")
def captured():
    """Sessions of three bundled captures, with their headers."""
    paths = lab_captures()[0][:3]
    return paths, SessionExtractor(headers=True, n_dissections=0).transform(paths)


def test_headers_are_those_of_the_packets(captured):
    """Every packet's values stand in its session, in order; nothing else of the table changes."""
    paths, X = captured
    plain = SessionExtractor(n_dissections=0).transform(paths)
    pd.testing.assert_frame_equal(X[plain.columns.tolist()], plain)
    packets = PacketTable.concatenate(read_packets(paths[0]))
    session = SessionTracker().add(packets).session
    order = np.argsort(session, kind="stable")
    own = X[X["capture"] == str(paths[0])]
    for column, field in (("window", "window"), ("ttl", "ttl"), ("seq", "seq"),
                          ("header_size", "transport_header_size")):  # fmt: skip
        values, offsets = ragged(own[f"packet_{column}"])
        assert np.diff(offsets).tolist() == own["packet_count"].tolist()
        wanted = getattr(packets, field)[order].astype(float)
        wanted[wanted < 0] = np.nan
        np.testing.assert_array_equal(values.astype(float), wanted)


def test_parts_keep_headers_and_cuts_cut_them(captured, tmp_path):
    """Parquet gives back what was read; first_packets cuts header columns as the others."""
    paths, X = captured
    extractor = SessionExtractor(headers=True, n_dissections=0)
    extractor.to_parquet(paths, tmp_path)
    again = read_sessions(tmp_path).sort_values(["capture", "session"], ignore_index=True)
    assert to_arrow(again).equals(
        to_arrow(X.sort_values(["capture", "session"], ignore_index=True))
    )
    cut = first_packets(X, 2)
    for name in HEADERS.names:
        assert np.diff(ragged(cut[name])[1]).max() == 2
    assert features(cut, "cicflowmeter").shape == (len(X), 78)


def test_icmp_type_and_code():
    """Echo requests are type 8 code 0; other sessions have neither."""
    packet = bytes.fromhex("45000054000040004001000001020304050607080800f7ff00010001")
    X = table(UDP, UDP)
    X["packet_bytes"] = list_column([packet], [0, 1, 1]).astype(X["packet_bytes"].dtype)
    found = features(X, "all")[["icmp_type", "icmp_code"]].to_numpy()
    np.testing.assert_array_equal(found, [[8, 0], [np.nan, np.nan]])


def test_what_is_missing_is_named():
    """A table without headers is told how to get them."""
    X = load_lab_sessions().data.iloc[:3]
    with pytest.raises(ValueError, match=r"packet_header_size.*SessionExtractor\(headers=True\)"):
        SessionStatistics("cicflowmeter").fit(X)
