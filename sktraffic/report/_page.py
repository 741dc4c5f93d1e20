"""The page about one classifier: what it was scored on, how well, why, and how fast."""

import platform
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic import __version__
from sktraffic.feature_selection import ForestSelector
from sktraffic.inspection import latency_curve, robustness_curve
from sktraffic.report._figures import (
    confusion_figure,
    drift_figure,
    f1_figure,
    importance_figure,
    latency_figure,
    robustness_figure,
    transfer_figure,
    twin_figure,
)
from sktraffic.report._html import HTMLReport

DISTURBANCES = {
    "gaussian": "Noise on the features, in units of each one's standard deviation.",
    "loss": "Packets that never reached the capture.",
    "padding": "Payloads filled up towards the largest packet.",
    "delay": "Packets held back for a random time.",
}


def evaluation_report(
    clf,
    evaluation,
    sessions=None,
    *,
    others=None,
    drift=None,
    transfer=None,
    name="model",
    title="How well captures are told apart",
    lead="",
    disturbances=tuple(DISTURBANCES),
    progress=None,
    random_state=0,
):
    """Make a page about a fitted classifier of captures.

    Parameters
    ----------
    clf : CaptureClassifier
        Fitted.
    evaluation : CaptureEvaluation
        Of captures that it has not seen.
    sessions : DataFrame, default=None
        The session table of these captures, in the order of ``evaluation.sessions``; without it
        the page has neither feature scores, nor robustness, nor latency.
    others : dict of str to CaptureEvaluation, default=None
        Of other models on the same captures, to compare; ``make_estimator("knn")`` is one that a
        network has to beat.
    drift : DataFrame, default=None
        From :func:`sktraffic.inspection.drift_curve`: scores of later and later sessions.
    transfer : DataFrame, default=None
        From :func:`sktraffic.inspection.transfer_matrix`: scores on other networks.
    name : str, default="model"
        What the classifier is called beside them.
    title, lead : str
        Of the page.
    disturbances : sequence of str, default=("gaussian", "loss", "padding", "delay")
        For the robustness curves.
    progress : callable, default=None
        Called with the name of each part before it is made.
    random_state : int, default=0
        Of feature scores and disturbances.

    Returns
    -------
    HTMLReport

    Examples
    --------
    >>> from sktraffic.report import evaluate_captures, evaluation_report
    >>> found = evaluate_captures(clf, paths, labels)  # doctest: +SKIP
    >>> evaluation_report(clf, found).save("report.html")  # doctest: +SKIP
    """
    tell = progress or (lambda part: None)
    others = others or {}
    page = HTMLReport(title, lead)
    _scores(page, evaluation, others, name)
    _twins(page, {name: evaluation, **others})
    _elsewhere(page, drift, transfer)
    if sessions is not None and len(sessions):
        true = evaluation.sessions["true"].to_numpy()
        tell("feature scores")
        _features(page, clf, sessions, true, random_state)
        tell("robustness")
        _robustness(page, clf, sessions, true, disturbances, random_state)
        tell("latency")
        _latency(page, clf, sessions, random_state)
    _captures(page, evaluation)
    _origin(page, clf)
    return page


def compare_classes(evaluation, others):
    """Put the F1 of a model and of others side by side, class by class.

    Parameters
    ----------
    evaluation : CaptureEvaluation
        Of the model.
    others : dict of str to CaptureEvaluation
        Of others, on the same captures.

    Returns
    -------
    DataFrame
        Recall, precision and F1 of the model, then the F1 of each other one, then what the scores
        stand on.

    Examples
    --------
    >>> from sktraffic.report import compare_classes, evaluate_captures
    >>> forest = evaluate_captures(clf, paths, labels)  # doctest: +SKIP
    >>> network = evaluate_captures(other, paths, labels)  # doctest: +SKIP
    >>> compare_classes(forest, {"network": network})[["f1", "f1 network"]]  # doctest: +SKIP
    """
    table = evaluation.per_class[["recall", "precision", "f1"]].copy()
    for name, other in others.items():
        table[f"f1 {name}"] = other.per_class["f1"].reindex(table.index)
    return table.join(evaluation.per_class[["support", "captures"]]).rename(
        columns={"support": "sessions"}
    )


