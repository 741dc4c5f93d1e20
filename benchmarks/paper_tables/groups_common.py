"""What the two tables with honest groups share: inputs, contenders, the search and the runs.

A run is one fold of one seed. On its training side alone, one inner grouped split chooses two
things with the same number of fitted models: the forest's settings, and which models vote in our
pipeline. Both are then fitted on the whole training side and tested once. Rows keep predictions,
one letter a session, so that every figure of the page is computed from the result file.
"""

import string
import time
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import VarianceThreshold
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktraffic.feature_extraction import SessionStatistics
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import CaptureKFold
from sktraffic.over_sampling import GuardedADASYN

LETTERS = string.ascii_letters
NINE = ("most frequent class", "1-nearest neighbour, nine features",
        "random forest, nine features", "boosting, nine features")  # fmt: skip
FOREST, OURS = "random forest, all features", "our pipeline, all features"
CONTENDERS = (*NINE, FOREST, OURS)
FORESTS = {
    "square root of the features a split": {},
    "a fifth of the features a split": {"max_features": 0.2},
    "balanced classes": {"class_weight": "balanced_subsample"},
    "balanced classes, a fifth of the features a split": {
        "class_weight": "balanced_subsample",
        "max_features": 0.2,
    },
}
MEMBERS = (
    "extra trees",
    "boosting",
    "network",
    "network with ADASYN",
)  # beside the forest that was chosen


@dataclass(frozen=True)
class Problem:
    """Sessions with labels and groups; `identity` holds what the masked columns must not see."""

    X: pd.DataFrame
    y: np.ndarray  # (n,) class numbers
    groups: np.ndarray  # (n,) group numbers
    identity: np.ndarray  # (n, k)
    names: tuple  # of the classes
    everything: object  # unfitted transformer of sessions: all features


def problem(X, labels, groups, identity, everything):
    """Give classes and groups numbers; refuse a group of two classes: it could not be scored."""
    names, y = np.unique(labels, return_inverse=True)
    _, numbers = np.unique(groups, return_inverse=True)
    pairs = np.unique(np.column_stack([numbers, y]), axis=0)
    if len(pairs) != numbers.max() + 1:
        raise ValueError("A group holds sessions of more than one class; it needs one label.")
    identity = np.asarray(identity, dtype=np.float64)
    return Problem(X, y, numbers, identity, tuple(map(str, names)), everything)


def units(settings, seeds):
    """List a run for every seed and fold."""
    return [{"seed": s, "fold": k} for s in range(seeds) for k in range(settings["folds"])]


def split(data, kind, n_splits, fold, seed):
    """Return the rows of the two sides of a fold: whole groups, or sessions at random."""
    grouped = kind == "grouped"
    folds = (CaptureKFold if grouped else StratifiedKFold)(
        n_splits, shuffle=True, random_state=seed
    )
    groups = data.groups if grouped else None
    return list(folds.split(np.zeros(len(data.y)), data.y, groups))[fold]


def run(data, unit, settings):
    """Rows of one unit: the masked grouped test after the search, and the other columns."""
    seed, fold = unit["seed"], unit["fold"]
    columns = [("grouped", "masked")]
    if seed < settings["compare_seeds"]:
        columns += [("grouped", "unmasked"), ("random", "masked"), ("random", "unmasked")]
    rows, chosen = [], None
    for kind, view in columns:
        train, test = split(data, kind, settings["n_splits"], fold, seed)
        if chosen is None:
            chosen = search(data, train, settings, seed)
        where = {"split": kind, "view": view}
        test = test[np.argsort(data.groups[test], kind="stable")]
        rows += [where | row for row in _truth(data, test, kind)]
        rows += [
            where | row for row in _test(data, train, test, view, kind, chosen, settings, seed)
        ]
    return rows


def _truth(data, test, kind):
    """Write down the test side: classes, groups (only where they are whole) and their labels."""
    row = {"contender": "truth", "sessions": letters(data.y[test]), "names": " ".join(data.names)}
    if kind == "grouped":
        first = np.unique(data.groups[test], return_index=True)[1]
        row["captures"] = letters(data.y[test][first])
    return [row | {"groups": " ".join(map(str, data.groups[test]))}]


def _test(data, train, test, view, kind, chosen, settings, seed):
    """Fit every contender on the training side and predict the test side, once."""
    y = data.y[train]
    table = Inputs(data, train, test, view)
    trees, rows = settings["trees"], []
    for name, model in nine_models(trees, seed).items():
        began = time.process_time()
        proba = fit_predict(model, *table("nine"), y, len(data.names))
        rows.append(_row(name, proba, data, test, kind, time.process_time() - began, ""))
    proba, seconds = {}, {}
    for name in dict.fromkeys(["forest", *chosen["members"]]):
        began = time.process_time()
        model = make_model(name, chosen["forest"], trees, settings, seed)
        proba[name] = fit_predict(model, *table("everything"), y, len(data.names))
        seconds[name] = time.process_time() - began
    mean = np.mean([proba[name] for name in chosen["members"]], axis=0)
    total = sum(seconds[name] for name in chosen["members"])
    vote = " + ".join(chosen["members"])
    rows.append(
        _row(FOREST, proba["forest"], data, test, kind, seconds["forest"], chosen["forest"])
        | {"inner": chosen["inner_forest"]}
    )
    rows.append(_row(OURS, mean, data, test, kind, total, vote) | {"inner": chosen["inner_ours"]})
    return rows


