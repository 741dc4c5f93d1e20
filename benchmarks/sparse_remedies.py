"""What helps sparse classes: recall of each with an interval, for every remedy, unseen captures.

The bundled captures without DNS, NTP and mDNS, all features of a session: 12 services, six of them
through tunnels and sparse. Every remedy is put on a perceptron as a user writes it down,
``StandardScaler`` and ``MLPClassifier`` with its defaults, or on a random forest. Whole captures
are held out in folds, so that every session is predicted once by a model that saw nothing of its
capture; over-sampling sees the training part alone. Gains are over the same model without the
remedy, the perceptron's own over the forest. Intervals draw captures anew, those of differences
the same ones for both, in all seeds alike.

    python benchmarks/sparse_remedies.py [--seeds 3] [--splits 4] [--jobs 2] [--json FILE]

Seconds are those of a fit's processor, on one thread.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.pipeline import make_pipeline
from joblib import Parallel, delayed
from paper_tables.data import lab_sessions
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, recall_score
from sklearn.preprocessing import StandardScaler

from sktraffic.feature_extraction import SessionFeatures
from sktraffic.feature_selection import ForestSelector
from sktraffic.metrics import bootstrap_interval, per_class_scores, sparse_classes
from sktraffic.model_selection import CaptureKFold
from sktraffic.over_sampling import GuardedADASYN

MLP, FOREST = "MLP", "forest"
ON_NETWORKS = {
    MLP: {},
    "MLP, class_weight": {"class_weight": "balanced"},
    "MLP, weighted_sampling": {"weighted_sampling": True},
    "MLP, gamma=2": {"gamma": 2.0},
    "MLP, ADASYN to the median": {"resampler": GuardedADASYN()},
    "MLP, ADASYN to the largest": {"resampler": GuardedADASYN(level="majority")},
}
# what the ensemble of Qi et al. adds up, behind five features a class as its tokens
PAPERS = {"class_weight": "balanced", "gamma": 2.0, "resampler": GuardedADASYN(level="majority")}
TRANSFORMER = "transformers, class_weight, gamma=2, ADASYN to the largest"
ON_FORESTS = {
    FOREST: {},
    "forest, class_weight": {"class_weight": "balanced_subsample"},
    "forest, ADASYN to the median": {},
    "forest, ADASYN to the largest": {},
    "forest, balanced bootstrap": {},
}
REMEDIES = (*ON_FORESTS, *ON_NETWORKS, TRANSFORMER)


def remedied(name, seed):
    """Unfitted classifier of features, by the name of its remedy."""
    if name == "forest, balanced bootstrap":
        return BalancedRandomForestClassifier(200, random_state=seed)
    if name in ON_FORESTS:
        forest = RandomForestClassifier(200, random_state=seed, **ON_FORESTS[name])
        if "ADASYN" not in name:
            return forest
        level = "median" if name.endswith("median") else "majority"
        return make_pipeline(GuardedADASYN(level=level, random_state=seed), forest)
    from sktraffic.neural_network import MLPClassifier, TransformerEnsemble

    if name == TRANSFORMER:
        network = TransformerEnsemble(random_state=seed, **PAPERS)
        return make_pipeline(ForestSelector(5, random_state=seed), StandardScaler(), network)
    network = MLPClassifier(random_state=seed, **ON_NETWORKS[name])
    return make_pipeline(StandardScaler(), network)


def on_one_thread(*unit):
    """Predict in a process of its own: its threads and warnings are nobody else's."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return predictions(*unit)


def predictions(name, seed, X, y, captures, n_splits):
    """Label of every session by a model that saw nothing of its capture, and seconds of a fit."""
    called, seconds = np.empty_like(y), 0.0
    for train, test in CaptureKFold(n_splits, shuffle=True, random_state=seed).split(
        X, y, captures
    ):
        began = time.process_time()
        model = remedied(name, seed).fit(X[train], y[train])
        seconds += time.process_time() - began
        called[test] = model.predict(X[test])
    return name, seed, called, seconds / n_splits


def tables(y, captures, runs, n_resamples=1000):
    """Two tables of a row a remedy: scores with gains, and recalls of the sparse classes.

    `runs` holds (name, seed, labels (n,), seconds); the seeds of a remedy are scored together.
    """
    sparse = sparse_classes(y)
    calls = {}
    for name, _, called, _ in runs:
        calls.setdefault(name, []).append(called)
    seconds = pd.DataFrame(runs).groupby(0)[3].mean().round(1)
    scores, recalls = {}, {}
    for name, of_seeds in calls.items():
        called = np.concatenate(of_seeds)
        true, groups = (np.tile(column, len(of_seeds)) for column in (y, captures))
        base = FOREST if name in (*ON_FORESTS, MLP) else MLP
        without = np.concatenate(calls[base]) if base in calls and name != base else None
        draws = {"groups": groups, "n_resamples": n_resamples, "random_state": 0}
        f1 = [f1_score(y, labels, average="macro") for labels in of_seeds]
        scores[name] = {"macro-F1": f"{np.mean(f1):.3f} ± {np.std(f1, ddof=len(f1) > 1):.3f}"}
        for title, score in (("recall", recall_score), ("F1", f1_score)):
            scores[name] |= gained(title, score, sparse, true, called, without, draws)
        scores[name]["seconds to fit"] = seconds[name]
        recalls[name] = {
            f"{label} ({row.support / len(of_seeds):.0f} in {row.captures:.0f})":
            f"{row.recall:.2f} ({row.recall_low:.2f} to {row.recall_high:.2f})"
            for label, row in per_class_scores(true, called, **draws).loc[sparse].iterrows()
        }  # fmt: skip
    return pd.DataFrame(scores).T, pd.DataFrame(recalls).T


def gained(title, score, sparse, true, called, without, draws):
    """Mean score of the sparse classes, and what it gained over predictions without the remedy."""
    all_labels = [true, called, true if without is None else without]  # (3, n)
    labels, numbers = np.unique(all_labels, return_inverse=True)
    true, called, without = numbers.reshape(3, -1)
    among = np.searchsorted(labels, sparse)

    def mean(true, called):
        return score(true, called, labels=among, average="macro", zero_division=np.nan)

    def gain(true, rows):
        return mean(true, called[rows]) - mean(true, without[rows])

    row = {f"{title} of sparse classes": f"{mean(true, called):.3f}", f"{title} gained": "–"}
    if not np.array_equal(true, without):
        found = bootstrap_interval(gain, true, np.arange(len(true)), **draws)
        text = "{:+.3f} ({:+.3f} to {:+.3f})".format(*found)
        row[f"{title} gained"] = text
    return row


def main(arguments=None):
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--splits", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--remedies", nargs="+", choices=REMEDIES, default=REMEDIES)
    parser.add_argument("--json", type=Path, help="file for all predictions")
    options = parser.parse_args(arguments)
    table, y, captures = lab_sessions()
    X = SessionFeatures("extended").fit_transform(table)
    X = np.asarray(X, dtype=np.float64)
    runs = Parallel(options.jobs)(
        delayed(on_one_thread)(name, seed, X, y, captures, options.splits)
        for name in options.remedies
        for seed in range(options.seeds)
    )
    if options.json:
        rows = [(name, seed, list(called), seconds) for name, seed, called, seconds in runs]
        options.json.write_text(json.dumps(rows), "utf-8")
    print(f"{len(y)} sessions of {len(np.unique(captures))} captures, {len(np.unique(y))} classes")
    for each in tables(y, captures, runs):
        print(each.to_markdown(), end="\n\n")


if __name__ == "__main__":
    main()
