"""``sktraffic train``."""

import contextlib
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import clone

from sktraffic._compat import boosting_can_be_saved
from sktraffic.capture import SessionExtractor, capture_name
from sktraffic.cli._guard import say
from sktraffic.cli._output import print_json, print_table, watched, working
from sktraffic.datasets import find_captures, split_captures
from sktraffic.inspection import shortcut_report
from sktraffic.metrics import bootstrap_interval
from sktraffic.model_selection import CaptureKFold
from sktraffic.persistence import save
from sktraffic.pipeline import CaptureClassifier, make_estimator
from sktraffic.report import evaluate_captures

SPLIT = (
    "{n} of {m} captures, a share of each class's, were held out (seed {seed}), whole: no capture "
    "was on both sides. What is scored was trained on the others, the model in the file on all."
)


def run(
    captures, output, label, model, holdout, seed, shortcuts, settings, cache, skip, jobs, as_json
):
    """Score on captures held out, train on all, save."""
    if not output.parent.is_dir():
        raise ValueError(f"There is no folder {output.parent} to write {output.name} into.")
    if model == "best" and not boosting_can_be_saved():
        raise ValueError(
            f"--model best holds boosting, which scikit-learn {sklearn.__version__} keeps in a "
            "form that no model file can hold. Install scikit-learn 1.9 or later, or take "
            "--model forest."
        )
    paths, labels = find_captures(captures, label)
    if len(set(labels)) < 2:
        raise ValueError(
            f"All {len(paths)} captures have the label {str(labels[0])!r}; a classifier needs two "
            "classes. --label says where labels come from: the folder of a capture, or its name."
        )
    with kept(cache) as folder:
        extractor = SessionExtractor(**settings)
        X, report = watched(extractor, jobs, skip).extract(paths, cache=folder)
        readable = report["error"].isna().to_numpy()
        paths = [path for path, good in zip(paths, readable, strict=True) if good]
        labels = labels[readable]
        clf = CaptureClassifier(make_estimator(model, seed), extractor, cache=folder)
        found = _held_out(clf, X, paths, labels, holdout, seed)
        with working("learning from all captures"):
            clf.fit(paths, labels)
        card = {}
        if shortcuts:
            card["shortcuts"] = _shortcuts(clf, X, paths, labels, seed)
    scores = {}
    if found is not None:
        scores = held_out_scores(found)
        card["split"] = SPLIT.format(n=len(found.captures), m=len(paths), seed=seed)
    save(clf, output, scores=scores, card=card)
    _tell(clf, found, output, as_json)


def held_out_scores(found):
    """Name the scores on captures held out, each with its interval over captures."""
    sessions, captures = found.sessions, found.captures
    groups = sessions["capture"].astype(object).to_numpy()
    rows = {
        "accuracy": ("accuracy", sessions, groups),
        "f1_macro": ("f1_macro", sessions, groups),
        "capture_accuracy": ("accuracy", captures, None),
        "capture_f1_macro": ("f1_macro", captures, None),
    }
    named = {}
    for name, (score, table, groups) in rows.items():
        drawn = bootstrap_interval(
            score, table["true"], table["label"], groups=groups, n_resamples=200, random_state=0
        )
        where = f"{name}, {len(captures)} captures held out"
        named[where] = drawn._replace(estimate=found.scores[name])
    return named


def _shortcuts(clf, X, paths, labels, seed):
    """Look for shortcuts of a classifier's pipeline in the sessions that it was trained on."""
    label_of = dict(zip(map(capture_name, paths), labels, strict=True))
    y = X["capture"].astype(object).map(label_of).to_numpy()
    _, counts = np.unique(labels, return_counts=True)
    with working("looking for shortcuts"):
        cv = CaptureKFold(max(2, min(5, counts.min())), single_capture="train")
        return shortcut_report(clf.estimator, X, y, cv=cv, random_state=seed)


@contextlib.contextmanager
def kept(cache):
    """Yield a folder for extracted sessions: the user's, or one for this run only."""
    if cache is not None:
        yield cache
        return
    with TemporaryDirectory(prefix="sktraffic-") as folder:
        yield folder


def _held_out(clf, X, paths, labels, holdout, seed):
    if not holdout:
        return None
    _, counts = np.unique(labels, return_counts=True)
    if (counts < 2).all():
        say(
            "warning: every class has a single capture, so none is held out and the model is "
            "not scored."
        )
        return None
    train, test = split_captures(labels, holdout, seed)
    paths = np.asarray(paths, dtype=object)
    with working("scoring on the captures held out"):
        part = clone(clf).fit(paths[train].tolist(), labels[train])
        learnt = X["capture"].astype(object).isin([capture_name(path) for path in paths[train]])
        return evaluate_captures(
            part, paths[test].tolist(), labels[test], training_sessions=X[learnt.to_numpy()]
        )


def _tell(clf, found, output, as_json):
    counts = pd.DataFrame(clf.class_counts_, index=pd.Index(clf.classes_, name="label"))
    if as_json:
        document = {"model": output, "class_counts": counts, "held_out": None}
        if found is not None:
            document["held_out"] = {
                "scores": found.scores,
                "per_class": found.per_class,
                "captures": found.captures,
                "twins": None if found.twins is None else found.twins.rename_axis("side"),
            }
        print_json(document)
        return
    if found is None:
        print_table(counts, "Trained on")
    else:
        print_scores(found, f"Scored on {len(found.captures)} captures held out")
        print(f"Then trained on all {int(clf.class_counts_['captures'].sum())} captures.")
    print(f"Model: {output}")


def print_scores(found, title):
    """Print the per-class table and the scores over all classes."""
    table = found.per_class
    shown = table[["recall", "precision", "f1"]].copy()
    if "f1_low" in table:
        ends = zip(table["f1_low"], table["f1_high"], strict=True)
        shown["f1, 95 %"] = ["" if pd.isna(a) else f"{a:.2f} to {b:.2f}" for a, b in ends]
    shown["sessions"], shown["captures"] = table["support"], table["captures"]
    print_table(shown, title)
    scores = found.scores
    print(
        f"sessions: accuracy {scores['accuracy']:.3f}, macro F1 {scores['f1_macro']:.3f}; "
        f"captures: accuracy {scores['capture_accuracy']:.3f}, "
        f"macro F1 {scores['capture_f1_macro']:.3f}"
    )
    if found.twins is not None:
        twins = found.twins
        print(
            f"{twins.loc['with twin', 'share']:.0%} of the sessions have an equal one in training; "
            f"the others: accuracy {twins.loc['without twin', 'accuracy']:.3f}, "
            f"macro F1 {twins.loc['without twin', 'f1_macro']:.3f}"
        )
