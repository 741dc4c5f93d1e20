"""
A model to give away, with its card
===================================

A model file without its story is of little use to anybody else. Here a model is trained, checked
for shortcuts, scored on captures that it has not seen, and saved with a card that says all of it.
"""

import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.inspection import ShortcutDisplay, shortcut_report
from sktraffic.metrics import bootstrap_interval, per_class_scores
from sktraffic.model_selection import CaptureKFold
from sktraffic.persistence import load, read_provenance, save

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
TREES, FOLDS = (10, 2) if FAST else (60, 3)

# %%
# Train, and score on whole captures held out
# -------------------------------------------

lab = load_lab_sessions()
own = ~np.asarray(lab.background)  # without DNS, NTP and mDNS, which any host has
X, y = lab.data[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
train, test = next(CaptureKFold(4, shuffle=True, random_state=0).split(X, y, captures))
model = make_pipeline(
    SessionFeatures(features="extended"),
    SimpleImputer(keep_empty_features=True),
    RandomForestClassifier(TREES, class_weight="balanced", random_state=0, n_jobs=2),
).fit(X.iloc[train], y[train])

called = model.predict(X.iloc[test])
interval = bootstrap_interval("f1_macro", y[test], called, groups=captures[test], random_state=0)
print(f"macro F1 {interval.estimate:.3f}, between {interval.low:.3f} and {interval.high:.3f}")

# %%
# Who is called right, with intervals for which whole captures are drawn:

scores = per_class_scores(y[test], called, groups=captures[test], random_state=0)
order = scores.sort_values("f1").index
low, high = (scores.loc[order, f"f1_{end}"].to_numpy(float) for end in ("low", "high"))
f1 = scores.loc[order, "f1"].to_numpy(float)
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
ax.barh(order, f1, color="C0", alpha=0.75)
ax.hlines(np.arange(len(order)), low, high, color="0.2", linewidth=1.5)
ax.set(xlabel="F1 on captures not seen, 95 % over captures", xlim=(0, 1))

# %%
# Look for what gives the labels away
# -----------------------------------

report = shortcut_report(
    model, X.iloc[train], y[train], groups=captures[train], cv=FOLDS, random_state=0
)
ShortcutDisplay(report).plot()

# %%
# Save
# ----
# What the provenance knows (data, settings, versions, classes) is on the card anyway. The maker
# adds what only the maker knows; a section that is not told says so.

work = tempfile.TemporaryDirectory(prefix="sktraffic-example-")
path = Path(work.name, "lab.skt")
save(
    model,
    path,
    X=X.iloc[train],
    y=y[train],
    scores={"macro F1, captures held out": interval},
    card={
        "intended_use": "To try the toolkit out. It knows one laboratory, not your network.",
        "limitations": "Six services, plain and through tunnels, made by programs on one machine.",
        "split": "A quarter of the captures, whole, stratified by class.",
        "shortcuts": report,
    },
)
print(read_provenance(path)["card"])

# %%
# Who gets the file can read the card with ``sktraffic inspect lab.skt`` and load the model: nothing
# in the file is run.

again = load(path)
print("the same predictions:", bool((again.predict(X.iloc[test]) == called).all()))
work.cleanup()

# %%
# Next: :doc:`/user_guide/persistence`; :ref:`sphx_glr_auto_examples_plot_honest_evaluation.py`.

plt.show()
