"""Liang et al.: table 3 and figure 4, and their ablations in tables 4 and 5, figures 8 and 9."""

from functools import partial

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from paper_tables import b_models, heads
from paper_tables.b_section import claims, section
from paper_tables.b_settings import SETTINGS, SHARES
from paper_tables.core import Table
from paper_tables.pretraining import pretrained

RAW = "random forest, raw bytes"


def settings_of(data):
    """Add the set's own share of sessions."""
    return {scale: {"share": SHARES[data]} | given for scale, given in SETTINGS.items()}


def units(data, settings, seeds):
    """List the runs: contenders on both inputs and splits, ablations on two of the four places.

    The two are the one where nothing leaks, which comes first in case that the time does not
    suffice for all, and the one that the paper most likely used.
    """
    out = []
    for seed in range(seeds):
        places = [(masked, kind) for masked in (True, False) for kind in heads.SPLITS]
        cells = [("BiGRU-DA-BERT", *place) for place in places]
        for variant in list(b_models.VARIANTS)[1:]:
            cells += [(variant, True, "time"), (variant, False, "random")]
        cells += [
            (name, *place) for name in (*b_models.NETWORKS, *b_models.SIMPLE) for place in places
        ]
        cells += [(RAW, False, kind) for kind in heads.SPLITS]
        cells.sort(key=lambda cell: cell[1:] != (True, "time"))
        out += [
            {"data": data, "model": name, "masked": masked, "split": kind, "seed": seed}
            for name, masked, kind in cells
        ]
    return out


def run(unit, settings, folder):
    """Train one contender and score it on the rows that it has not seen."""
    seed, name = unit["seed"], unit["model"]
    data = heads.subset(heads.load(unit["data"], folder), settings["share"], seed)
    X = heads.tokens(data.sessions, unit["masked"], settings["n_bytes"], settings["n_packets"])
    train, test = heads.split(data, unit["split"], seed)
    twin = heads.twins(X[train], X[test])
    if name == RAW:
        model, X = RandomForestClassifier(settings["trees"], random_state=seed), data.raw
    else:
        weights = None
        if name == "pre-trained":
            weights = pretrained(folder, settings["pretraining"], unit["masked"])
        model = b_models.make(name, settings, seed, weights)
        X = b_models.inputs(name, X)
    model.fit(X[train], data.y[train])
    predicted = model.predict(X[test])
    return [scores(data.y[train], data.y[test], predicted, twin)]


def scores(y_train, y, predicted, twin):
    """Macro averages, the F1 of each class, and the F1 of the rows that have no twin."""
    labels = np.unique(y_train)
    p, r, f, n = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    new = ~twin
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "precision": float(p.mean()),
        "recall": float(r.mean()),
        "f1": float(f.mean()),
        "f1_new": float(f1_score(y[new], predicted[new], average="macro", zero_division=0)),
        "twins": float(twin.mean()),
        "train": len(y_train),
        "test": len(y),
        "class_f1": {k: round(float(v), 4) for k, v in zip(labels, f, strict=True)},
        "class_train": {k: int((y_train == k).sum()) for k in labels},
        "class_test": {k: int(v) for k, v in zip(labels, n, strict=True)},
    }


def table(data, name, title):
    """Make the table of one data set."""
    return Table(
        name,
        title,
        settings_of(data),
        partial(units, data),
        run,
        partial(section, data),
        partial(claims, data),
    )


ISCX = table(
    "ISCX", "b-iscx", "Twelve services, ISCX VPN-nonVPN (Liang et al., figures 4, 8, table 4)"
)
USTC = table(
    "USTC", "b-ustc", "Twenty applications, USTC-TFC2016 (Liang et al., table 3, 5, figure 9)"
)
