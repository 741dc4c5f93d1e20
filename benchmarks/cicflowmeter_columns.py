"""CICFlowMeter's columns beside those of the `cicflowmeter` package, session by session.

The tool is a program of its own (``pip install cicflowmeter "scapy==2.5.0"``, in an environment of
its own; later releases of scapy make it write nothing). Sessions are joined by ends, ports,
protocol, second of their start and packets; a column is equal where both numbers agree to six
digits.

    python benchmarks/cicflowmeter_columns.py CAPTURES... --tool PATH/cicflowmeter [--limit 60]
"""

import argparse
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.capture import CaptureWarning, SessionExtractor, capture_paths
from sktraffic.feature_extraction import SessionStatistics
from sktraffic.packets import read_packets

LENGTHS = "the tool counts frames with their link layer as captured, not payload"
SPREAD = "the tool divides by N, not N - 1"
ONE = "the tool gives 0 for a single interval"
HEADER = "the tool counts the IP header of TCP packets, not the TCP header"
ACTIVITY = "the tool's silences are 5 ms, measured from the epoch, not 5 s"
SUBFLOW = "the tool repeats the totals"
BULK = "the tool ends a bulk after 1 ms, not 1 s"
# the tool's name -> ours, and why they differ
COLUMNS = {
    "flow_duration": ("Flow Duration", ""),
    "tot_fwd_pkts": ("Total Fwd Packet", ""),
    "tot_bwd_pkts": ("Total Bwd packets", ""),
    "totlen_fwd_pkts": ("Total Length of Fwd Packet", LENGTHS),
    "totlen_bwd_pkts": ("Total Length of Bwd Packet", LENGTHS),
    "fwd_pkt_len_max": ("Fwd Packet Length Max", LENGTHS),
    "fwd_pkt_len_min": ("Fwd Packet Length Min", LENGTHS),
    "fwd_pkt_len_mean": ("Fwd Packet Length Mean", LENGTHS),
    "fwd_pkt_len_std": ("Fwd Packet Length Std", f"{LENGTHS}; {SPREAD}"),
    "bwd_pkt_len_max": ("Bwd Packet Length Max", LENGTHS),
    "bwd_pkt_len_min": ("Bwd Packet Length Min", LENGTHS),
    "bwd_pkt_len_mean": ("Bwd Packet Length Mean", LENGTHS),
    "bwd_pkt_len_std": ("Bwd Packet Length Std", f"{LENGTHS}; {SPREAD}"),
    "flow_byts_s": ("Flow Bytes/s", LENGTHS),
    "flow_pkts_s": ("Flow Packets/s", ""),
    "fwd_pkts_s": ("Fwd Packets/s", ""),
    "bwd_pkts_s": ("Bwd Packets/s", ""),
    "flow_iat_mean": ("Flow IAT Mean", ONE),
    "flow_iat_std": ("Flow IAT Std", SPREAD),
    "flow_iat_max": ("Flow IAT Max", ONE),
    "flow_iat_min": ("Flow IAT Min", ONE),
    "fwd_iat_tot": ("Fwd IAT Total", ONE),
    "fwd_iat_mean": ("Fwd IAT Mean", ONE),
    "fwd_iat_std": ("Fwd IAT Std", SPREAD),
    "fwd_iat_max": ("Fwd IAT Max", ONE),
    "fwd_iat_min": ("Fwd IAT Min", ONE),
    "bwd_iat_tot": ("Bwd IAT Total", ONE),
    "bwd_iat_mean": ("Bwd IAT Mean", ONE),
    "bwd_iat_std": ("Bwd IAT Std", SPREAD),
    "bwd_iat_max": ("Bwd IAT Max", ONE),
    "bwd_iat_min": ("Bwd IAT Min", ONE),
    "fwd_psh_flags": ("Fwd PSH Flags", ""),
    "bwd_psh_flags": ("Bwd PSH Flags", ""),
    "fwd_urg_flags": ("Fwd URG Flags", ""),
    "bwd_urg_flags": ("Bwd URG Flags", ""),
    "fwd_header_len": ("Fwd Header Length", HEADER),
    "bwd_header_len": ("Bwd Header Length", HEADER),
    "pkt_len_min": ("Packet Length Min", LENGTHS),
    "pkt_len_max": ("Packet Length Max", LENGTHS),
    "pkt_len_mean": ("Packet Length Mean", LENGTHS),
    "pkt_len_std": ("Packet Length Std", f"{LENGTHS}; {SPREAD}"),
    "pkt_len_var": ("Packet Length Variance", f"{LENGTHS}; {SPREAD}"),
    "fin_flag_cnt": ("FIN Flag Count", ""),
    "syn_flag_cnt": ("SYN Flag Count", ""),
    "rst_flag_cnt": ("RST Flag Count", ""),
    "psh_flag_cnt": ("PSH Flag Count", ""),
    "ack_flag_cnt": ("ACK Flag Count", ""),
    "urg_flag_cnt": ("URG Flag Count", ""),
    "cwr_flag_count": ("CWR Flag Count", "the tool repeats Fwd URG Flags"),
    "ece_flag_cnt": ("ECE Flag Count", ""),
    "down_up_ratio": ("Down/Up Ratio", ""),
    "pkt_size_avg": ("Average Packet Size", LENGTHS),
    "fwd_seg_size_avg": ("Fwd Segment Size Avg", LENGTHS),
    "bwd_seg_size_avg": ("Bwd Segment Size Avg", LENGTHS),
    "fwd_byts_b_avg": ("Fwd Bytes/Bulk Avg", BULK),
    "fwd_pkts_b_avg": ("Fwd Packet/Bulk Avg", BULK),
    "fwd_blk_rate_avg": ("Fwd Bulk Rate Avg", BULK),
    "bwd_byts_b_avg": ("Bwd Bytes/Bulk Avg", BULK),
    "bwd_pkts_b_avg": ("Bwd Packet/Bulk Avg", BULK),
    "bwd_blk_rate_avg": ("Bwd Bulk Rate Avg", BULK),
    "subflow_fwd_pkts": ("Subflow Fwd Packets", SUBFLOW),
    "subflow_fwd_byts": ("Subflow Fwd Bytes", SUBFLOW),
    "subflow_bwd_pkts": ("Subflow Bwd Packets", SUBFLOW),
    "subflow_bwd_byts": ("Subflow Bwd Bytes", SUBFLOW),
    "init_fwd_win_byts": ("FWD Init Win Bytes", ""),
    "init_bwd_win_byts": ("Bwd Init Win Bytes", "the tool keeps the last window, not the first"),
    "fwd_act_data_pkts": ("Fwd Act Data Pkts", "the tool counts link-layer padding as payload"),
    "fwd_seg_size_min": ("Fwd Seg Size Min", HEADER),
    "active_mean": ("Active Mean", ACTIVITY),
    "active_std": ("Active Std", ACTIVITY),
    "active_max": ("Active Max", ACTIVITY),
    "active_min": ("Active Min", ACTIVITY),
    "idle_mean": ("Idle Mean", ACTIVITY),
    "idle_std": ("Idle Std", ACTIVITY),
    "idle_max": ("Idle Max", ACTIVITY),
    "idle_min": ("Idle Min", ACTIVITY),
}
KEY = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "second", "fwd", "bwd"]
ETHERNET = 1