def _row(name, proba, data, test, kind, seconds, chosen):
    row = {
        "contender": name,
        "sessions": letters(proba.argmax(axis=1)),
        "seconds": round(seconds, 2),
        "chosen": chosen,
    }
    if kind == "grouped":
        row["captures"] = letters(by_group(proba, data.groups[test]))
    return row


def by_group(proba, groups, floor=1e-3):
    """Class of each group: the largest sum of its sessions' log-probabilities.

    The floor keeps a class that one session rules out from being lost on that session alone.
    """
    _, number = np.unique(groups, return_inverse=True)
    total = np.zeros((number.max() + 1, proba.shape[1]))
    np.add.at(total, number, np.log(np.maximum(proba, floor)))
    return total.argmax(axis=1)


class Inputs:
    """Feature tables of both sides, fitted on the training side, made when first asked for."""

    def __init__(self, data, train, test, view):
        self.data, self.rows, self.view = data, (train, test), view
        self.tables = {}

    def __call__(self, kind):
        """Return (training table, test table)."""
        if kind not in self.tables:
            first = SessionStatistics() if kind == "nine" else self.data.everything
            model = make_pipeline(first, VarianceThreshold())
            sessions = [self.data.X.iloc[rows] for rows in self.rows]
            tables = [model.fit(sessions[0]).transform(part) for part in sessions]
            if self.view == "unmasked":
                own = (self.data.identity[rows] for rows in self.rows)
                tables = [np.hstack(pair) for pair in zip(tables, own, strict=True)]
            self.tables[kind] = tables
        return self.tables[kind]


def search(data, train, settings, seed):
    """Choose the forest's settings and our voters on an inner grouped split of `train`."""
    part = CaptureKFold(settings["inner_splits"], shuffle=True, random_state=seed)
    inner, held = next(part.split(np.zeros(len(train)), data.y[train], data.groups[train]))
    inner, held = train[inner], train[held]
    fitted, kept = Inputs(data, inner, held, "masked")("everything")
    trees, y, truth = settings["search_trees"], data.y[inner], data.y[held]

    def score(proba):
        return f1_score(truth, proba.argmax(axis=1), average="macro", zero_division=0)

    forests, proba = {}, {}
    for name in list(FORESTS)[: settings["budget"]]:
        model = make_model("forest", name, trees, settings, seed)
        forests[name] = fit_predict(model, fitted, kept, y, len(data.names))
    best = max(forests, key=lambda name: score(forests[name]))
    proba["forest"] = forests[best]  # this voter costs no further fit
    for name in MEMBERS[: settings["budget"]]:
        model = make_model(name, best, trees, settings, seed)
        proba[name] = fit_predict(model, fitted, kept, y, len(data.names))
    votes = {
        members: score(np.mean([proba[name] for name in members], axis=0))
        for size in range(1, len(proba) + 1)
        for members in combinations(proba, size)
    }
    members = max(votes, key=votes.get)
    return {
        "forest": best,
        "members": list(members),
        "inner_forest": round(score(forests[best]), 4),
        "inner_ours": round(votes[members], 4),
    }


def nine_models(trees, seed):
    """Make what is tried first, on the nine features of Qi et al. (2025)."""
    models = (
        DummyClassifier(),
        make_pipeline(signed_log(), StandardScaler(), KNeighborsClassifier(1)),
        RandomForestClassifier(trees, random_state=seed),
        HistGradientBoostingClassifier(random_state=seed, early_stopping=True, max_iter=60),
    )
    return dict(zip(NINE, models, strict=True))


def make_model(name, forest, trees, settings, seed):
    """Make a model on all features; `forest` names the forest's settings."""
    jobs = settings.get("jobs")
    if name == "forest":
        return RandomForestClassifier(trees, random_state=seed, n_jobs=jobs, **FORESTS[forest])
    if name == "extra trees":
        return ExtraTreesClassifier(trees, max_features=0.1, random_state=seed, n_jobs=jobs)
    if name == "boosting":
        return make_pipeline(
            ForestSelector(settings["top_k"], n_estimators=20, random_state=seed),
            HistGradientBoostingClassifier(
                max_iter=settings["boosting_rounds"], max_leaf_nodes=15, max_bins=64,
                max_features=0.3, l2_regularization=1.0, early_stopping=False, random_state=seed,
            ),
        )  # fmt: skip
    from sktraffic.neural_network import MLPClassifier  # torch

    return make_pipeline(
        signed_log(),
        StandardScaler(),
        MLPClassifier(
            (256, 256), lr=2e-3, batch_size=256, max_epochs=settings["epochs"],
            warmup_ratio=0.1, weight_decay=1e-2, early_stopping=False,
            resampler=GuardedADASYN() if name.endswith("ADASYN") else None,
            device="cpu", random_state=seed,
        ),
    )  # fmt: skip


def signed_log():
    """Make the step x -> sign(x) log(1 + |x|): sizes and times span decades."""
    return FunctionTransformer(_signed_log)


def _signed_log(x):
    return np.sign(x) * np.log1p(np.abs(x))


def fit_predict(model, fitted, kept, y, n_classes):
    """Fit and return probabilities of all classes, 0 for those that the training side lacks."""
    proba = model.fit(fitted, y).predict_proba(kept)
    wide = np.zeros((len(kept), n_classes))
    wide[:, model.classes_] = proba
    return wide


def letters(codes):
    """Write class numbers as letters, a to z and A to Z."""
    return "".join(LETTERS[code] for code in codes)


def codes(text):
    """Read class numbers back."""
    return np.array([LETTERS.index(letter) for letter in text])
