"""
A live stream
=============

Decide on sessions while they go on. The source is a network interface (``"eth0"``: Linux, with the
right to capture), or a capture that another program is still writing; here a thread writes one.
"""

import lzma
import os
import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from sktraffic.datasets import lab_captures
from sktraffic.pipeline import CaptureClassifier

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
paths, labels = lab_captures()
n = 25 if FAST else 60
clf = CaptureClassifier().fit(paths[1:n], labels[1:n])

# %%
# A capture that grows: the first bundled one, which the model has not seen, piece by piece.

content = lzma.open(paths[0]).read()
growing = Path(tempfile.mkdtemp(prefix="sktraffic-example-")) / "growing.pcap"
growing.write_bytes(content[:24])  # the file's header


def write():
    """Append the rest in pieces that end anywhere, as a capturing program's buffers do."""
    with growing.open("ab", buffering=0) as file:
        for start in range(24, len(content), 65536):
            file.write(content[start : start + 65536])
            time.sleep(0.02)


begin = time.monotonic()
writer = threading.Thread(target=write)
writer.start()

# %%
# A decision after 20 packets of a session, or at its end; the stream ends after a silence, which is
# for this example only. A session is a named tuple: who, label, probability, whether it is over.

decided = []
with clf.predict_stream(growing, max_packets=20, stop_after=3.0) as stream:
    for session in stream:
        decided.append((time.monotonic() - begin, session))
writer.join()
growing.unlink()
growing.parent.rmdir()

table = pd.DataFrame([session for _, session in decided])
table.insert(0, "heard", [moment for moment, _ in decided])
print(f"{len(table)} sessions, {(~table['closed']).sum()} of them decided while they went on")
print(f"The capture is {labels[0]}.")

# %%
# The surest decisions:

names = ["heard", "src_ip", "dst_port", "label", "probability", "uncertainty", "closed"]
table.nlargest(8, "probability")[names].round(3)

# %%
# Decisions as they came. Those of sessions that go on come first; the rest when the stream ends.

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for k, (label, rows) in enumerate(table.groupby("label")):
    ax.scatter(rows["heard"], rows["probability"].astype(float), color=f"C{k}", s=28, label=label)
ax.set(xlabel="seconds since the first byte was written", ylabel="probability", ylim=(0, 1))
ax.legend(ncols=2, title="called")

# %%
# Next: :doc:`/user_guide/live` for interfaces, timeouts, bounds on memory and lost packets.

plt.show()
