"""
What an early decision costs
============================

A router wants the label of a session while the session goes on. How many packets must it wait
for, how long does that take, and which classes pay for haste?
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.inspection import EarlinessCurveDisplay
from sktraffic.metrics import per_class_scores
from sktraffic.model_selection import CaptureKFold
from sktraffic.sessions import first_packets

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
TREES, FOLDS, PACKETS = (10, 2, (2, 20)) if FAST else (100, 4, (1, 2, 3, 5, 8, 12, 20, 50))

# %%
# Sessions of whole captures are held out. The model is trained on sessions cut to the same number
# of packets as those that it must decide on: a forest trained on whole sessions would meet
# durations and counts that it has never seen.

lab = load_lab_sessions()
own = ~np.asarray(lab.background)  # without DNS, NTP and mDNS, which any host has
X, y = lab.data[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
pipe = make_pipeline(
    SessionFeatures(features="extended"),
    SimpleImputer(keep_empty_features=True),
    RandomForestClassifier(TREES, class_weight="balanced", random_state=0, n_jobs=2),
)
cv = CaptureKFold(FOLDS, shuffle=True, random_state=0)

display = EarlinessCurveDisplay.from_estimator(
    pipe, X, y, cv=cv, groups=captures, scoring="f1_macro", packets=PACKETS, name="forest"
)

# %%
# The same in numbers, with the median wait. The first packets of a connection come within a
# fraction of a second; what comes later is worth waiting for only where the curve still rises.

display.curve.round(3)

# %%
# Who pays
# --------
# F1 of each class after a few packets and after twenty, each from a model of its own.

few, many = (2, 20) if FAST else (3, 20)
scores = {}
for n in (few, many):
    called = cross_val_predict(pipe, first_packets(X, n), y, groups=captures, cv=cv)
    scores[n] = per_class_scores(y, called)["f1"]
by_class = pd.DataFrame(scores).sort_values(many)

fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
rows = np.arange(len(by_class))
ax.hlines(rows, by_class[few], by_class[many], color="0.7")
ax.plot(by_class[few], rows, "o", label=f"after {few} packets")
ax.plot(by_class[many], rows, "s", label=f"after {many} packets")
ax.set_yticks(rows, by_class.index)
ax.set(xlabel="F1 on captures not seen", xlim=(0, 1))
ax.legend(loc="upper left")
lost = (by_class[many] - by_class[few]).nlargest(3)
print("lose most by deciding early:", ", ".join(f"{k} ({v:.2f})" for k, v in lost.items()))

# %%
# Next: :ref:`sphx_glr_auto_examples_plot_live_stream.py` decides on sessions while they go on;
# :doc:`/user_guide/evaluation` says what else to ask of a score.

plt.show()
