"""Twins: equal packet sequences on both sides, found as a plain comparison finds them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.datasets import load_lab_sessions
from sktraffic.model_selection import has_twin
from sktraffic.ragged import list_column


def table(sessions):
    """Session table of lists of signed sizes."""
    offsets = np.cumsum([0, *map(len, sessions)])
    signed = np.array([size for session in sessions for size in session], dtype=np.int64)
    return pd.DataFrame(
        {
            "packet_size": list_column(np.abs(signed), offsets),
            "packet_direction": list_column(np.sign(signed).astype(np.int8), offsets),
        }
    )


sequences = st.lists(
    st.lists(st.sampled_from([-1500, -60, 60, 1500]), max_size=4), min_size=1, max_size=8
)


@given(sequences, sequences, st.integers(1, 5))
def test_a_twin_is_an_equal_list(train, test, n_packets):
    """As comparing the lists themselves says, cut after the first packets."""
    known = {tuple(session[:n_packets]) for session in train}
    expected = [tuple(session[:n_packets]) in known for session in test]
    assert has_twin(table(train), table(test), n_packets=n_packets).tolist() == expected


def test_every_session_is_its_own_twin():
    """On recorded sessions; and one byte more is another session."""
    X = load_lab_sessions().data.iloc[:300]
    assert has_twin(X, X).all()
    assert not has_twin(table([[60, -1500]]), table([[60, -1501]])).any()


def test_errors_name_what_is_wrong():
    """No packet to compare; a table without packets."""
    with pytest.raises(ValueError, match="n_packets is 0"):
        has_twin(table([[60]]), table([[60]]), n_packets=0)
    with pytest.raises(ValueError, match="packet_direction"):
        has_twin(table([[60]]).drop(columns="packet_direction"), table([[60]]))
