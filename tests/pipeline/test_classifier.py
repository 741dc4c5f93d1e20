"""CaptureClassifier: a capture is a sample; sessions inside vote."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktraffic.capture import CaptureError, CaptureWarning, SessionExtractor
from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionStatistics
from sktraffic.pipeline import CaptureClassifier, default_estimator
from sktraffic.sessions import IDENTITY


def test_sessions_learn_the_label_of_their_capture(captures, small_estimator):
    """The estimator sees what the extractor gives, each session with its capture's label."""
    paths, labels = captures
    clf = CaptureClassifier(small_estimator).fit(paths, labels)
    X = SessionExtractor().transform(paths)
    y = X["capture"].astype(object).map(dict(zip(paths, labels, strict=True))).to_numpy(dtype=str)
    alone = clone(small_estimator).fit(X, y)
    assert np.array_equal(clf.estimator_.predict_proba(X), alone.predict_proba(X))
    assert clf.class_counts_["captures"].tolist() == [4, 4, 4]
    assert clf.class_counts_["sessions"].tolist() == [(y == c).sum() for c in clf.classes_]


def test_a_capture_gets_the_mean_of_its_sessions_probabilities(fitted, captures):
    """predict_proba, counted by hand from the sessions; predict is its largest entry."""
    paths, _ = captures
    X = SessionExtractor().transform(paths)
    by_session = fitted.estimator_.predict_proba(X)
    expected = [by_session[(X["capture"] == path).to_numpy()].mean(axis=0) for path in paths]
    assert np.allclose(fitted.predict_proba(paths), expected)
    assert fitted.predict(paths).tolist() == fitted.classes_[np.argmax(expected, axis=1)].tolist()


def test_majority_counts_votes(fitted, captures, cache):
    """With vote="majority" the shares of sessions that chose each class decide."""
    paths, labels = captures
    clf = clone(fitted).set_params(vote="majority").fit(paths, labels)
    table = clf.predict_sessions(paths)
    share = pd.crosstab(table["capture"], table["label"], normalize="index")
    share = share.reindex(index=paths, columns=clf.classes_, fill_value=0)
    assert np.allclose(clf.predict_proba(paths), share)


def test_a_session_table_says_who_what_and_how_sure(fitted, captures):
    """Identity, best and second class, and an entropy between 0 and 1."""
    table = fitted.predict_sessions(captures[0][:2])
    X = SessionExtractor().transform(captures[0][:2])
    assert list(table.columns) == [*IDENTITY, "label", "probability", "second", "uncertainty"]
    assert table["src_ip"].tolist() == X["src_ip"].tolist()
    proba = np.sort(fitted.estimator_.predict_proba(X), axis=1)
    assert np.allclose(table["probability"], proba[:, -1])
    assert (table["label"] != table["second"]).all()
    assert table["uncertainty"].between(0, 1).all()
    certain = proba[:, -1] == 1
    assert (table["uncertainty"][certain] == 0).all() and certain.any()


@pytest.mark.parametrize("vote", ["probability", "majority"])
def test_a_table_of_sessions_decides_as_its_captures_do(fitted, captures, vote):
    """`decide` and `predict_sessions` on a table: what `predict` says, and nothing is read."""
    paths = captures[0][:3]
    X = fitted.extractor_.transform(paths)
    clf = copy.copy(fitted).set_params(vote=vote, cache="/nowhere")
    before = dict(vars(clf))
    table = clf.decide(X, [paths[2], paths[0], paths[1]])
    pd.testing.assert_frame_equal(clf.predict_sessions(X), fitted.predict_sessions(paths))
    assert vars(clf) == before
    plain = copy.copy(fitted).set_params(vote=vote, cache=None)
    order = [paths[2], paths[0], paths[1]]
    assert table["capture"].tolist() == order
    assert table["label"].tolist() == plain.predict(order).tolist()
    np.testing.assert_allclose(table["probability"], plain.predict_proba(order).max(axis=1))
    assert table["sessions"].sum() == len(X)
    assert clf.decide(X)["capture"].tolist() == paths


def test_captures_without_sessions_and_sessions_without_captures(fitted, captures):
    """The first are decided on as the training captures' shares, the second are an error."""
    paths = captures[0][:2]
    X = fitted.extractor_.transform(paths)
    with pytest.warns(CaptureWarning, match=r"1 of 3 captures have no session \(none.pcap\)"):
        table = fitted.decide(X, [*paths, "none.pcap"])
    assert table["sessions"].tolist()[-1] == 0
    assert table["probability"].tolist()[-1] == fitted.class_prior_.max()
    with pytest.raises(ValueError, match="does not name"):
        fitted.decide(X, paths[:1])


