"""Remedies for sparse classes: what the tables say is what was predicted."""

import numpy as np
import pytest


@pytest.fixture
def remedies(bench):
    """Import the benchmark."""
    return bench("sparse_remedies")


def test_tables_are_counted_by_hand(remedies):
    """Two of four sparse sessions found where there were none; the forest has nothing to gain."""
    y = np.repeat(["chat", "mail"], [96, 4])
    captures = np.r_[np.arange(96) // 4, 24, 24, 25, 25].astype(str)
    lost, found = np.full(100, "chat"), y.copy()
    found[[96, 98]] = "chat"
    runs = [(remedies.FOREST, 0, lost, 1.0), (remedies.MLP, 0, found, 4.0)]
    scores, recalls = remedies.tables(y, captures, runs, n_resamples=50)
    assert scores["recall of sparse classes"].tolist() == ["0.000", "0.500"]
    assert scores["recall gained"].tolist() == ["–", "+0.500 (+0.500 to +0.500)"]
    assert scores["seconds to fit"].tolist() == [1.0, 4.0]
    assert recalls["mail (4 in 2)"].tolist() == ["0.00 (0.00 to 0.00)", "0.50 (0.50 to 0.50)"]


@pytest.mark.neural
def test_every_remedy_is_another_model(remedies):
    """No two names make the same classifier, and none is fitted."""
    made = [str(remedies.remedied(name, 0).get_params()) for name in remedies.REMEDIES]
    assert len(set(made)) == len(made) == 12


def test_no_session_is_called_by_a_model_that_saw_its_capture(remedies, monkeypatch):
    """A model that names the captures that it saw never finds the one it is asked about."""

    class Seen:
        def fit(self, X, y):
            self.seen = set(X[:, 0])
            return self

        def predict(self, X):
            return np.where(np.isin(X[:, 0], list(self.seen)), "seen", "new")

    monkeypatch.setattr(remedies, "remedied", lambda name, seed: Seen())
    captures = np.repeat(np.arange(12), 5)
    y = np.repeat(["a", "b", "c"], 20)
    X = captures[:, None].astype(float)
    _, _, called, _ = remedies.predictions("any", 0, X, y.astype(object), captures, 4)
    assert (called == "new").all()