def compare_overall(evaluation, others, name="model"):
    """Put the scores over all classes of a model and of others below each other.

    Parameters
    ----------
    evaluation : CaptureEvaluation
        Of the model.
    others : dict of str to CaptureEvaluation
        Of others, on the same captures.
    name : str, default="model"
        What the model's row is called.

    Returns
    -------
    DataFrame
        A row a model, a column a score.

    Examples
    --------
    >>> from sktraffic.report import compare_overall, evaluate_captures
    >>> forest = evaluate_captures(clf, paths, labels)  # doctest: +SKIP
    >>> network = evaluate_captures(other, paths, labels)  # doctest: +SKIP
    >>> compare_overall(forest, {"network": network}, name="forest")  # doctest: +SKIP
    """
    rows = {name: evaluation.scores, **{key: other.scores for key, other in others.items()}}
    table = pd.DataFrame(rows).T.rename(
        columns={
            "f1_macro": "macro F1, sessions",
            "accuracy": "accuracy, sessions",
            "capture_f1_macro": "macro F1, captures",
            "capture_accuracy": "accuracy, captures",
        }
    )
    return table.rename_axis("model")


def _scores(page, evaluation, others, name):
    scores = evaluation.scores
    page.add_cards(
        {
            "captures called right": f"{scores['capture_accuracy']:.1%}",
            "macro F1 of sessions": f"{scores['f1_macro']:.3f}",
            "captures, all unseen": f"{len(evaluation.captures):,}",
            "sessions in them": f"{len(evaluation.sessions):,}",
            "classes": len(evaluation.per_class),
        }
    )
    page.add_heading("Scores")
    page.add_text(
        "A session's label is that of its capture; the sessions of a capture vote on it. Macro F1 "
        "is the mean over classes, so that a class of few sessions counts as much as a large one."
    )
    page.add_table(compare_overall(evaluation, others, name))
    page.add_figure(
        f1_figure(evaluation.per_class, {k: v.per_class for k, v in others.items()}, name),
        "F1 of the sessions of each class. The lines are bootstrap intervals for which whole "
        "captures are drawn.",
    )
    page.add_table(compare_classes(evaluation, others), "Sessions, class by class")
    page.add_figure(
        confusion_figure(evaluation.confusion()),
        "Confusion of sessions: numbers are sessions, colours shares of the true class.",
    )


def _twins(page, evaluations):
    """Add scores without the sessions that were in training, where evaluations hold them."""
    found = {name: each.twins for name, each in evaluations.items() if each.twins is not None}
    if not found:
        return
    first = next(iter(found.values()))
    page.add_heading("Sessions that were there before")
    page.add_text(
        "Programs repeat themselves: a start-up or a keep-alive has the same sizes in the same "
        f"directions each time. {first.loc['with twin', 'sessions']:,} of the "
        f"{first.loc['all', 'sessions']:,} sessions have such a twin in training and need only be "
        "remembered; what a model understands shows on the others."
    )
    page.add_figure(twin_figure(found), "Macro F1 with and without a twin in training.")
    sides = {name: table["f1_macro"] for name, table in found.items()}
    table = pd.DataFrame({"sessions": first["sessions"], **sides}).rename_axis("sessions that are")
    page.add_table(table, "Macro F1 of sessions")


def _elsewhere(page, drift, transfer):
    """Add what later sessions and other networks say."""
    if drift is not None:
        page.add_heading("Later")
        page.add_figure(
            drift_figure(drift),
            "Learned from the earliest sessions, scored on block after block of later ones.",
        )
    if transfer is not None:
        page.add_heading("Other networks")
        page.add_figure(
            transfer_figure(transfer),
            "Learned from one source, asked about another; at home captures are held out.",
        )


