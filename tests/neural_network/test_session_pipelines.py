"""The pipeline that people write: sessions, features, scaling, ADASYN, a network, a grid search."""

import warnings

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures
from sktraffic.neural_network import BiGRUDABert, MLPClassifier, TransformerEnsemble

SEARCHES = {
    "mlp": (
        MLPClassifier(hidden_sizes=(16,), max_epochs=2, batch_size=64, random_state=0),
        {"clf__lr": [0.01, 0.02], "clf__gamma": [0, 2], "clf__hidden_sizes": [(8,), (16, 8)]},
    ),
    "ensemble": (
        TransformerEnsemble(
            n_members=2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, max_epochs=1, random_state=0
        ),
        {"clf__lr": [0.01, 0.02], "clf__gamma": [0, 2], "clf__n_members": [1, 2]},
    ),
    "bert": (
        BiGRUDABert(
            hidden_size=8, n_layers=1, n_heads=2, max_length=256, gru_hidden_size=4, gru_layers=1,
            max_epochs=1, random_state=0, device="cpu",  # a GPU adds up in any order
        ),
        # two candidates that differ in everything: each costs a network over 238 tokens
        [
            {"clf__lr": [0.01], "clf__gamma": [0], "clf__gru_layers": [1]},
            {"clf__lr": [0.02], "clf__gamma": [2], "clf__gru_layers": [2]},
        ],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sessions():
    """Return real sessions of three classes, one of them sparse."""
    lab = load_lab_sessions()
    y = np.asarray(lab.target)
    rows = [np.flatnonzero(y == name)[:n] for name, n in (("chat", 40), ("voip", 40), ("p2p", 16))]
    rows = np.concatenate(rows)
    return lab.data.iloc[rows], y[rows]


def _search(name, n_jobs, X, y):
    clf, grid = SEARCHES[name]
    pipe = Pipeline(
        [
            ("features", SessionFeatures()),
            ("scale", StandardScaler()),
            ("balance", ADASYN(random_state=0)),
            ("clf", clf),
        ]
    )
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(
        pipe, grid, cv=cv, scoring="neg_log_loss", n_jobs=n_jobs, error_score="raise"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a handful of epochs does not converge, and says so
        return search.fit(X, y)


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_grid_search_over_sessions_is_the_same_with_two_jobs(sessions, name):
    """Learning rate, gamma and a structural parameter; one job and two give equal scores."""
    X, y = sessions
    one, two = _search(name, 1, X, y), _search(name, 2, X, y)
    scores = [search.cv_results_["mean_test_score"] for search in (one, two)]
    assert len(scores[0]) == (2 if name == "bert" else 8)
    np.testing.assert_array_equal(*scores)
    assert len(set(scores[0])) == len(scores[0])  # each parameter has an effect
    assert set(one.predict(X)) <= set(y)
    assert one.predict(X.iloc[:1]).shape == (1,)
