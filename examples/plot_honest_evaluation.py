"""
Honest evaluation
=================

Sessions of one capture resemble each other. Split at random, a test set is full of siblings of
training sessions, and the score is one of recognising captures. How much is that worth, and what
else gives labels away?
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.inspection import (
    EarlinessCurveDisplay,
    ShortcutDisplay,
    TransferMatrixDisplay,
    TwinScoreDisplay,
    shortcut_report,
)
from sktraffic.model_selection import CaptureKFold, check_split, has_twin
from sktraffic.pipeline import make_estimator

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
TREES, FOLDS, STEP = (10, 2, 2) if FAST else (100, 5, 1)

lab = load_lab_sessions()
own = np.flatnonzero(~np.asarray(lab.background))[::STEP]
X, y = lab.data.iloc[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
pipe = make_pipeline(
    SessionFeatures(),
    SimpleImputer(keep_empty_features=True),
    RandomForestClassifier(TREES, class_weight="balanced", random_state=0),
)

# %%
# Two splits, one pipeline.

by_capture = CaptureKFold(FOLDS, shuffle=True, random_state=0)
at_random = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
for name, cv in (("whole captures", by_capture), ("random sessions", at_random)):
    scores = cross_val_score(pipe, X, y, groups=captures, cv=cv, scoring="f1_macro")
    print(f"macro F1, {name}: {scores.mean():.3f} (folds {scores.min():.3f} to {scores.max():.3f})")

# %%
# What the two sides of a split share.

for name, cv in (("whole captures", by_capture), ("random sessions", at_random)):
    train, test = next(cv.split(X, y, captures))
    print(f"{name}:\n{check_split(X.iloc[train], X.iloc[test])}")

# %%
# Programs repeat themselves: a test session with an equal twin in training need only be
# remembered. The baseline that every model has to beat does nothing else: it takes the nearest
# training sessions by their first packets.

train, test = next(by_capture.split(X, y, captures))
models = {"forest": pipe, "nearest neighbours": make_estimator("knn")}
answers = {name: m.fit(X.iloc[train], y[train]).predict(X.iloc[test]) for name, m in models.items()}
TwinScoreDisplay.from_predictions(y[test], answers, has_twin(X.iloc[train], X.iloc[test])).plot()

# %%
# Is what was learnt outside a tunnel known inside? The same six services are one network each.

service = np.char.replace(y.astype(str), "vpn_", "")
network = np.where(np.char.startswith(y.astype(str), "vpn_"), "tunnel", "plain")
TransferMatrixDisplay.from_estimator(pipe, X, service, network, groups=captures, cv=2)

# %%
# Does the model, or could a look-up table, take a shortcut: addresses, ports, the time of day?

report = shortcut_report(pipe, X, y, groups=captures, cv=FOLDS, random_state=0)
print(report)
ShortcutDisplay(report).plot()

# %%
# And how early is a decision worth having?

EarlinessCurveDisplay.from_estimator(
    pipe,
    X,
    y,
    cv=by_capture,
    groups=captures,
    scoring="f1_macro",
    packets=(2, 20) if FAST else (1, 2, 5, 10, 20, 50),
    name="forest",
)
plt.show()
