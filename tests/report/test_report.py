"""Scores by capture, and the page they are put on."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sktraffic.datasets import lab_captures
from sktraffic.pipeline import CaptureClassifier, make_estimator
from sktraffic.ragged import list_column
from sktraffic.report import (
    HTMLReport,
    classify_captures,
    evaluate_captures,
    evaluation_report,
)
from sktraffic.sessions import IDENTITY


class Oracle(CaptureClassifier):
    """A classifier of captures whose sessions say what they will be called."""

    def __init__(self):
        super().__init__(vote="majority")
        self.extractor_ = None
        self.classes_ = np.array(["chat", "mail"])
        self.class_prior_ = np.array([0.6, 0.4])
        self.estimator_ = SimpleNamespace(predict=lambda X: X["answer"].to_numpy(dtype="U"))


def table(answers):
    """Return a session table of captures and the labels that their sessions will get."""
    rows = [(path, label) for path, labels in answers.items() for label in labels]
    X = pd.DataFrame(rows, columns=["capture", "answer"]).astype({"capture": object})
    return X.assign(**{name: 0 for name in IDENTITY if name != "capture"})


ANSWERS = {"a": ["chat", "chat", "mail"], "b": ["mail", "mail"], "c": ["chat"]}


def evaluate(captures, labels):
    """Score the oracle on some captures."""
    X = table({name: ANSWERS[name] for name in captures})
    return evaluate_captures(Oracle(), captures, labels, sessions=X)


def test_scores_by_hand():
    """Five of six sessions are right when a is chat, b mail and c chat; every capture is."""
    found = evaluate(["a", "b", "c"], ["chat", "mail", "chat"])
    assert found.scores["accuracy"] == pytest.approx(5 / 6)
    assert found.scores["capture_accuracy"] == 1
    # chat: recall 3/4, precision 1; mail: recall 1, precision 2/3
    assert found.scores["f1_macro"] == pytest.approx((6 / 7 + 4 / 5) / 2)
    assert found.confusion().to_numpy().tolist() == [[3, 1], [0, 2]]
    assert found.captures["sessions"].tolist() == [3, 2, 1]
    assert found.per_class["captures"].tolist() == [2, 1]


def test_classes_that_are_not_there_do_not_count():
    """Macro F1 is over the true classes; a call outside them costs recall only."""
    found = evaluate(["a", "c"], ["chat", "chat"])
    assert found.scores["f1_macro"] == pytest.approx(6 / 7)


def test_classifying_a_table_reads_nothing():
    """Decisions on sessions and on captures, these in the order asked for."""
    oracle = Oracle()
    before = dict(vars(oracle))
    X = table({name: ANSWERS[name] for name in "ab"})
    sessions, captures = classify_captures(oracle, ["b", "a"], sessions=X)
    assert vars(oracle) == before
    assert captures["label"].tolist() == ["mail", "chat"]
    assert captures["probability"].tolist() == pytest.approx([1, 2 / 3])
    assert sessions["label"].tolist() == [*ANSWERS["a"], *ANSWERS["b"]]


def packets(X, sizes):
    """Give sessions one packet each, of these sizes."""
    offsets = np.arange(len(X) + 1)
    columns = {"packet_size": sizes, "packet_direction": np.ones(len(X), np.int8)}
    return X.assign(**{name: list_column(v, offsets) for name, v in columns.items()})


def test_scores_without_twins_by_hand():
    """Three of six sessions were in training already; their table is that of the two sides."""
    X = packets(table(ANSWERS), [60, 61, 62, 63, 64, 65])
    training = packets(table({"t": ["chat"] * 3}), [60, 63, 65])
    names, labels = ["a", "b", "c"], ["chat", "mail", "chat"]
    found = evaluate_captures(Oracle(), names, labels, sessions=X, training_sessions=training)
    assert found.sessions["twin"].tolist() == [True, False, False, True, False, True]
    assert found.twins["sessions"].tolist() == [6, 3, 3]
    assert found.twins["accuracy"].tolist() == pytest.approx([5 / 6, 1, 2 / 3])
    assert evaluate_captures(Oracle(), names, labels, sessions=X).twins is None


def test_the_page_holds_twins_drift_and_other_networks(tmp_path):
    """Their sections are there where something is known of them, and only there."""
    paths, labels = (np.asarray(each) for each in lab_captures())
    few = [i for name in ("chat", "vpn_voip") for i in np.flatnonzero(labels == name)[:4]]
    paths, labels = paths[few], labels[few]
    clf = CaptureClassifier(make_estimator("knn"), cache=tmp_path).fit(paths[::2], labels[::2])
    sessions, training = (clf.extractor_.extract(p)[0] for p in (paths[1::2], paths[::2]))
    found = evaluate_captures(
        clf, paths[1::2], labels[1::2], sessions=sessions, training_sessions=training
    )
    curve = pd.DataFrame({"block": [0, 1], "after": [60.0, 120.0], "score": [0.9, 0.8]})
    sides = ["office", "home"]
    pairs = pd.DataFrame({"train": np.repeat(sides, 2), "test": sides * 2, "score": [1, 0.5] * 2})
    page = evaluation_report(clf, found, drift=curve, transfer=pairs).to_html()
    headings = ("Sessions that were there before", "Later", "Other networks")
    assert all(f"<h2>{heading}</h2>" in page for heading in headings)
    known = int(found.twins.loc["with twin", "sessions"])
    assert f"{known} of the {len(sessions)} sessions" in page
    plain = evaluation_report(clf, dataclasses.replace(found, twins=None)).to_html()
    assert not any(heading in plain for heading in headings)


def test_no_session_is_an_error():
    """Nothing can be scored."""
    with pytest.raises(ValueError, match="has a session"):
        evaluate_captures(Oracle(), ["a"], ["chat"], sessions=table({"a": ["chat"]})[:0])


def test_text_is_escaped_and_figures_are_inside(tmp_path):
    """Nothing in a page is loaded from elsewhere, no text becomes markup."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    page = HTMLReport("<title>", "a & b").add_heading("<h>").add_text('"x" < y')
    page.add_cards({"<n>": "<1>"}).add_table(pd.DataFrame({"<c>": ["<v>"], "n": [1.23456]}))
    page.add_figure(figure, "<caption>").add_figures([(figure, "two")])
    text = page.save(tmp_path / "page.html").read_text("utf-8")
    for raw in ("<title><", "<h>", "<1>", "<c>", "<v>", "<caption>&", "<n>"):
        assert raw not in text.replace("<title>&lt;title&gt;", "")
    assert "1.235" in text
    assert text.count("data:image/svg+xml;base64,") == 2
    assert "http" not in text
    again = HTMLReport("t").add_figure(figure).to_html()
    assert again == HTMLReport("t").add_figure(figure).to_html()
