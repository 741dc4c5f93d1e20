"""ProtocolMatrix and SessionFeatures: counts by hand and by plain Python."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sktraffic.feature_extraction import ProtocolMatrix, SessionFeatures, SessionStatistics
from sktraffic.messages import MESSAGES
from sktraffic.ragged import list_column


def table(*sessions):
    """Session table from lists of messages."""
    flat = [message for session in sessions for message in session]
    offsets = np.cumsum([0] + [len(s) for s in sessions])
    return pd.DataFrame({"packet_message": list_column(flat, offsets, pa.string())})


HELLO, ACK, QUERY = "TLS: Client Hello", "TCP: ACK", "DNS: Query A"


def test_fixed_vocabulary_counts_by_hand():
    """Counts of three known messages and one unknown, in columns named after them."""
    X = table([ACK, HELLO, ACK, "Gopher: Menu"], [QUERY], [])
    out = ProtocolMatrix().set_output(transform="pandas").fit_transform(X)
    assert len(out.columns) == len(MESSAGES) + 1
    named = out[["tcp_ack", "tls_client_hello", "dns_query_a", "other_messages"]]
    np.testing.assert_array_equal(named, [[2, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(out.sum(axis=1), [4, 1, 0])


def test_counts_equal_plain_python(make_sessions, rng):
    """F[p][f] of random sessions is what a Counter over their messages says."""
    X = make_sessions(50, rng)
    matrix = ProtocolMatrix("learned").fit(X)
    expected = [[Counter(row)[m] for m in matrix.vocabulary_] for row in X["packet_message"]]
    np.testing.assert_array_equal(matrix.transform(X)[:, :-1], expected)


def test_nothing_is_lost(make_sessions, rng):
    """Each row sums to the session's packets, also with a vocabulary that knows one message."""
    X = make_sessions(50, rng)
    for vocabulary in ("fixed", "learned", [HELLO]):
        out = ProtocolMatrix(vocabulary).fit_transform(X)
        np.testing.assert_array_equal(out.sum(axis=1), X["packet_count"])


def test_learned_vocabulary_keeps_frequent_messages():
    """Only messages in at least two packets stay; the rest counts as other."""
    X = table([ACK, HELLO, ACK, QUERY], [QUERY])
    matrix = ProtocolMatrix("learned", min_count=2).fit(X)
    assert matrix.vocabulary_ == (QUERY, ACK)
    np.testing.assert_array_equal(matrix.transform(X), [[1, 2, 1], [1, 0, 0]])


def test_learned_vocabulary_stays_with_new_messages():
    """A message seen only after fit is other, and makes no column."""
    matrix = ProtocolMatrix("learned").fit(table([ACK]))
    np.testing.assert_array_equal(matrix.transform(table([HELLO, ACK, HELLO])), [[1, 2]])


def test_sequence_keeps_its_order_and_ignores_the_rest():
    """A given vocabulary gives its columns in its order; "ignore" drops the last column."""
    matrix = ProtocolMatrix([HELLO, ACK], handle_unknown="ignore")
    np.testing.assert_array_equal(matrix.fit_transform(table([ACK, QUERY, ACK])), [[0, 2]])
    assert list(matrix.get_feature_names_out()) == ["tls_client_hello", "tcp_ack"]


def test_missing_message_of_a_packet_is_other():
    """A packet without a message is counted, as other."""
    out = ProtocolMatrix([ACK]).fit_transform(table([ACK, None, None]))
    np.testing.assert_array_equal(out, [[1, 2]])


def test_normalise():
    """Shares sum to one; binary says only whether a message occurs."""
    X = table([ACK, ACK, HELLO, "Gopher: Menu"], [])
    shares = ProtocolMatrix([ACK, HELLO], normalise="count").fit_transform(X)
    np.testing.assert_array_equal(shares, [[0.5, 0.25, 0.25], [0, 0, 0]])
    binary = ProtocolMatrix([ACK, HELLO], normalise="binary").fit_transform(X)
    np.testing.assert_array_equal(binary, [[1, 1, 1], [0, 0, 0]])


def test_protocol_set_sees_unknown_messages_of_known_protocols():
    """P has TLS although that TLS message is not in the vocabulary; Gopher is another."""
    X = table([ACK, "TLS: Unheard Of"], ["Gopher: Menu"])
    matrix = ProtocolMatrix([ACK, HELLO], protocol_set=True).set_output(transform="pandas")
    out = matrix.fit_transform(X)[["other_messages", "has_tcp", "has_tls", "has_other"]]
    np.testing.assert_array_equal(out, [[1, 1, 1, 0], [1, 0, 0, 1]])


def test_messages_with_the_same_name_stay_apart():
    """Messages that differ only in signs get numbered columns."""
    matrix = ProtocolMatrix(["HTTP: GET", "http: get", "HTTP-GET"]).fit(table([ACK]))
    assert list(matrix.get_feature_names_out())[:3] == ["http_get", "http_get_2", "http_get_3"]


def test_fixed_names_are_distinct():
    """No two fixed messages share a name, so none needs a number."""
    names = ProtocolMatrix(protocol_set=True).fit(table([ACK])).get_feature_names_out()
    assert len(set(names)) == len(names)
    assert not any(name.endswith("_2") for name in names)


def test_null_messages_are_refused():
    """A session whose messages nobody recorded is an error that says which row."""
    X = table([ACK], [ACK])
    X["packet_message"] = X["packet_message"].where([True, False])
    with pytest.raises(ValueError, match=r"null in 1 of 2 rows .*first in row 1"):
        ProtocolMatrix().fit(X)
    with pytest.raises(ValueError, match="null in 1 of 2"):
        ProtocolMatrix().fit(table([ACK])).transform(X)


@pytest.mark.parametrize(
    ("vocabulary", "match"),
    [([], "is empty"), ([ACK, ACK], "repeats"), ([ACK, 3], "has 3"), ("some", "vocabulary")],
)
def test_bad_vocabularies_are_refused(vocabulary, match):
    """Empty, repeated and foreign entries are named."""
    with pytest.raises(ValueError, match=match):
        ProtocolMatrix(vocabulary).fit(table([ACK]))


def test_nothing_to_learn_is_an_error():
    """A learned vocabulary without a frequent message is refused, with a remedy."""
    with pytest.raises(ValueError, match=r"No message occurs in at least 5 .*Lower min_count"):
        ProtocolMatrix("learned", min_count=5).fit(table([ACK]))


def test_session_features_are_both(make_sessions, rng):
    """SessionFeatures is the statistics and the matrix side by side, names included."""
    X = make_sessions(20, rng)
    options = {"vocabulary": "learned", "normalise": "count", "protocol_set": True}
    statistics = {"size_bins": 10, "iat_bins": [0.001, 0.1], "quantiles": (0.1, 0.9)}
    parts = SessionStatistics("extended", **statistics), ProtocolMatrix(**options)
    both = SessionFeatures("extended", **statistics, **options)
    expected = np.hstack([part.fit_transform(X) for part in parts])
    np.testing.assert_array_equal(both.fit_transform(X), expected)
    names = [name for part in parts for name in part.get_feature_names_out()]
    assert list(both.get_feature_names_out()) == names


def test_session_features_share_the_defaults():
    """Every parameter of the parts is one of the whole, with the same default."""
    both = SessionFeatures().get_params()
    assert both == SessionStatistics().get_params() | ProtocolMatrix().get_params()
