"""
Bring your own nfstream or Wireshark export
===========================================

You have flows of nfstream, or packet lists exported from Wireshark, and no captures any more. Both
become session tables, with the columns that they can fill.
"""

import lzma
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from nfstream import NFStreamer

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures
from sktraffic.exchange import read_nfstream
from sktraffic.feature_extraction import PacketSequences, SessionStatistics
from sktraffic.wireshark import read_wireshark

work = tempfile.TemporaryDirectory(prefix="sktraffic-example-")
paths, labels = lab_captures()
capture = Path(work.name, "email.pcap")
capture.write_bytes(lzma.open(paths[list(labels).index("email")]).read())

# %%
# nfstream
# --------
# A streamer, the frame of its `to_pandas`, or the file of its `to_csv`. With `splt_analysis`
# nfstream keeps sizes, directions and times of so many first packets; its sizes are of frames.

flows = read_nfstream(NFStreamer(str(capture), splt_analysis=20))
sessions = SessionExtractor().transform(capture)
print(f"{len(flows)} flows of nfstream, {len(sessions)} sessions of ours")
flows[["src_ip", "dst_port", "application", "packet_count", "packet_size"]].head(4)

# %%
# The first packets are what sequence models read. From either table they are the same, but for the
# link layer's header.

ours = PacketSequences(10, fields=("signed_size",)).fit_transform(sessions)
theirs = PacketSequences(10, fields=("signed_size",)).fit_transform(flows)
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
for ax, matrix, name in zip(axes, (ours, theirs), ("capture", "nfstream's flows"), strict=True):
    image = ax.imshow(matrix, aspect="auto", cmap="RdBu", vmin=-1500, vmax=1500)
    ax.set(title=name, xlabel="packet", ylabel="session" if ax is axes[0] else None)
fig.colorbar(image, ax=axes, label="bytes: sent, or received (negative)")

# %%
# Wireshark
# ---------
# File, Export Packet Dissections, As CSV; add the port columns, or nobody can tell connections
# apart. Such a file is written here from the capture, in place of yours.


def packet_list(sessions):
    """Write sessions as the rows that Wireshark shows, a packet each."""
    columns = ["packet_time", "packet_size", "packet_direction", "packet_message"]
    sessions = sessions.sort_values("start")
    begin = (sessions["start"] - sessions["start"].iloc[0]).dt.total_seconds().to_numpy(float)
    rows = []
    for first, session in zip(begin, sessions.itertuples(), strict=True):
        for time, size, way, says in zip(*(getattr(session, c) for c in columns), strict=True):
            ends = [(session.src_ip, session.src_port), (session.dst_ip, session.dst_port)]
            (src, sport), (dst, dport) = ends if way > 0 else ends[::-1]
            protocol, info = says.split(": ", 1)
            rows.append((first + time, src, dst, sport, dport, protocol, size + 14, info))
    names = ["Time", "Source", "Destination", "Source Port", "Destination Port"]
    table = pd.DataFrame(rows, columns=[*names, "Protocol", "Length", "Info"]).sort_values("Time")
    table.insert(0, "No.", np.arange(1, len(table) + 1))
    return table


tcp = sessions[(sessions["protocol"] == 6).to_numpy(bool)]
export = Path(work.name, "packets.csv")
packet_list(tcp).to_csv(export, index=False)
print("\n".join(export.read_text("utf-8").splitlines()[:4]))

# %%
# Messages come from the Info text, and statistics from sizes and times, as from a capture. What
# the export does not say is missing, never 0.

exported = read_wireshark(export)
print(f"{len(exported)} sessions; missing:", ", ".join(exported.columns[exported.isna().all()]))
features = SessionStatistics().set_output(transform="pandas").fit_transform(exported)
features.head(4).round(3)

# %%
# Next: :doc:`/user_guide/exchange` for CICFlowMeter, Zeek, nfdump, DataZoo and tcbench;
# :doc:`/comparison`.

work.cleanup()
plt.show()
