"""How much of a score is real: what a classifier leans on, and what the split gives away."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedKFold, check_cv, cross_val_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d

from sktraffic.inspection._shortcut_parts import (
    SHORTCUT_COLUMNS,
    LookupClassifier,
    nearest_neighbour,
    permute_labels,
    scramble_first_sizes,
    shuffle_columns,
)
from sktraffic.model_selection import CaptureKFold

__all__ = ["ShortcutReport", "shortcut_report"]

GIVEN, CHANCE, PERMUTED = "as given", "most frequent class", "labels permuted"
NEIGHBOUR = "1-nearest neighbour"


@dataclass
class ShortcutReport:
    """What :func:`shortcut_report` found.

    Attributes
    ----------
    table : DataFrame
        One row a variant; mean and deviation of the score over folds of whole captures
        (`capture_split`, `capture_std`) and over random folds (`random_split`, `random_std`).
    shortcuts : dict of str to str
        Name of a shortcut -> sentence that says what shows it. Empty for a clean result.
    notes : list of str
        What is worth knowing but is no shortcut.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import ShortcutReport
    >>> ShortcutReport(pd.DataFrame({"capture_split": [0.9]}, index=["as given"])).clean
    True
    """

    table: pd.DataFrame
    shortcuts: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    @property
    def clean(self):
        """Whether no shortcut was found."""
        return not self.shortcuts

    def __str__(self):
        lines = [self.table.round(3).to_string(), ""]
        lines += [f"shortcut: {sentence}" for sentence in self.shortcuts.values()]
        lines += [f"note: {sentence}" for sentence in self.notes]
        return "\n".join(lines if not self.clean else [*lines, "no shortcut found"])


def shortcut_report(
    estimator,
    X,
    y,
    groups=None,
    cv=None,
    *,
    columns=None,
    n_first=3,
    scoring=None,
    tolerance=0.05,
    n_jobs=None,
    random_state=None,
):
    """Tell the part of a score that is real from the part that the data set gives away.

    Parameters
    ----------
    estimator : classifier
        Cloned and fitted for every variant.
    X : DataFrame or array-like of shape (n_samples, n_features)
        A session table for the whole report; a feature table gets the rows that need no such
        columns.
    y : array-like of shape (n_samples,)
        Labels.
    groups : array-like of shape (n_samples,), default=None
        The capture of each row; by default the column `capture`.
    cv : int or splitter, default=None
        The honest split; a number or None (5) makes
        :class:`~sktraffic.model_selection.CaptureKFold`. The random split has as many folds.
    columns : dict of str to sequence of str, default=None
        Suspects and their columns; by default addresses, ports and time of a session table.
    n_first : int, default=3
        First packets whose sizes are exchanged between sessions.
    scoring : str, callable or None, default=None
        scikit-learn's; None is the estimator's own score.
    tolerance : float, default=0.05
        Differences of the score up to this, or up to two standard errors over folds, count as
        none.
    n_jobs : int, default=None
        Folds at a time.
    random_state : int, RandomState instance or None, default=None
        Of shuffles and random folds.

    Returns
    -------
    ShortcutReport

    Notes
    -----
    "Without" a column means that its values are handed to other rows before fitting and testing:
    any estimator keeps working, and learns nothing from it. The rows of the table:

    - *as given*;
    - *without addresses*, *ports*, *time*, *first packet sizes*;
    - *labels permuted*: handed to other captures (or rows); any skill left is recognition of
      captures, or a leak inside the evaluation;
    - *1-nearest neighbour* on the same features: a task of look-alikes;
    - *addresses look-up* and so on: nothing but a table of values;
    - *most frequent class*: chance.

    Found is a shortcut when the score falls without addresses, ports or time, when a table of them
    alone does about as well as the estimator, when a random split scores higher than whole
    captures, or when permuted labels can be "learnt".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sktraffic.inspection import shortcut_report
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 2
    >>> X = pd.DataFrame({"src_port": 1000 + y, "capture": np.arange(120) // 10})  # port = label
    >>> ports = make_pipeline(FunctionTransformer(lambda X: X[["src_port"]].to_numpy()),
    ...                       DecisionTreeClassifier())
    >>> report = shortcut_report(ports, X, y, random_state=0)
    >>> sorted(report.shortcuts)
    ['ports', 'ports look-up']
    """
    y = column_or_1d(y)
    rng = check_random_state(random_state)
    splits = _splits(X, y, groups, cv, rng)
    groups = _groups(X, groups)
    variants, by_capture = _variants(estimator, X, y, groups, columns, n_first, rng)
    scores = {}
    for name, (model, table, labels) in variants.items():
        scores[name] = {
            split: cross_val_score(
                clone(model),
                table,
                labels,
                cv=folds,
                scoring=scoring,
                n_jobs=n_jobs,
                error_score="raise",
            )
            for split, folds in splits.items()
        }
    report = ShortcutReport(_table(scores, splits))
    _judge(report, scores, tolerance, by_capture)
    return report


def _groups(X, groups):
    if groups is not None:
        return np.asarray(groups)
    if "capture" in getattr(X, "columns", ()):
        return np.asarray(X["capture"], dtype=object)
    return None


def _splits(X, y, groups, cv, rng):
    """Folds of whole captures (when there are any) and as many random ones."""
    splits = {}
    folds = 5 if cv is None else cv
    if not isinstance(folds, int):
        splits["capture"] = list(check_cv(folds, y, classifier=True).split(X, y, groups))
    elif _groups(X, groups) is not None:
        splits["capture"] = list(CaptureKFold(folds).split(X, y, groups))
    n_splits = len(splits["capture"]) if splits else folds
    seed = rng.randint(2**31)
    plain = StratifiedKFold(max(2, n_splits), shuffle=True, random_state=seed)
    splits["random"] = list(plain.split(np.zeros(len(y)), y))
    return splits


def _variants(estimator, X, y, groups, columns, n_first, rng):
    """Name -> (model, table, labels) of every row of the report."""
    variants = {GIVEN: (estimator, X, y)}
    suspects = {}
    has = set(getattr(X, "columns", ()))
    for name, wanted in (SHORTCUT_COLUMNS if columns is None else columns).items():
        present = [column for column in wanted if column in has]
        if present:
            suspects[name] = present
            variants[f"without {name}"] = (estimator, shuffle_columns(X, present, rng), y)
    if "packet_size" in has and n_first:
        scrambled = scramble_first_sizes(X, n_first, rng)
        variants["without first packet sizes"] = (estimator, scrambled, y)
    permuted, by_capture = permute_labels(y, groups, rng)
    variants[PERMUTED] = (estimator, X, permuted)
    variants[NEIGHBOUR] = (nearest_neighbour(estimator, X), X, y)
    for name, present in suspects.items():
        variants[f"{name} look-up"] = (LookupClassifier(present), X, y)
    variants[CHANCE] = (DummyClassifier(strategy="most_frequent"), np.zeros((len(y), 1)), y)
    return variants, by_capture


def _table(scores, splits):
    rows = {
        name: {
            f"{split}_{part}": getattr(values[split], part)()
            for split in splits
            for part in ("mean", "std")
        }
        for name, values in scores.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename(columns={f"{split}_mean": f"{split}_split" for split in splits})


def _judge(report, scores, tolerance, by_capture):
    """Fill in shortcuts and notes from the scores of the folds."""
    given, chance = scores[GIVEN], scores[CHANCE]
    honest = "capture" if "capture" in given else "random"
    for name, values in scores.items():
        kind = name.removeprefix("without ")
        drops = {s: given[s].mean() - values[s].mean() for s in given}
        used = {s: _exceeds(given[s] - values[s], tolerance) for s in given}
        if name.startswith("without ") and any(used.values()):
            split = max(drops, key=drops.get)
            sentence = (
                f"{kind}: without them the score on the {split} split falls from "
                f"{given[split].mean():.3f} to {values[split].mean():.3f}"
            )
            if kind == "first packet sizes":
                report.notes.append(f"{sentence}; they may well be what tells the classes apart")
            else:
                report.shortcuts[kind] = sentence
        if name.endswith(" look-up") and _exceeds(values[honest] - chance[honest], tolerance):
            sentence = (
                f"{name}: a table of nothing else scores {values[honest].mean():.3f} on the "
                f"{honest} split, the estimator {given[honest].mean():.3f}, "
                f"chance {chance[honest].mean():.3f}"
            )
            if drops[honest] <= tolerance:
                report.shortcuts[name] = sentence
            else:
                report.notes.append(sentence)
    _judge_permuted(report, scores, tolerance, by_capture)
    if honest == "capture":
        gap = given["random"].mean() - given["capture"].mean()
        spread = given["capture"].std() / np.sqrt(len(given["capture"]))
        if gap > max(tolerance, 2 * spread):
            report.shortcuts["random split"] = (
                f"random split: {given['random'].mean():.3f}, but {given['capture'].mean():.3f} on "
                "captures that were not learnt from; quote the latter"
            )
    neighbour = scores[NEIGHBOUR][honest].mean()
    if neighbour >= given[honest].mean() - tolerance:
        report.notes.append(
            f"the nearest neighbour alone scores {neighbour:.3f}: the task needs no model, or "
            "there are copies (see check_split)"
        )


def _judge_permuted(report, scores, tolerance, by_capture):
    for split, values in scores[PERMUTED].items():
        if not _exceeds(values - scores[CHANCE][split], tolerance):
            continue
        whose = "captures" if by_capture else "rows"
        reason = (
            "it recognises captures, and so may the score with true labels"
            if by_capture and split == "random"
            else "the evaluation itself leaks, or rows repeat"
        )
        report.shortcuts[f"permuted labels, {split} split"] = (
            f"permuted labels: with labels handed to other {whose} the {split} split still scores "
            f"{values.mean():.3f} (chance {scores[CHANCE][split].mean():.3f}): {reason}"
        )


def _exceeds(difference, tolerance):
    """Whether a mean of paired differences is above both the tolerance and two standard errors."""
    error = np.std(difference, ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return bool(np.mean(difference) > max(tolerance, 2 * error))