def test_order_and_repetition_of_captures_do_not_matter(fitted, captures):
    """A capture is predicted alike wherever, and however often, it stands."""
    paths, _ = captures
    once = dict(zip(paths, fitted.predict_proba(paths).tolist(), strict=True))
    mixed = [paths[3], paths[0], paths[3]]
    # the sessions stand in other rows here: sums may round otherwise
    np.testing.assert_allclose(fitted.predict_proba(mixed), [once[path] for path in mixed])
    assert fitted.predict(paths[0]).shape == (1,)


def test_a_grid_search_reaches_estimator_and_extractor(captures, cache, small_estimator):
    """GridSearchCV over both, scored by capture; the refitted best one predicts."""
    paths, labels = captures
    grid = {  # on cached sessions
        "estimator__randomforestclassifier__max_depth": [1, None],
        "extractor__max_packets": [5, None],
        "vote": ["probability", "majority"],
    }
    search = GridSearchCV(CaptureClassifier(small_estimator, cache=cache), grid, cv=2)
    search.fit(paths, labels)
    assert len(search.cv_results_["params"]) == 8
    for i in (0, 7):
        clf = CaptureClassifier(small_estimator, cache=cache)
        clf.set_params(**search.cv_results_["params"][i])
        scores = cross_val_score(clf, paths, labels, cv=2)
        assert scores.tolist() == [search.cv_results_[f"split{k}_test_score"][i] for k in (0, 1)]
    best = search.best_estimator_
    assert best.extractor_.max_packets == search.best_params_["extractor__max_packets"]
    depth = search.best_params_["estimator__randomforestclassifier__max_depth"]
    assert best.estimator_[-1].max_depth == depth
    assert search.predict(paths).shape == (12,)


def test_cross_validation_keeps_groups_together(captures, cache, small_estimator):
    """cross_validate with groups: each score is the share of right captures in its fold."""
    paths, labels = captures
    groups = np.tile([0, 1, 2, 3], 3)
    result = cross_validate(
        CaptureClassifier(small_estimator, cache=cache),
        paths,
        labels,
        groups=groups,
        cv=GroupKFold(4),
        return_estimator=True,
        return_indices=True,
    )
    for clf, test, score in zip(
        result["estimator"], result["indices"]["test"], result["test_score"], strict=True
    ):
        assert len(set(groups[test])) == 1
        assert score == np.mean(clf.predict([paths[i] for i in test]) == labels[test])


def test_defaults_take_their_place_when_their_parameters_are_set():
    """Nested parameters of None work, and survive cloning; None stays None otherwise."""
    clf = CaptureClassifier()
    clf.set_params(estimator__clf__n_estimators=7, extractor__idle_timeout=60)
    assert clf.estimator.named_steps["clf"].n_estimators == 7
    assert clf.extractor.idle_timeout == 60
    assert clone(clf).get_params()["extractor__idle_timeout"] == 60
    assert clone(CaptureClassifier()).estimator is None
    given = SessionExtractor(n_bytes=0)
    clf = CaptureClassifier(extractor=given).set_params(extractor__idle_timeout=5)
    assert clf.extractor is given and given.n_bytes == 0
    with pytest.raises(ValueError, match="no_such"):
        CaptureClassifier().set_params(extractor__no_such=1)


def test_the_default_estimator_does_not_look_at_addresses(captures, cache):
    """It learns the three services; other addresses and ports change nothing."""
    clf = CaptureClassifier(cache=cache).set_params(estimator__clf__n_estimators=10)
    clf.fit(*captures)
    assert clf.score(*captures) == 1
    X = SessionExtractor().transform(captures[0][0])
    other = X.assign(src_ip="192.0.2.1", dst_ip="192.0.2.2", src_port=1, dst_port=2, capture="x")
    proba = clf.estimator_.predict_proba
    assert np.array_equal(proba(X), proba(other))
    assert isinstance(default_estimator()[-1], RandomForestClassifier)


def test_training_in_pieces_reaches_what_training_at_once_does(captures, cache):
    """partial_fit through a Pipeline: the scaler and the classifier both go on learning."""
    paths, labels = captures
    pipeline = make_pipeline(
        SessionStatistics(), StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)
    )
    clf = CaptureClassifier(pipeline, cache=cache)
    with pytest.raises(ValueError, match="streaming were not announced"):
        clone(clf).partial_fit(paths[:8], labels[:8]).partial_fit(paths[8:], labels[8:])
    for half in (slice(0, None, 2), slice(1, None, 2)):
        clf.partial_fit(paths[half], labels[half], classes=np.unique(labels))
    sessions = len(SessionExtractor().transform(paths))
    assert clf.estimator_[1].n_samples_seen_ == sessions == clf.class_counts_["sessions"].sum()
    assert clf.class_counts_["captures"].tolist() == [4, 4, 4]
    assert clf.predict(paths).shape == (12,)
    assert not hasattr(
        CaptureClassifier(make_pipeline(SessionStatistics(), LinearSVC())), "partial_fit"
    )


