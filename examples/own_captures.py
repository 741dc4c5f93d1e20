"""
Captures of your own
====================

A folder a class, captures in it. Here such a folder is filled with bundled captures; put the
path of yours in its place: ``python own_captures.py captures/``.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

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
print(found.data[["capture", "application", "packet_count", "duration"]].head(3).to_string())
print(found.report[["records", "not_ip", "damage"]].describe(include="all").to_string())

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
print(again.predict_sessions(unseen[0])[["src_ip", "dst_port", "label", "probability"]].to_string())
shutil.rmtree(work)
