"""
Grid search from capture settings to network
============================================

How many packets of a session are read, which statistics are computed, how the loss weighs hard
sessions: all of these are parameters of one estimator, and one search chooses among them. Whole
captures are held out in every fold, and over-sampling happens inside the network's own training.
"""

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN
from imblearn.pipeline import Pipeline
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.preprocessing import StandardScaler

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures, load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import CaptureKFold
from sktraffic.neural_network import MLPClassifier
from sktraffic.over_sampling import GuardedADASYN
from sktraffic.pipeline import CaptureClassifier

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
EPOCHS, FOLDS, TREES, N = (3, 2, 10, 40) if FAST else (30, 3, 30, 80)
PACKETS, GAMMAS = ([20], [0, 2]) if FAST else ([20, None], [0, 2])

paths, labels = (np.asarray(each)[:N] for each in lab_captures())
print(f"{N} captures of {len(set(labels))} classes")


def pipeline(clf, *steps):
    """Session table to classifier; what the parameters below name are its steps."""
    return Pipeline(
        [
            ("features", SessionFeatures()),
            ("fill", SimpleImputer(keep_empty_features=True)),
            ("select", ForestSelector(top_k=5, n_estimators=TREES, random_state=0)),
            ("scale", StandardScaler()),
            *steps,
            ("clf", clf),
        ]
    )


# %%
# One search
# ----------
# A sample is a capture, so scikit-learn's own folds keep captures whole. The cache reads each
# capture once for every setting of the extractor, not once a fold. The sampler is a parameter of
# the network: it is applied after the network has cut off the sessions that early stopping watches.

settings = {
    "hidden_sizes": (128, 128),
    "batch_size": 256,
    "lr": 0.003,
    "max_epochs": EPOCHS,
    "random_state": 0,
}
extractor = SessionExtractor(bpf_filter="not (port 53 or port 123 or port 5353)")
inside = pipeline(MLPClassifier(early_stopping=True, resampler=GuardedADASYN(), **settings))
grid = {
    "extractor__max_packets": PACKETS,
    "estimator__features__features": ["basic"] if FAST else ["basic", "extended"],
    "estimator__clf__gamma": GAMMAS,
}
cv = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
cache = tempfile.TemporaryDirectory(prefix="sktraffic-example-")
search = GridSearchCV(
    CaptureClassifier(inside, extractor=extractor, cache=cache.name),
    grid,
    cv=cv,
    scoring="f1_macro",
).fit(paths, labels)
print("best:", search.best_params_, round(search.best_score_, 3))

# %%
# Every combination, with the spread over folds. Differences within the spread are none.

table = pd.DataFrame(search.cv_results_)
names = [name for name in table if name.startswith("param_")]
table = table[[*names, "mean_test_score", "std_test_score"]]
table = table.rename(columns=lambda name: name.rpartition("__")[2])
table["max_packets"] = table["max_packets"].map(lambda n: "all" if pd.isna(n) else f"{n:.0f}")
table.sort_values("mean_test_score", ascending=False).round(3)

# %%

fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for k, (name, rows) in enumerate(table.groupby(["max_packets", "features"])):
    place = np.arange(len(rows)) + 0.08 * k
    ax.errorbar(
        place,
        rows["mean_test_score"],
        rows["std_test_score"],
        fmt="o-",
        capsize=3,
        label=f"{name[0]} packets, {name[1]}",
    )
ax.set_xticks(range(len(GAMMAS)), GAMMAS)
ax.set(xlabel="gamma of the focal loss (0: cross-entropy)", ylabel="macro F1, captures held out")
ax.legend()

# %%
# ADASYN as a step
# ----------------
# imbalanced-learn's own way works as well, here on a session table. Then the network must not stop
# early: it would watch synthetic neighbours of its own training points. imbalanced-learn's ADASYN
# refuses classes without neighbours; this strategy balances the smallest class only.

lab = load_lab_sessions()
own = ~np.asarray(lab.background)  # without DNS, NTP and mDNS, which any host has
X, y = lab.data[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
step = pipeline(
    MLPClassifier(**{**settings, "max_epochs": max(EPOCHS // 2, 2)}),
    ("balance", ADASYN(sampling_strategy="minority", random_state=0, n_neighbors=2)),
)
by_capture = CaptureKFold(FOLDS, shuffle=True, random_state=0)
for name, pipe in (("resampler=GuardedADASYN()", inside), ("ADASYN as a step", step)):
    scores = cross_val_score(pipe, X, y, groups=captures, cv=by_capture, scoring="f1_macro")
    print(f"macro F1 of sessions, {name}: {scores.mean():.3f} +- {scores.std():.3f}")
cache.cleanup()

# %%
# The scores above chose the parameters, so they flatter them; a capture of another day says what
# the winner is worth. Next: :doc:`/user_guide/evaluation`,
# :ref:`sphx_glr_auto_examples_plot_sparse_classes.py`.

plt.show()