def test_without_probabilities_sessions_can_still_vote(captures, cache):
    """LinearSVC: majority works, probability says what to do."""
    paths, labels = captures
    pipeline = make_pipeline(SessionStatistics(), StandardScaler(), LinearSVC(random_state=0))
    clf = CaptureClassifier(pipeline, vote="majority", cache=cache).fit(paths, labels)
    assert clf.predict_proba(paths).sum(axis=1) == pytest.approx(1)
    assert clf.predict_sessions(paths)["probability"].isna().all()
    clf.set_params(vote="probability")
    assert not hasattr(clf, "predict_proba")
    with pytest.raises(TypeError, match="vote='majority'"):
        clf.predict(paths)


def test_captures_without_sessions_get_the_class_shares(captures, tmp_path, small_estimator):
    """An unreadable capture that on_error skips is predicted as the prior, with a warning."""
    paths, labels = captures
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(b"no capture at all")
    extractor = SessionExtractor(on_error="skip")
    chosen = [0, 1, 4, 5, 6, 8]  # two chat, three email, one streaming
    clf = CaptureClassifier(small_estimator, extractor)
    clf.fit([paths[i] for i in chosen], labels[chosen])
    assert clf.class_prior_ == pytest.approx([2 / 6, 3 / 6, 1 / 6])
    with pytest.warns(CaptureWarning, match=r"1 of 2 captures have no session .*broken\.pcap"):
        proba = clf.predict_proba([paths[0], broken])
    assert proba[1] == pytest.approx(clf.class_prior_)
    with pytest.warns(CaptureWarning, match="no session"):
        assert clf.predict([broken]).tolist() == ["email"]
    assert len(clf.predict_sessions([broken])) == 0
    with pytest.raises(ValueError, match="None of the 2 captures has a session"):
        other = tmp_path / "other.pcap"
        other.write_bytes(b"nor this")
        clone(clf).fit([broken, other], ["a", "b"])


def test_errors_say_what_to_do(captures, tmp_path, small_estimator):
    """A folder, a missing file, a file named twice, labels that do not fit, no fit."""
    paths, labels = captures
    clf = CaptureClassifier(small_estimator)
    with pytest.raises(CaptureError, match="is a folder; one file a sample"):
        clf.fit([tmp_path], ["chat"])
    with pytest.raises(CaptureError, match="There is no file"):
        clf.fit([tmp_path / "none.pcap"], ["chat"])
    with pytest.raises(ValueError, match="named twice"):
        clf.fit([paths[0], paths[0]], ["chat", "chat"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(paths, labels[:-1])
    with pytest.raises(NotFittedError):
        clf.predict(paths)
    with pytest.raises(ValueError, match="vote"):
        CaptureClassifier(small_estimator, vote="loudest").fit(paths, labels)


def test_the_data_hash_names_captures_and_labels(fitted, captures, cache, small_estimator):
    """Order does not change it, a label does."""
    paths, labels = captures
    clf = CaptureClassifier(small_estimator, cache=cache)
    assert clf.fit(paths[::-1], labels[::-1]).data_hash_ == fitted.data_hash_
    other = labels.copy()
    other[0] = "email"
    assert clf.fit(paths, other).data_hash_ != fitted.data_hash_


def test_scikit_learn_knows_what_it_is(fitted):
    """Tags, parameters, representation; fitting leaves parameters alone."""
    assert is_classifier(fitted)
    tags = fitted.__sklearn_tags__()
    assert tags.input_tags.one_d_array and not tags.input_tags.two_d_array
    assert not hasattr(fitted.estimator[-1], "classes_")
    assert fitted.extractor is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "CaptureClassifier" in repr(fitted) and "CaptureClassifier" in fitted._repr_html_()


def test_the_default_estimator_learns_from_a_few_sessions():
    """Three sessions of two classes are enough; sizes that one session has are columns."""
    lab = load_lab_sessions()
    X = lab.data.iloc[[0, 1, 900]]
    model = default_estimator().fit(X, ["a", "a", "b"])
    assert set(model.predict(X)) <= {"a", "b"}
    names = model[0].get_feature_names_out()
    assert len(set(names)) == len(names) > 300
