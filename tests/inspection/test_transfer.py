"""Scores between sources: plain fits and scores, whole captures at home, and the drawing."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from sktraffic.inspection import TransferMatrixDisplay, transfer_matrix
from sktraffic.model_selection import CaptureKFold

matplotlib.use("Agg")


@pytest.fixture
def sites():
    """Three sites of four captures a class; what tells the classes apart moves with the site."""
    rng = np.random.default_rng(0)
    captures = np.repeat(np.arange(24), 6)
    sites, y = np.array(["a", "b", "c"])[captures // 8], np.array(["chat", "mail"])[captures % 2]
    x = (y == "mail") * 2.0 + (captures // 8) * 0.7 + rng.normal(0, 0.6, len(y))
    return x[:, None], y, sites, captures


def test_a_pair_is_a_plain_fit_and_score(sites):
    """Learn from all of one site, score on all of another; at home the folds' mean."""
    X, y, site, captures = sites
    model = KNeighborsClassifier(3)
    matrix = transfer_matrix(model, X, y, site, groups=captures)
    found = matrix.set_index(["train", "test"])["score"]
    a, b = site == "a", site == "b"
    fitted = KNeighborsClassifier(3).fit(X[a], y[a])
    assert found["a", "b"] == f1_score(y[b], fitted.predict(X[b]), average="macro")
    home = cross_val_score(
        model, X[a], y[a], groups=captures[a], cv=CaptureKFold(3), scoring="f1_macro"
    )
    assert found["a", "a"] == pytest.approx(home.mean())
    left_out = cross_val_score(model, X, y, groups=site, cv=LeaveOneGroupOut(), scoring="f1_macro")
    assert found["all others"].tolist() == pytest.approx(left_out.tolist())
    assert matrix["sessions"].tolist() == [48] * 12
    assert matrix["unseen"].eq(0).all()


def test_a_session_table_brings_its_captures(sites):
    """No capture is on both sides at home, whether groups are given or a column."""
    X, y, site, captures = sites
    seen = []

    class Spy(KNeighborsClassifier):
        def fit(self, X, y):
            seen.append(set(X["capture"]))
            return super().fit(X[["x"]].to_numpy(), y)

        def predict(self, X):
            seen[-1] &= set(X["capture"])
            return super().predict(X[["x"]].to_numpy())

    table = pd.DataFrame({"x": X[:, 0], "capture": captures})
    matrix = transfer_matrix(Spy(3), table, y, site)
    assert not any(seen)
    wanted = transfer_matrix(KNeighborsClassifier(3), X, y, site, groups=captures)
    pd.testing.assert_frame_equal(matrix, wanted)


def test_classes_that_only_one_source_has_are_counted(sites):
    """They are unseen elsewhere, and scored as wrong."""
    X, y, site, captures = sites
    y = np.where((site == "b") & (captures % 4 == 0), "voip", y)
    matrix = transfer_matrix(KNeighborsClassifier(1), X, y, site, groups=captures)
    unseen = matrix.set_index(["train", "test"])["unseen"]
    assert unseen["a", "b"] == np.mean(y[site == "b"] == "voip") == 0.25
    assert unseen["b", "a"] == 0 == unseen["b", "b"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, y, site, c: (X, y, np.full(len(y), "a"), c), "two sources or more"),
        (lambda X, y, site, c: (X, np.where(site == "a", "chat", y), site, c), "one class only"),
        (lambda X, y, site, c: (X, y, site, np.unique(y, return_inverse=True)[1]), "held out"),
    ],
)
def test_errors_say_what_to_do(sites, change, words):
    """One source, one class, one capture a class."""
    X, y, site, captures = change(*sites)
    with pytest.raises(ValueError, match=words):
        transfer_matrix(KNeighborsClassifier(1), X, y, site, groups=captures)


def test_the_drawing_holds_the_matrix(sites):
    """Sources in the order of the rows, home in bold, the row of all others last."""
    X, y, site, captures = sites
    model = KNeighborsClassifier(3)
    display = TransferMatrixDisplay.from_estimator(model, X, y, site, groups=captures)
    matrix = display.matrix.set_index(["train", "test"])["score"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [*"abc", "all others"]
    assert display.image_.get_array()[0].tolist() == [matrix["a", to] for to in "abc"]
    bold = [text.get_text() for text in display.ax_.texts if text.get_weight() == "bold"]
    assert bold == [f"{matrix[name, name]:.2f}" for name in "abc"]
    display.figure_.canvas.draw()
