"""``sktraffic evaluate``."""

import numpy as np

from sktraffic._files import replacing
from sktraffic.cli._guard import say
from sktraffic.cli._output import print_json, watched, working
from sktraffic.cli._train import print_scores
from sktraffic.datasets import find_captures
from sktraffic.persistence import load
from sktraffic.pipeline import CaptureClassifier, data_hash
from sktraffic.report import confusion_figure, evaluate_captures, evaluation_report


def run(model, captures, label, confusion, report, cache, max_unpacked, jobs, as_json):
    """Score, draw, tell."""
    clf = load_classifier(model)
    paths, labels = find_captures(captures, label)
    _check_labels(clf, paths, labels)
    extractor = watched(clf.extractor_, jobs, max_unpacked=max_unpacked)
    sessions, _ = extractor.extract(paths, cache=cache)
    found = evaluate_captures(clf, paths, labels, sessions=sessions)
    if confusion is not None:
        kind = confusion.suffix.removeprefix(".").lower() or "png"
        with replacing(confusion) as temporary:
            confusion_figure(found.confusion()).savefig(temporary, format=kind, dpi=150)
    if report is not None:
        with working("writing the report"):
            evaluation_report(clf, found, sessions).save(report)
    if as_json:
        print_json(
            {
                "scores": found.scores,
                "per_class": found.per_class,
                "captures": found.captures,
                "confusion": found.confusion(),
            }
        )
        return
    print_scores(found, f"{len(found.captures)} captures, {len(found.sessions)} sessions")
    for path, what in ((confusion, "Confusion matrix"), (report, "Report")):
        if path is not None:
            print(f"{what}: {path}")


def load_classifier(path):
    """Load a model file and make sure that it takes captures."""
    clf = load(path)
    if not isinstance(clf, CaptureClassifier):
        raise ValueError(
            f"{path} holds a {type(clf).__name__}, which takes no captures; `sktraffic train` "
            "writes a CaptureClassifier."
        )
    return clf


def _check_labels(clf, paths, labels):
    unknown = np.setdiff1d(labels, clf.classes_)
    if len(unknown) == len(np.unique(labels)):
        raise ValueError(
            f"The model knows none of the labels {', '.join(map(str, unknown[:5]))}; it knows "
            f"{', '.join(map(str, clf.classes_))}. --label says where labels come from."
        )
    if len(unknown):
        say(f"warning: the model does not know {', '.join(map(str, unknown))}: all wrong.")
    if data_hash(paths, labels) == clf.data_hash_:
        say(
            "warning: these are the captures that the model was trained on. The scores say how "
            "well it remembers, not how well it does on others."
        )
