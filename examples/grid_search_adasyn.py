"""
Grid search with ADASYN
=======================

Over-sampling belongs inside cross-validation, and, where a network stops early, inside the
network: the part of the training data that early stopping watches must be real sessions.
"""

import os

import pandas as pd
from imblearn.over_sampling import ADASYN
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import CaptureKFold
from sktraffic.neural_network import MLPClassifier
from sktraffic.over_sampling import GuardedADASYN

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
EPOCHS, FOLDS, GAMMAS, TREES = (3, 2, [0, 2], 10) if FAST else (60, 5, [0, 1, 2], 100)

lab = load_lab_sessions()
own = ~lab.background  # without DNS, NTP and mDNS, which any host has
X, y, captures = lab.data[own].reset_index(drop=True), lab.target[own], lab.groups[own]
cv = CaptureKFold(FOLDS, shuffle=True, random_state=0)


def search(clf, *balance):
    """Search over gamma, with whole captures in a fold."""
    pipe = Pipeline(
        [
            ("features", SessionFeatures()),
            ("select", ForestSelector(top_k=5, n_estimators=TREES, random_state=0)),
            ("scale", StandardScaler()),
            *balance,
            ("clf", clf),
        ]
    )
    found = GridSearchCV(pipe, {"clf__gamma": GAMMAS}, cv=cv, scoring="f1_macro")
    return found.fit(X, y, groups=captures.to_numpy())


# %%
# The sampler as a parameter: it is applied to the training part after the validation part is cut.

settings = {"batch_size": 256, "lr": 0.002, "random_state": 0}
inside = search(MLPClassifier(resampler=GuardedADASYN(), max_epochs=EPOCHS, **settings))

# %%
# The sampler as a step, as in imbalanced-learn. Then the network must not stop early: it would
# watch synthetic neighbours of its own training points.

before = search(
    MLPClassifier(early_stopping=False, max_epochs=max(EPOCHS // 3, 2), **settings),
    # imbalanced-learn's ADASYN refuses classes without neighbours; this strategy balances the
    # tunnelled classes only up to a number that all of them can reach
    ("balance", ADASYN(sampling_strategy="minority", random_state=0, n_neighbors=3)),
)

# %%
# Macro F1 on whole captures held out.

table = pd.DataFrame(
    {
        name: pd.Series(s.cv_results_["mean_test_score"], index=GAMMAS)
        for name, s in (("resampler=GuardedADASYN()", inside), ("ADASYN as a step", before))
    }
).rename_axis("gamma")
print(table.round(3).to_string())
print("best:", inside.best_params_, round(inside.best_score_, 3))
