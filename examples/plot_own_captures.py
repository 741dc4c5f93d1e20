"""
Captures of your own
====================

A folder a class, captures in it. Here such a folder is filled with bundled captures; put the
path of yours in its place: ``python plot_own_captures.py captures/``.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import find_captures, lab_captures, load_captures, split_captures
from sktraffic.persistence import load, read_provenance, save
from sktraffic.pipeline import CaptureClassifier

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
work = Path(tempfile.mkdtemp(prefix="sktraffic-example-"))
folder = Path(sys.argv[1]) if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else None
if folder is None:
    folder = work / "captures"
    for path, label in list(zip(*lab_captures(), strict=True))[: 24 if FAST else 72]:
        (folder / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / label)

# %%
# What is there: names and labels, nothing is read yet.

paths, labels = find_captures(folder, label="folder")
print(f"{len(paths)} captures of {len(set(labels))} classes")

# %%
# Sessions, for pipelines of your own. The cache keeps them: the next time only captures that have
# changed are read. `report` says what was read of each file, and what was not.

found = load_captures(folder, cache=work / "cache")
account = found.report[["records", "session_packets", "not_ip", "filtered"]].sum()
print(account.to_string())

# %%
# How many sessions and packets a capture of each class has. A session of a tunnel is a whole run;
# the other classes have a session for each connection.

shape = found.data.assign(label=found.target).groupby(["label", "capture"])["packet_count"]
each = shape.agg(sessions="count", packets="sum").astype(float)
classes = sorted(set(labels))
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
for ax, name in zip(axes, each, strict=True):
    for k, label in enumerate(classes):
        ax.plot(
            each.loc[label, name], [k] * len(each.loc[label]), "o", color=f"C{k % 10}", alpha=0.5
        )
    ax.set_yticks(range(len(classes)), classes)
    decades = np.log10([each[name].min(), each[name].max()])
    ends = 10 ** np.array([np.floor(decades[0]) - 0.1, np.ceil(decades[1])])
    ax.set(xscale="log", xlabel=f"{name} a capture", xlim=ends)
    ax.xaxis.set_minor_formatter("")

# %%
# Or captures as samples: train, save, load elsewhere, classify.

train, test = split_captures(labels)
clf = CaptureClassifier(extractor=SessionExtractor(), cache=work / "cache")
clf.fit([paths[i] for i in train], labels[train])
unseen = [paths[i] for i in test]
score = clf.score(unseen, labels[test])
save(clf, work / "model.skt", scores={f"accuracy, {len(test)} captures held out": score})
print(read_provenance(work / "model.skt")["scores"])

again = load(work / "model.skt")
verdict = again.predict_sessions(unseen[0])
shutil.rmtree(work)
verdict[["src_ip", "dst_port", "label", "probability", "second", "uncertainty"]].head(8)

# %%
# Next: the same from a terminal, :doc:`/user_guide/command_line`; what is in a model file,
# :doc:`/user_guide/persistence`.

plt.show()