def _features(page, clf, sessions, true, random_state):
    """Add per-class feature scores where the classifier has named features in its first step."""
    steps = getattr(clf.estimator_, "steps", None)
    if not steps or not hasattr(steps[0][1], "get_feature_names_out"):
        return
    first = steps[0][1]
    values = np.asarray(first.transform(sessions), dtype=np.float64)
    names = [str(name) for name in first.get_feature_names_out()]
    if len(names) != values.shape[1] or names[0].startswith("packet_0"):
        return  # tokens and packet sequences have positions, no features to name
    table = pd.DataFrame(np.nan_to_num(values), columns=names)
    known = pd.Series(true).map(pd.Series(true).value_counts()).to_numpy() > 1
    if len(np.unique(true[known])) < 2:
        return
    selector = ForestSelector(3, class_weight="balanced", random_state=random_state)
    selector.fit(table[known], true[known])
    page.add_heading("What tells the classes apart")
    page.add_figure(
        importance_figure(selector),
        "Forest scores of features, one class against the rest, on the captures scored here; the "
        "three best of each class are numbered.",
    )


def _robustness(page, clf, sessions, true, disturbances, random_state):
    with warnings.catch_warnings():
        # a class that is never called has F1 0, as it should
        warnings.filterwarnings("ignore", message=".*ill-defined")
        curves = [
            robustness_curve(
                clf.estimator_,
                sessions,
                true,
                noise=(0.0, 0.1, 0.3, 0.5),
                perturbation=kind,
                scoring="f1_macro",
                n_repeats=2,
                random_state=random_state,
            )
            for kind in disturbances
        ]
    page.add_heading("Robustness")
    page.add_text("The same sessions, disturbed; the model was trained on undisturbed ones.")
    notes = [DISTURBANCES.get(kind, kind) for kind in disturbances]
    page.add_figures(zip(robustness_figure(curves), notes, strict=True))


def _latency(page, clf, sessions, random_state):
    curve = latency_curve(
        clf.estimator_,
        sessions,
        batch_sizes=(1, 10, 100, 1000),
        n_repeats=5,
        random_state=random_state,
    )
    page.add_heading("Latency")
    page.add_figure(
        latency_figure(curve),
        f"Time from session tables to labels on this machine ({platform.machine()}, Python "
        f"{platform.python_version()}); one session at a time takes "
        f"{curve['sample_ms'].iloc[0]:.1f} ms, a thousand at a time "
        f"{curve['sample_ms'].iloc[-1]:.3f} ms each. Reading the capture is not included.",
    )


def _captures(page, evaluation):
    table = evaluation.captures.copy()
    table["capture"] = [Path(path).name for path in table["capture"]]
    table["verdict"] = np.where(table["true"] == table["label"], "right", "wrong")
    table = table.sort_values("verdict", ascending=False, kind="stable")
    page.add_heading("Captures")
    page.add_table(table.rename(columns={"label": "called"}), "Wrong ones first")


def _origin(page, clf):
    page.add_heading("Origin")
    settings = ", ".join(f"{k}={v}" for k, v in clf.extraction_settings_.items())
    rows = {
        "sktraffic": __version__,
        "estimator": " > ".join(type(s).__name__ for s in _parts(clf.estimator_)),
        "training captures": f"{int(clf.class_counts_['captures'].sum()):,}",
        "training sessions": f"{int(clf.class_counts_['sessions'].sum()):,}",
        "training data (SHA-256)": clf.data_hash_,
        "extraction": settings,
    }
    page.add_table(pd.DataFrame({"": rows.keys(), " ": rows.values()}))


def _parts(estimator):
    return [step for _, step in getattr(estimator, "steps", [(None, estimator)])]
