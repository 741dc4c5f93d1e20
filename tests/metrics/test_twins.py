"""Scores with and without twins: by hand, and empty sides."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from sktraffic.metrics import twin_scores


def test_by_hand():
    """Three with a twin, all right; two without, one right."""
    truth, answer = np.array(list("aabab")), np.array(list("aabaa"))
    table = twin_scores(truth, answer, np.array([1, 1, 1, 0, 0], bool))
    assert table["sessions"].tolist() == [5, 3, 2]
    assert table["share"].tolist() == [1, 0.6, 0.4]
    assert table["accuracy"].tolist() == [0.8, 1, 0.5]
    assert table.loc["all", "f1_macro"] == f1_score(truth, answer, average="macro")
    assert table["sessions"].iloc[1:].sum() == table["sessions"].iloc[0]


def test_an_empty_side_has_no_score():
    """All have a twin: nothing can be said of the others."""
    table = twin_scores(["a", "b"], ["a", "b"], [True, True])
    assert table.loc["without twin", ["accuracy", "f1_macro"]].isna().all()


def test_what_is_no_mask_is_refused():
    """Row numbers instead of a mask; lengths that differ."""
    with pytest.raises(ValueError, match="must be boolean"):
        twin_scores(["a", "b"], ["a", "b"], [0, 1])
    with pytest.raises(ValueError, match="inconsistent"):
        twin_scores(["a", "b"], ["a"], [True, False])
