"""Scores by capture, and the page they are put on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sktraffic.pipeline import CaptureClassifier
from sktraffic.report import HTMLReport, classify_captures, evaluate_captures
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
