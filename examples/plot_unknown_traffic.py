"""
Traffic that was never learnt
=============================

A classifier calls everything by one of the names that it knows. Here two services are kept from
it altogether, and it may answer "unknown". How much of the strange traffic does it decline, and how
much of the familiar traffic does that cost?
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.inspection import reliability_display
from sktraffic.metrics import selective_scores
from sktraffic.model_selection import CaptureKFold, RejectingClassifier

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
TREES, COVERAGES = (20, (0.8, 0.95)) if FAST else (200, (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99))
STRANGE = ["p2p", "vpn_streaming"]

# %%
# The services that are known are split by capture: to learn from, to find the threshold on, and to
# test on. All sessions of the strange services are for the test.

lab = load_lab_sessions()
own = ~np.asarray(lab.background)  # without DNS, NTP and mDNS, which any host has
X, y = lab.data[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
known = np.flatnonzero(~np.isin(y, STRANGE))
cv = CaptureKFold(3, shuffle=True, random_state=0)
folds = [known[test] for _, test in cv.split(X.iloc[known], y[known], captures[known])]
learn, calibrate, test = folds
test = np.concatenate([test, np.flatnonzero(np.isin(y, STRANGE))])

forest = make_pipeline(
    SessionFeatures(features="extended"),
    SimpleImputer(keep_empty_features=True),
    RandomForestClassifier(
        TREES, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=2
    ),
).fit(X.iloc[learn], y[learn])

# %%
# Without a way out every strange session gets a familiar name:

strange = np.isin(y[test], STRANGE)
called = pd.Series(forest.predict(X.iloc[test])[strange], name="called")
pd.crosstab(pd.Series(y[test][strange], name="in truth"), called)

# %%
# A threshold for each coverage
# -----------------------------
# `coverage` is the share of known traffic that shall be answered; the threshold on the confidence
# is measured on captures that the forest has not learnt from.

rows = []
for coverage in COVERAGES:
    model = RejectingClassifier(FrozenEstimator(forest), coverage=coverage)
    model.fit(X.iloc[calibrate], y[calibrate])
    scores = selective_scores(y[test], model.predict(X.iloc[test]), known=model.classes_)
    rows.append({"asked": coverage, "threshold": model.threshold_, **scores._asdict()})
table = pd.DataFrame(rows).set_index("asked")
print(table.round(3).to_string())

# %%
# The price: what is answered of the known, against what is declined of the strange. The dashed line
# is a coin that declines without looking.

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
ax.plot(table["coverage"], table["rejected_unknown"], "o-", label="strange sessions declined")
ax.plot(table["coverage"], table["accuracy"], "s-", label="answers that are right")
ax.plot([0, 1], [1, 0], "--", color="grey", linewidth=0.8)
ax.set(xlabel="known sessions answered", ylabel="share", xlim=(0.3, 1), ylim=(0, 1.02))
ax.legend(loc="lower left")

# %%
# Does a confidence mean what it says? Points below the diagonal are right less often than they
# believe; a threshold is only as good as that.

inside = test[~strange]
reliability_display(forest, X.iloc[inside], y[inside])

# %%
# Next: :class:`~sktraffic.model_selection.RejectingClassifier`, which also fits and calibrates in
# one go; :doc:`/user_guide/evaluation`.

plt.show()
