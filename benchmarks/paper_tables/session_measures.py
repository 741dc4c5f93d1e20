"""What is measured on session tables whose groups are honest: captures, runs, traces."""

import string
import time

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import has_fit_parameter

from paper_tables.data import lab_sessions, load_android, load_iot, load_lab, split_groups
from paper_tables.models import ALL_FEATURES, on_sessions
from sktraffic.inspection import drift_curve, transfer_matrix
from sktraffic.model_selection import CaptureKFold, has_twin

LETTERS = string.ascii_letters
TRUTH = "truth"  # in a model's place: classes, groups, twins
# two devices of one maker that hardly differ in what they send
ALIKE = {"D-LinkSiren": "D-LinkSensor", "WeMoInsightSwitch": "WeMoLink"}


def predictions(unit, settings, folder):
    """Fit one model on the training side of a fold and predict its test side, once.

    On unseen groups the values of a grid are compared on one inner split of the training side by
    groups; elsewhere a model has its defaults. The row keeps predictions, one letter a session, so
    that every figure is computed from the result file.
    """
    data = load_groups(unit["data"], settings, folder)
    train, test = split_groups(
        data, unit["split"], settings["n_splits"], unit["fold"], unit["seed"]
    )
    groups = data.groups[test]
    test = test[np.argsort(groups, kind="stable")]
    if unit["model"] == TRUTH:
        return [truth(data, train, test)]
    X, leaks = data.X, ()
    if unit["view"] == "unmasked":
        known = data.identifiers.add_prefix("known_")
        X, leaks = X.join(known), tuple(known.columns)
    model, grid = on_sessions(unit["model"], unit["data"], settings, unit["seed"], leaks)
    row = {}
    if grid and (unit["split"], unit["view"]) == ("grouped", "masked"):
        row = search(model, grid, X.iloc[train], data.y[train], data.groups[train], settings, unit)
    params = {"groups": data.groups[train]} if has_fit_parameter(model, "groups") else {}
    began = time.process_time()
    model.fit(X.iloc[train], data.y[train], **params)
    row["fit_seconds"] = round(time.process_time() - began, 2)
    began = time.process_time()
    proba = model.predict_proba(X.iloc[test])
    row["predict_us"] = round(1e6 * (time.process_time() - began) / len(test), 1)
    codes = np.searchsorted(np.unique(data.y), model.classes_)
    row["sessions"] = letters(codes[proba.argmax(axis=1)])
    if unit["split"] == "grouped":
        row["groups"] = letters(codes[by_group(proba, data.groups[test])])
    return [row]


def load_groups(name, settings, folder):
    """Sessions of a set whose groups are honest."""
    if name == "bundled":
        return load_lab()
    if name == "iot":
        return load_iot(folder, settings["devices"], settings["runs"])
    return load_android(folder, settings["apps"], settings["traces"])


def search(model, grid, X, y, groups, settings, unit):
    """Set a model's parameters to the best of a grid, judged on one inner split by groups."""
    cut = CaptureKFold(settings["inner_splits"], shuffle=True, random_state=unit["seed"])
    inner = next(cut.split(X, y, groups))
    began = time.process_time()
    found = GridSearchCV(
        model, grid, scoring="f1_macro", cv=[inner], refit=False, error_score="raise"
    ).fit(X, y)
    # forests of the search are smaller than the one that is tested
    best = {k: v for k, v in found.best_params_.items() if not k.endswith("n_estimators")}
    model.set_params(**best)
    return {
        "search_seconds": round(time.process_time() - began, 2),
        "inner_f1_macro": round(float(found.best_score_), 4),
        "chosen": {key.split("__", 1)[1]: value for key, value in best.items()},
    }


def truth(data, train, test):
    """Write down the test side: classes, groups, and which sessions have a twin in training."""
    names, codes = np.unique(data.y, return_inverse=True)
    found, first, sizes = np.unique(data.groups[test], return_index=True, return_counts=True)
    twins = has_twin(data.X.iloc[train], data.X.iloc[test], n_packets=30)
    return {
        "names": list(map(str, names)),
        "sessions": letters(codes[test]),
        "groups": letters(codes[test][first]),
        "group_numbers": np.searchsorted(np.unique(data.groups), found).tolist(),
        "group_sizes": sizes.tolist(),
        "twins": "".join("1" if twin else "0" for twin in twins),
        "train": len(train),
    }


def by_group(proba, groups, floor=1e-3):
    """Class of each group: the largest sum of its sessions' log-probabilities.

    The floor keeps a class that one session rules out from being lost on that session alone.
    """
    _, number = np.unique(groups, return_inverse=True)
    total = np.zeros((number.max() + 1, proba.shape[1]))
    np.add.at(total, number, np.log(np.maximum(proba, floor)))
    return total.argmax(axis=1)


def letters(codes):
    """Write class numbers as letters, a to z and A to Z."""
    return "".join(LETTERS[code] for code in codes)


def learning(unit, settings, folder):
    """Learn from a share of each device's training runs, score unseen runs; a row a share.

    Parts are nested: who sees half of the runs sees the quarter's too.
    """
    data = load_iot(folder, settings["devices"], settings["runs"])
    train, test = split_groups(data, "grouped", settings["n_splits"], 0, unit["seed"])
    runs, first = np.unique(data.groups[train], return_index=True)
    shuffled = np.random.default_rng(unit["seed"]).permutation(len(runs))
    place = pd.Series(shuffled).groupby(data.y[train][first]).rank(pct=True).to_numpy()
    rows = []
    for share in settings["shares"]:
        kept = train[np.isin(data.groups[train], runs[place <= share])]
        model, _ = on_sessions(ALL_FEATURES, "iot", settings, unit["seed"])
        called = model.fit(data.X.iloc[kept], data.y[kept]).predict(data.X.iloc[test])
        alike = [pd.Series(y).replace(ALIKE) for y in (data.y[test], called)]
        rows.append(
            {
                "share": share,
                "runs": len(np.unique(data.groups[kept])),
                "f1": round(float(f1_score(data.y[test], called, average="macro")), 4),
                "f1_alike": round(float(f1_score(*alike, average="macro")), 4),
            }
        )
    return rows


def drift(unit, settings, folder):
    """Learn from the earliest flows of the Android apps, score block after block of later ones."""
    data = load_android(folder, settings["apps"], settings["traces"])
    X = data.X.assign(start=pd.to_datetime(data.start, unit="s", utc=True))
    model, _ = on_sessions(unit["model"], "android", settings, unit["seed"])
    curve = drift_curve(
        model, X, data.y, n_blocks=settings["blocks"], train_share=settings["train_share"],
        scoring="f1_macro",
    )  # fmt: skip
    return curve.drop(columns="repeat").to_dict("records")


def transfer(unit, settings, folder):
    """Learn the services of the bundled captures outside tunnels, ask inside, and back."""
    table, y, captures = lab_sessions()
    service = np.char.replace(y, "vpn_", "")
    network = np.where(np.char.startswith(y, "vpn_"), "tunnel", "plain")
    model, _ = on_sessions(unit["model"], "bundled", settings, unit["seed"])
    matrix = transfer_matrix(model, table, service, network, groups=captures, cv=settings["folds"])
    return matrix.to_dict("records")
