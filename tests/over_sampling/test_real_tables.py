"""GuardedADASYN on real flow tables, on which imblearn's ADASYN raises."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import ADASYN

from sktraffic.over_sampling import GuardedADASYN

NAMES = ("hangouts_audio1a", "ftps_down_1a", "vpn_icq_chat1a", "vpn_aim_chat1a", "scpDown5")
COLUMNS = ["Tot Fwd Pkts", "Tot Bwd Pkts", "Protocol", "Flow Duration", "Pkt Len Mean"]


@pytest.fixture(scope="module")
def flows(traffic_data):
    """Five captures' flows as integers and a float, and their names."""
    folder = traffic_data / "iscx_vpn2016" / "cicflow_per_capture"
    tables = [pd.read_csv(folder / f"{name}.csv", usecols=COLUMNS)[COLUMNS] for name in NAMES]
    y = np.repeat(NAMES, [len(table) for table in tables])
    X = pd.concat(tables, ignore_index=True)
    # a single session of the last capture: what ADASYN cannot do anything with
    few = [*np.flatnonzero(y != "scpDown5").tolist(), int(np.argmax(y == "scpDown5"))]
    return X.iloc[few].reset_index(drop=True), y[few]


@pytest.mark.parametrize("level", ["median", "majority"])
def test_real_flows_with_a_lone_session(flows, level):
    """Imblearn raises; here every class reaches its level and every value stays possible."""
    X, y = flows
    with pytest.raises(ValueError):
        ADASYN(random_state=0).fit_resample(X, y)
    sampler = GuardedADASYN(level=level, random_state=0, categorical_features=["Protocol"])
    got, got_y = sampler.fit_resample(X, y)
    counts = pd.Series(got_y).value_counts()
    methods = dict(zip(sampler.report_["class"], sampler.report_["method"], strict=True))
    assert methods["scpDown5"] == "jitter"
    before = pd.Series(y).value_counts()
    wanted = counts.max() if level == "majority" else before.median()
    assert (counts >= 0.9 * wanted).all()
    assert got.dtypes.tolist() == X.dtypes.tolist()
    assert set(got["Protocol"]) <= {0, 6, 17}
    assert (got >= X.min()).all().all() and (got <= X.max()).all().all()
