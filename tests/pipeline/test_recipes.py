"""Pipelines by name: what the baseline of nearest neighbours measures, and names that are none."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sktraffic._compat import boosting_can_be_saved
from sktraffic.cli._choices import Model
from sktraffic.datasets import load_lab_sessions
from sktraffic.model_selection import has_twin
from sktraffic.persistence import UntrustedTypeError, load, save
from sktraffic.pipeline import make_estimator
from sktraffic.pipeline._features import KnownFeatures
from sktraffic.ragged import list_column


def table(sessions):
    """Session table of lists of (signed size, time)."""
    offsets = np.cumsum([0, *map(len, sessions)])
    signed, time = (np.array([p[i] for s in sessions for p in s], dtype=float) for i in (0, 1))
    columns = {
        "packet_size": list_column(np.abs(signed), offsets),
        "packet_direction": list_column(np.sign(signed).astype(np.int8), offsets),
        "packet_time": list_column(time, offsets),
    }
    return pd.DataFrame(columns)


def test_a_second_is_as_far_as_ten_bytes():
    """City-block distance over sizes, directions and intervals, by hand."""
    train = table([[(60, 0), (-500, 0)], [(60, 0), (500, 0)], [(60, 0), (-500, 3)]])
    knn = make_estimator("knn").set_params(clf__n_neighbors=3).fit(train, ["a", "b", "c"])
    features = knn[0].transform(table([[(61, 0), (-500, 1)]]))
    distance, number = knn[-1].kneighbors(features)
    assert distance.tolist() == [[11, 21, 1011]]  # one byte and 1 s, 1 byte and 2 s, another way
    assert number.tolist() == [[0, 2, 1]]


def test_a_twin_with_equal_times_decides():
    """A session that was there before gets the label that it had, whatever is near it."""
    sessions = [[(60, 0), (-90, 0)], [(60, 0), (-91, 0)], [(60, 0), (-92, 0)]]
    knn = make_estimator("knn").fit(table(sessions), ["a", "b", "b"])
    assert has_twin(table(sessions), table(sessions[:1])).all()
    assert knn.predict(table(sessions[:1])).tolist() == ["a"]
    assert knn[0].get_feature_names_out()[0] == "packet_0_signed_size"


def test_the_command_line_knows_the_names():
    """Every name makes an estimator; what is no name is refused."""
    assert make_estimator("knn")[-1].metric == "manhattan"
    assert {"forest", "best", "sequences", "knn"} <= {model.value for model in Model}
    with pytest.raises(ValueError, match="one of forest, best, sequences, knn"):
        make_estimator("nearest")


@pytest.mark.neural
def test_best_is_an_ensemble_that_learns_and_can_be_saved(tmp_path):
    """With small members: weights on unseen captures, probabilities of a fit a fold, a file."""
    X, y = load_lab_sessions(return_X_y=True)
    rows = np.flatnonzero(np.isin(y, ["chat", "file", "voip"]))[::3]
    X, y = X.iloc[rows].reset_index(drop=True), np.asarray(y)[rows]
    model = make_estimator("best", random_state=0).set_params(
        forest__clf__n_estimators=5,
        extra_trees__clf__n_estimators=5,
        boosting__clf__max_iter=3,
        sequences__max_epochs=1,
        sequences__n_channels=8,
        cv=2,
    )
    model.fit(X, y)
    assert model.score(X, y) > 0.8 and model.weights_.sum() == pytest.approx(1)
    assert list(model.members_["name"]) == ["forest", "extra_trees", "boosting", "sequences"]
    assert all(len(member.estimators_) == 2 for member in model.estimators_)
    if not boosting_can_be_saved():
        with pytest.raises(UntrustedTypeError, match="_loss"):
            save(model, tmp_path / "best.skt")
        return
    save(model, tmp_path / "best.skt")
    np.testing.assert_array_equal(
        load(tmp_path / "best.skt").predict_proba(X), model.predict_proba(X)
    )


@pytest.mark.neural
def test_sequences_is_the_network_with_a_seed():
    """The same estimator as by hand; so a grid over its parameters works."""
    from sktraffic.neural_network import PacketSequenceClassifier

    assert repr(make_estimator("sequences", 3)) == repr(PacketSequenceClassifier(random_state=3))


def test_known_features_are_those_of_the_table():
    """Messages and bytes where there are any, the rest always; names in order."""
    X = load_lab_sessions().data.iloc[:50]
    full = KnownFeatures(2).fit(X)
    bare = KnownFeatures(2).fit(X.drop(columns=["packet_message", "packet_bytes"]))
    assert full.transform(X).shape == (50, len(full.get_feature_names_out()))
    shared = np.isin(full.get_feature_names_out(), bare.get_feature_names_out())
    np.testing.assert_array_equal(full.transform(X)[:, shared], bare.transform(X))
    assert bare.get_feature_names_out()[-1] == "packet_1_iat"
    assert "tls_client_hello" in set(full.get_feature_names_out()) - set(
        bare.get_feature_names_out()
    )
    assert "token_258" in full.get_feature_names_out()
    null = X.assign(packet_message=None, packet_bytes=None)
    assert len(clone(full).fit(null).union_.transformer_list) == 3
