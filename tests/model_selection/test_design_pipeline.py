"""The pipelines of the design run over whole captures: sessions in, over-sampling inside."""

import warnings

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sktraffic.feature_extraction import SessionStatistics
from sktraffic.model_selection import CaptureKFold, ChronologicalSplit
from sktraffic.model_selection._chronological import session_times
from sktraffic.over_sampling import GuardedADASYN
from sktraffic.sessions import from_arrow, to_arrow


def arrow_sessions(make_sessions):
    """Eight captures of two classes, one of them sparse."""
    X = make_sessions(captures=[f"{label}{i}" for label in "wc" for i in range(4)], per_capture=12)
    X = X[(X["capture"].str[0] == "w") | (X["session"] < 4)].reset_index(drop=True)
    return from_arrow(to_arrow(X)), np.where(X["capture"].str[0] == "w", "web", "chat")


@pytest.mark.neural
@pytest.mark.parametrize("place", ["resampler", "step", "step, imblearn's"])
def test_over_sampling_in_a_search_over_captures(make_sessions, place):
    """As `resampler=` with early stopping, and as the pipeline step that people know."""
    from sktraffic.neural_network import MLPClassifier

    X, y = arrow_sessions(make_sessions)
    inside = place == "resampler"
    clf = MLPClassifier(
        hidden_sizes=(8,),
        max_epochs=3,
        early_stopping=inside,
        resampler=GuardedADASYN() if inside else None,
        random_state=0,
    )
    steps = [("features", SessionStatistics()), ("scale", StandardScaler()), ("clf", clf)]
    if not inside:
        sampler = ADASYN if "imblearn" in place else GuardedADASYN
        steps.insert(2, ("balance", sampler(random_state=0)))
    search = GridSearchCV(
        Pipeline(steps), {"clf__lr": [0.01, 0.05]}, cv=CaptureKFold(4), scoring="f1_macro"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.fit(X, y, groups=X["capture"])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert set(search.predict(X)) <= {"web", "chat"}


def test_arrow_times(make_sessions):
    """Times of an Arrow table are those of a NumPy one, and so are the folds."""
    X = make_sessions(per_capture=15)
    table = from_arrow(to_arrow(X))
    for a, b in zip(session_times(X), session_times(table), strict=True):
        np.testing.assert_allclose(a, b)
    folds = [list(ChronologicalSplit(2, per_group=True).split(t)) for t in (X, table)]
    np.testing.assert_array_equal(folds[0][1][0], folds[1][1][0])
