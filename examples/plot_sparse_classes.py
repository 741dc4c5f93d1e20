"""
Sparse classes
==============

Some classes have 20 sessions where others have hundreds. What do focal loss and over-sampling
change for them, and is the change larger than what another set of captures would change?
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.metrics import before_after, sparse_class_f1_score, sparse_classes
from sktraffic.model_selection import CaptureKFold
from sktraffic.neural_network import MLPClassifier
from sktraffic.over_sampling import GuardedADASYN

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
EPOCHS, FOLDS = (4, 2) if FAST else (60, 4)

lab = load_lab_sessions()
own = ~np.asarray(lab.background)
X, y = lab.data[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
rare = sparse_classes(y)
print("classes below 5 % of the sessions:", ", ".join(rare))


def out_of_fold(clf):
    """Predict every capture with a model that has not seen it."""
    called = np.empty(len(y), dtype=object)
    pipe = make_pipeline(
        SessionFeatures(features="extended"),
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        clf,
    )
    for train, test in CaptureKFold(FOLDS, shuffle=True, random_state=0).split(X, y, captures):
        pipe.fit(X.iloc[train], y[train], mlpclassifier__groups=captures[train])
        called[test] = pipe.predict(X.iloc[test])
    return called.astype(str)


# %%
# The same network, first with cross-entropy on the sessions as they are, then with focal loss and
# guarded ADASYN.

settings = {"batch_size": 256, "lr": 0.002, "max_epochs": EPOCHS, "random_state": 0}
plain = out_of_fold(MLPClassifier(**settings))
guarded = out_of_fold(MLPClassifier(gamma=2.0, resampler=GuardedADASYN(), **settings))
for name, called in (("plain", plain), ("focal + ADASYN", guarded)):
    score = sparse_class_f1_score(y, called, classes=rare)
    print(f"{name}: mean F1 of the sparse classes {score:.3f}")

# %%
# Class by class, with intervals of the change for which whole captures are drawn. An interval that
# holds 0 leaves open whether anything changed.

change = before_after(y, plain, guarded, groups=captures, random_state=0)
print(change["f1"].join(change["support"].rename("sessions")).round(3).to_string())

f1 = change["f1"].loc[rare]
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ends = np.clip([f1["change"] - f1["low"], f1["high"] - f1["change"]], 0, None)
ax.errorbar(f1["change"], range(len(f1)), xerr=ends, fmt="o", capsize=3)
ax.axvline(0, color="grey", linewidth=0.8)
ax.set_yticks(range(len(f1)), f1.index)
ax.set_xlabel("change of F1 by focal loss and over-sampling (95 % over captures)")
plt.show()
