"""class_profile on real sessions of Android apps, against a plain loop."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sktraffic.inspection import SequenceProfileDisplay, class_profile
from sktraffic.ragged import list_column


@pytest.fixture
def apps(traffic_data):
    """Two thousand flows: the lengths and intervals as given, and as a session table."""
    path = traffic_data / "android_apps_fgnet" / "d1_visible_apps.parquet"
    table = pq.read_table(path, columns=["app", "packet_length", "iat"])
    flows = table.take(np.arange(0, table.num_rows, 13)).to_pandas()
    flows = flows[flows["packet_length"].map(len) > 0].reset_index(drop=True)
    lengths = flows["packet_length"].map(len).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    size = np.concatenate(flows["packet_length"].to_numpy()).astype(np.int64)
    times = [np.cumsum(np.append(0.0, iat[1:])) for iat in flows["iat"]]
    X = pd.DataFrame(
        {
            "packet_time": list_column(np.concatenate(times), offsets),
            "packet_size": list_column(np.abs(size), offsets),
            "packet_direction": list_column(np.where(size < 0, -1, 1), offsets),
        }
    )
    return flows, times, X


def peak_of(iat, max_lag=32):
    """Largest local maximum of the autocorrelation from lag 2 on, by NumPy's own correlate."""
    x = iat - iat.mean()
    full = np.correlate(x, x, mode="full")[len(x) - 1 :] / (x @ x)
    r = np.append(full, np.zeros(max_lag + 2))[: max_lag + 1]
    inner = [
        r[lag]
        for lag in range(2, max_lag + 1)
        if r[lag] > r[lag - 1] and (lag == max_lag or r[lag] >= r[lag + 1])
    ]
    return max([0.0, *inner])


def test_profile_agrees_with_a_loop(apps):
    """Full-size share, autocorrelation peak and burstiness, app by app."""
    flows, times, X = apps
    profile = class_profile(X, flows["app"])
    for app in profile.index[:5]:
        mine = np.flatnonzero(flows["app"] == app)
        sizes = np.abs(np.concatenate([flows["packet_length"][i] for i in mine]))
        assert profile.loc[app, "full_size_share"] == pytest.approx((sizes >= 1400).mean())
        iats = [np.round(np.diff(times[i]), 9) for i in mine if len(times[i]) >= 10]
        assert profile.loc[app, "rhythm_sessions"] == len(iats)
        peaks = [peak_of(iat) for iat in iats if np.ptp(iat) > 0]
        assert profile.loc[app, "iat_autocorrelation"] == pytest.approx(np.median(peaks))
        burst = []
        for iat in iats:
            r, n = iat.std() / iat.mean(), len(iat)
            high, low = np.sqrt(n + 1), np.sqrt(n - 1)
            burst.append((high * r - low) / ((high - 2) * r + low))
        assert profile.loc[app, "burstiness"] == pytest.approx(np.median(burst))


def test_mean_sequence_agrees_with_a_loop(apps):
    """The mean signed size of the first packets is the difference of the two bars."""
    flows, _, X = apps
    app = flows["app"].value_counts().index[0]
    mine = flows["app"] == app
    display = SequenceProfileDisplay.from_sessions(X[mine], flows["app"][mine], n_packets=5)
    forward, backward, _ = display.profiles[app]
    for i in range(5):
        here = [row[i] for row in flows["packet_length"][mine] if len(row) > i]
        assert forward[i] + backward[i] == pytest.approx(np.mean(here))
