"""Names of CICFlowMeter's columns, in the spellings of all its generations."""

from sktraffic.exchange._frame import plain_name

__all__ = ["FEATURES", "IDENTITY", "canonical_names"]

# the corrected tool's name -> ours
IDENTITY = {
    "Src IP": "src_ip",
    "Src Port": "src_port",
    "Dst IP": "dst_ip",
    "Dst Port": "dst_port",
    "Protocol": "protocol",
}
OTHERS = (*IDENTITY, "Flow ID", "Timestamp", "Label")
# the names of the corrected tool (Engelen et al. 2021) and of the present CICFlowMeter
FEATURES = (
    "Flow Duration",
    "Total Fwd Packet", "Total Bwd packets",
    "Total Length of Fwd Packet", "Total Length of Bwd Packet",
    "Fwd Packet Length Max", "Fwd Packet Length Min", "Fwd Packet Length Mean",
    "Fwd Packet Length Std",
    "Bwd Packet Length Max", "Bwd Packet Length Min", "Bwd Packet Length Mean",
    "Bwd Packet Length Std",
    "Flow Bytes/s", "Flow Packets/s",
    "Flow IAT Mean", "Flow IAT Std", "Flow IAT Max", "Flow IAT Min",
    "Fwd IAT Total", "Fwd IAT Mean", "Fwd IAT Std", "Fwd IAT Max", "Fwd IAT Min",
    "Bwd IAT Total", "Bwd IAT Mean", "Bwd IAT Std", "Bwd IAT Max", "Bwd IAT Min",
    "Fwd PSH Flags", "Bwd PSH Flags", "Fwd URG Flags", "Bwd URG Flags",
    "Fwd RST Flags", "Bwd RST Flags",
    "Fwd Header Length", "Bwd Header Length",
    "Fwd Packets/s", "Bwd Packets/s",
    "Packet Length Min", "Packet Length Max", "Packet Length Mean", "Packet Length Std",
    "Packet Length Variance",
    "FIN Flag Count", "SYN Flag Count", "RST Flag Count", "PSH Flag Count", "ACK Flag Count",
    "URG Flag Count", "CWR Flag Count", "ECE Flag Count",
    "Down/Up Ratio", "Average Packet Size", "Fwd Segment Size Avg", "Bwd Segment Size Avg",
    "Fwd Bytes/Bulk Avg", "Fwd Packet/Bulk Avg", "Fwd Bulk Rate Avg",
    "Bwd Bytes/Bulk Avg", "Bwd Packet/Bulk Avg", "Bwd Bulk Rate Avg",
    "Subflow Fwd Packets", "Subflow Fwd Bytes", "Subflow Bwd Packets", "Subflow Bwd Bytes",
    "FWD Init Win Bytes", "Bwd Init Win Bytes", "Fwd Act Data Pkts", "Fwd Seg Size Min",
    "Active Mean", "Active Std", "Active Max", "Active Min",
    "Idle Mean", "Idle Std", "Idle Max", "Idle Min",
    "ICMP Code", "ICMP Type", "Total TCP Flow Time",
)  # fmt: skip
# plain spellings of other generations -> plain spelling above
OLDER = {
    "sourceip": "srcip", "sourceport": "srcport", "destinationip": "dstip",
    "destinationport": "dstport",
    "totalfwdpackets": "totalfwdpacket", "totfwdpkts": "totalfwdpacket",
    "totalbackwardpackets": "totalbwdpackets", "totbwdpkts": "totalbwdpackets",
    "totallengthoffwdpackets": "totallengthoffwdpacket", "totlenfwdpkts": "totallengthoffwdpacket",
    "totallengthofbwdpackets": "totallengthofbwdpacket", "totlenbwdpkts": "totallengthofbwdpacket",
    "flowbytss": "flowbytess", "flowpktss": "flowpacketss",
    "fwdiattot": "fwdiattotal", "bwdiattot": "bwdiattotal",
    "fwdheaderlen": "fwdheaderlength", "bwdheaderlen": "bwdheaderlength",
    "fwdheaderlength1": "fwdheaderlength",
    "fwdpktss": "fwdpacketss", "bwdpktss": "bwdpacketss",
    "minpacketlength": "packetlengthmin", "maxpacketlength": "packetlengthmax",
    "pktlenvar": "packetlengthvariance",
    "cweflagcount": "cwrflagcount", "cwrflagcnt": "cwrflagcount",
    "averagepktsize": "averagepacketsize", "pktsizeavg": "averagepacketsize",
    "avgfwdsegmentsize": "fwdsegmentsizeavg", "avgbwdsegmentsize": "bwdsegmentsizeavg",
    "fwdsegsizeavg": "fwdsegmentsizeavg", "bwdsegsizeavg": "bwdsegmentsizeavg",
    "fwdavgbytesbulk": "fwdbytesbulkavg", "fwdbytsbavg": "fwdbytesbulkavg",
    "fwdavgpacketsbulk": "fwdpacketbulkavg", "fwdpktsbavg": "fwdpacketbulkavg",
    "fwdavgbulkrate": "fwdbulkrateavg", "fwdblkrateavg": "fwdbulkrateavg",
    "bwdavgbytesbulk": "bwdbytesbulkavg", "bwdbytsbavg": "bwdbytesbulkavg",
    "bwdavgpacketsbulk": "bwdpacketbulkavg", "bwdpktsbavg": "bwdpacketbulkavg",
    "bwdavgbulkrate": "bwdbulkrateavg", "bwdblkrateavg": "bwdbulkrateavg",
    "subflowfwdpkts": "subflowfwdpackets", "subflowfwdbyts": "subflowfwdbytes",
    "subflowbwdpkts": "subflowbwdpackets", "subflowbwdbyts": "subflowbwdbytes",
    "initwinbytesforward": "fwdinitwinbytes", "initfwdwinbyts": "fwdinitwinbytes",
    "initwinbytesbackward": "bwdinitwinbytes", "initbwdwinbyts": "bwdinitwinbytes",
    "actdatapktfwd": "fwdactdatapkts", "fwdactdatapkts": "fwdactdatapkts",
    "minsegsizeforward": "fwdsegsizemin",
}  # fmt: skip
for _way in ("fwd", "bwd"):
    for _what in ("max", "min", "mean", "std"):
        OLDER[f"{_way}pktlen{_what}"] = f"{_way}packetlength{_what}"
for _what in ("max", "min", "mean", "std"):
    OLDER[f"pktlen{_what}"] = f"packetlength{_what}"
for _flag in ("fin", "syn", "rst", "psh", "ack", "urg", "cwe", "ece"):
    OLDER[f"{_flag}flagcnt"] = f"{'cwr' if _flag == 'cwe' else _flag}flagcount"
PLAIN = {plain_name(name): name for name in (*OTHERS, *FEATURES)}


def canonical_names(columns):
    """Return the corrected tool's name of each column; one that is not known keeps its own.

    Parameters
    ----------
    columns : iterable of str

    Returns
    -------
    list of str

    Examples
    --------
    >>> from sktraffic.exchange._cic_names import canonical_names
    >>> canonical_names([" Total Fwd Packets", "tot_fwd_pkts", "Init_Win_bytes_forward", "mood"])
    ['Total Fwd Packet', 'Total Fwd Packet', 'FWD Init Win Bytes', 'mood']
    """
    plain = [plain_name(column) for column in columns]
    known = [PLAIN.get(OLDER.get(name, name)) for name in plain]
    return [new or str(old).strip() for new, old in zip(known, columns, strict=True)]
