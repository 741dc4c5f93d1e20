"""
A first look at a capture
=========================

Somebody hands you a capture. What is in it, how much of it could be read, which hosts talk, and
what does one of the conversations look like?
"""

# %%
# Read it
# -------
# A row of the table is a session: one bidirectional flow. Any pcap or pcapng file will do in the
# place of this bundled one, compressed or not.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures

paths, labels = lab_captures()
path = paths[list(labels).index("p2p")]

extractor = SessionExtractor()
sessions, reports = extractor.extract(path)
print(f"{len(sessions)} sessions, {sessions['packet_count'].sum()} packets")

# %%
# Was everything read?
# --------------------
# The report accounts for every record of the file: packets in sessions, packets that are not IP
# (ARP, say), packets that were left out for another cause, bytes that nothing could be read from.

report = reports.loc[0].drop("capture")
report[[value is not None and value != 0 for value in report]].to_frame("this capture")

# %%
# Who talks
# ---------
# Addresses and ports are there to look at; no estimator reads them unless it is asked to.

names = ["src_ip", "dst_ip", "dst_port", "application", "duration", "packet_count", "total_bytes"]
sessions.nlargest(8, "total_bytes")[names]

# %%
# By application, as nDPI names them:

fields = sessions.groupby("application")[["packet_count", "total_bytes"]].sum()
fields.insert(0, "sessions", sessions["application"].value_counts())
fields.sort_values("total_bytes", ascending=False)

# %%
# When
# ----
# A bar a session, from its first packet to its last; the colour is the application.

begin = (sessions["start"] - sessions["start"].min()).dt.total_seconds().to_numpy(float)
length = sessions["duration"].to_numpy(float)
common = list(fields["sessions"].nlargest(5).index)
shown = sessions["application"].where(sessions["application"].isin(common), "others")
fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for k, name in enumerate([*common, "others"]):
    rows = np.flatnonzero(shown == name)
    ax.barh(rows, np.maximum(length[rows], 0.15), left=begin[rows], color=f"C{k}", label=name)
ax.invert_yaxis()
ax.set(xlabel="seconds since the first packet", ylabel="session")
fig.legend(loc="outside right upper")

# %%
# One conversation
# ----------------
# The columns that hold a list a session tell of every packet: its time, its size, its direction,
# and the message that it carries.

largest = sessions.loc[sessions["total_bytes"].idxmax()]
size = np.array(largest["packet_size"]) * np.array(largest["packet_direction"])
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.vlines(largest["packet_time"], 0, size, color=np.where(size > 0, "C0", "C1"), linewidth=0.8)
ax.axhline(0, color="grey", linewidth=0.8)
ax.set(
    xlabel="seconds since the session's first packet",
    ylabel="IP bytes: sent up, received down",
    title=f"{largest['application']}, port {largest['dst_port']}",
)

# %%
# What its packets say, counted:

pd.Series(largest["packet_message"]).value_counts().rename("packets").to_frame()

# %%
# Next: :ref:`sphx_glr_auto_examples_plot_quick_start.py` learns from captures with labels;
# :doc:`/user_guide/captures` has all settings of the reader.

plt.show()
