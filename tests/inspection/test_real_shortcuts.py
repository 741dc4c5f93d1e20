"""The address shortcut that is known to be in USTC-TFC2016 is found there."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from sktraffic.feature_extraction import SessionStatistics
from sktraffic.inspection import shortcut_report
from sktraffic.ragged import list_column


@pytest.fixture(scope="module")
def ustc(traffic_data):
    """Session heads of all 20 classes as a session table, 1 in 3."""
    raw = pd.read_parquet(traffic_data / "ustc_tfc2016" / "session_heads_784B.parquet")[::3]
    raw = raw.reset_index(drop=True)
    offsets = np.concatenate([[0], np.cumsum(raw["ts"].map(len))])
    time = np.concatenate([np.asarray(ts) - ts[0] for ts in raw["ts"]])
    X = pd.DataFrame(
        {
            "src_ip": raw["src"],
            "dst_ip": raw["dst"],
            "src_port": raw["sport"],
            "dst_port": raw["dport"],
            "start": pd.to_datetime(raw["ts"].map(lambda ts: ts[0]), unit="s", utc=True),
            "packet_time": list_column(np.maximum(time, 0), offsets),
            "packet_size": list_column(np.concatenate(raw["orig_len"]), offsets),
            "packet_direction": list_column(np.concatenate(raw["direction"]), offsets),
        }
    )
    return X, raw["label"].to_numpy(dtype=str)


def test_addresses_leak_the_label(ustc):
    """Malware classes have 1 to 3 hosts: a table of addresses beats a tree that ignores them."""
    X, y = ustc
    hosts = X.groupby(y)["src_ip"].transform(lambda column: column.nunique()).to_numpy()
    few = hosts <= 3
    pipe = make_pipeline(
        SessionStatistics(), DecisionTreeClassifier(min_samples_leaf=3, random_state=0)
    )
    report = shortcut_report(pipe, X[few], y[few], cv=3, random_state=0)
    score = report.table["random_split"]
    assert len(set(y[few])) == 9
    assert "addresses look-up" in report.shortcuts, str(report)
    assert "addresses" not in report.shortcuts
    assert score["addresses look-up"] > score["as given"]
    assert score["labels permuted"] < score["most frequent class"] + 0.05