def main():
    """Run both on the captures, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--tool", default="cicflowmeter")
    parser.add_argument("--limit", type=int, default=60, help="captures read, at most")
    args = parser.parse_args()
    pairs, alone = [], [0, 0]
    chosen = [path for path in capture_paths(args.captures) if _readable(path)]
    for path in chosen[: args.limit]:
        theirs, ours = _theirs(path, args.tool), _ours(path)
        both = theirs.merge(ours, on=KEY, suffixes=("", " ours"))
        both = both.drop_duplicates(KEY, keep=False)
        alone[0] += len(theirs) - len(both)
        alone[1] += len(ours) - len(both)
        pairs.append(both)
    both = pd.concat(pairs)
    print(
        f"{len(pairs)} captures, {len(both)} sessions in both, {alone[0]} only of the tool, "
        f"{alone[1]} only of sktraffic (its flows end at other moments: it has no active timeout "
        "and collects flows every 1,000 packets).\n"
    )
    print("| column | equal | why not |\n|---|---|---|")
    for name, (own, why) in COLUMNS.items():
        print(f"| {own} | {_equal(both[name], both[own]):.3f} | {why} |")


def _readable(path):
    """Say whether the tool reads it: Ethernet of pcap and pcapng files that are not compressed."""
    if Path(path).suffix not in (".pcap", ".cap", ".pcapng") or Path(path).stat().st_size > 2e6:
        return False
    packets = read_packets(path)
    try:
        for _ in packets:
            pass
    except ValueError:
        return False
    return packets.facts.link_types == {ETHERNET} and packets.facts.packets > 1


def _theirs(path, tool):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "flows.csv")
        subprocess.run([tool, "-f", path, "-c", str(out)], capture_output=True, check=False)
        if not out.exists() or not out.stat().st_size:
            return pd.DataFrame(columns=[*KEY, *COLUMNS])
        table = pd.read_csv(out)
    # it writes local time; a benchmark's machine runs in UTC
    table["second"] = pd.to_datetime(table["timestamp"]).astype("datetime64[s]").astype(np.int64)
    table["fwd"], table["bwd"] = table["tot_fwd_pkts"], table["tot_bwd_pkts"]
    return table[[*KEY, *COLUMNS]]


def _ours(path):
    extractor = SessionExtractor(
        idle_timeout=240, active_timeout=86_400, headers=True, messages=False, n_bytes=0,
        n_dissections=0, join_fragments=False, decode_tunnels=False, on_error="skip",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)
        sessions = extractor.transform(path)
    if not len(sessions):
        return pd.DataFrame(columns=[*KEY, *(own for own, _ in COLUMNS.values())])
    features = SessionStatistics("cicflowmeter").set_output(transform="pandas")
    table = features.fit_transform(sessions)
    for name in KEY[:5]:
        values = sessions[name].astype(object)
        table[name] = values if name.endswith("ip") else values.fillna(-1).astype(np.int64)
    start = sessions["start"].astype("datetime64[ns, UTC]").dt.tz_localize(None)
    table["second"] = start.to_numpy("datetime64[s]").astype(np.int64)
    table["fwd"] = table["Total Fwd Packet"].astype(np.int64)
    table["bwd"] = table["Total Bwd packets"].astype(np.int64)
    return table


def _equal(theirs, ours):
    return np.isclose(theirs.astype(float), ours.astype(float), rtol=1e-6, atol=1e-6).mean()


if __name__ == "__main__":
    main()
