"""class_profile: the paper's kinds of traffic come out as it says."""

import numpy as np
import pandas as pd
import pytest

from sktraffic.inspection import class_profile, distinguishing_messages
from sktraffic.ragged import list_column


def sessions(parts):
    """Stack (time, size, direction, message) parts, one a session."""
    offsets = np.concatenate([[0], np.cumsum([len(part[0]) for part in parts])])
    columns = zip(*parts, strict=True)
    time, size, direction, message = (np.concatenate(column) for column in columns)
    return pd.DataFrame(
        {
            "packet_time": list_column(time.astype(float), offsets),
            "packet_size": list_column(size, offsets),
            "packet_direction": list_column(direction, offsets),
            "packet_message": list_column(message, offsets),
        }
    )


@pytest.fixture(scope="module")
def kinds():
    """Voice (a packet each 20 ms), file (full packets), chat (random sizes, random times)."""
    rng = np.random.default_rng(0)
    parts, y = [], []
    for _ in range(20):
        n = 300
        voice = 0.02 * np.arange(n)
        parts.append((voice, np.full(n, 200), np.ones(n, int), ["RTP: Voice"] * n))
        size = np.where(np.arange(n) % 3 == 2, 40, 1500)
        way = np.where(np.arange(n) % 3 == 2, -1, 1)
        gap = np.where(np.arange(n) % 3 == 2, 0.03, 0.001)
        parts.append((np.cumsum(gap), size, way, ["FTP: Data"] * n))
        gap = rng.lognormal(0, 2, n)
        size, way = rng.integers(40, 1000, n), rng.choice([-1, 1], n)
        parts.append((np.cumsum(gap), size, way, ["TLS: Client Hello", *["TLS: Data"] * (n - 1)]))
        y += ["voice", "file", "chat"]
    return sessions(parts), np.array(y)


def test_kinds_of_the_paper(kinds):
    """Chat has high entropy, voice low entropy and a strict rhythm, file full packets."""
    profile = class_profile(*kinds)
    assert list(profile.index) == ["chat", "file", "voice"]
    assert profile["entropy_rate"].idxmax() == "chat"
    assert profile.loc["voice", "entropy_rate"] == 0
    assert profile.loc["file", "entropy_rate"] < 1
    rhythm = profile.loc["voice", ["iat_autocorrelation", "iat_period", "burstiness"]]
    assert rhythm.tolist() == pytest.approx([1, 1, -1])
    assert profile.loc["file", "iat_period"] == 3
    assert profile.loc["file", "iat_autocorrelation"] > 0.9
    assert profile.loc["chat", "burstiness"] > 0.3
    assert profile["full_size_share"].round(3).tolist() == [0, 0.667, 0]
    assert (profile["packets"] == 6000).all()
    assert "bulk transfer" in profile.loc["file", "words"]
    assert "every 3 packets" in profile.loc["file", "words"]
    assert "steady rhythm" in profile.loc["voice", "words"]
    assert "hard to predict; bursts" in profile.loc["chat", "words"]
    assert "FTP: Data (100 % against 0 %)" in profile.loc["file", "messages"]


def test_messages_by_hand():
    """Two of three chats say hello, one of two others does: J = 2/3 - 1/2."""
    rows = [["hello"], ["hello", "hello"], ["x"], ["hello", "x"], ["x"]]
    parts = [
        (np.zeros(len(row)), np.ones(len(row), int), np.ones(len(row), int), row) for row in rows
    ]
    table = distinguishing_messages(sessions(parts), ["chat"] * 3 + ["web"] * 2, n_messages=None)
    assert table["class"].tolist() == ["chat", "web"]
    assert table["message"].tolist() == ["hello", "x"]
    np.testing.assert_allclose(table["share"], [2 / 3, 1.0])
    np.testing.assert_allclose(table["share_elsewhere"], [1 / 2, 1 / 3])
    np.testing.assert_allclose(table["difference"], [1 / 6, 2 / 3])


def test_order_of_rows_does_not_matter(kinds):
    """Shuffled sessions have the same profile."""
    X, y = kinds
    order = np.random.default_rng(1).permutation(len(X))
    pd.testing.assert_frame_equal(class_profile(X, y), class_profile(X.iloc[order], y[order]))


def test_only_times_and_sizes(kinds):
    """Direction and messages are optional; without messages there is no such column."""
    X, y = kinds
    profile = class_profile(X[["packet_time", "packet_size"]], pd.Series(y, index=X.index[::-1]))
    assert "messages" not in profile.columns
    assert profile.loc["voice", "entropy_rate"] == 0


def test_short_sessions_have_no_rhythm():
    """Sessions of one and three packets: counted, but no rhythm and no warning."""
    part = (np.zeros(1), np.array([60]), np.array([1]), ["DNS: Query"])
    three = (np.arange(3.0), np.array([60, 60, 60]), np.array([1, -1, 1]), ["a", "b", "c"])
    profile = class_profile(sessions([part, three, part]), ["x", "y", "x"])
    assert profile["rhythm_sessions"].tolist() == [0, 0]
    assert profile[["iat_autocorrelation", "iat_period", "burstiness"]].isna().all(axis=None)
    assert np.isnan(profile.loc["x", "entropy_rate"])
    assert profile.loc["y", "entropy_rate"] == 0
    assert profile["words"].str.contains("small packets").all()


def test_errors_say_what_is_wrong(kinds):
    """A wrong table, a missing column, classes of another length."""
    X, y = kinds
    with pytest.raises(TypeError, match="session table"):
        class_profile(np.eye(3), [0, 1, 2])
    with pytest.raises(ValueError, match="packet_time"):
        class_profile(X.drop(columns="packet_time"), y)
    with pytest.raises(ValueError, match="inconsistent"):
        class_profile(X, y[:-1])
