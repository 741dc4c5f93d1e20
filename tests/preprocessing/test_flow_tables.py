"""Preprocessing and selection on real CICFlowMeter tables of ISCX captures."""

import numpy as np
import pandas as pd
import pytest

from sktraffic.feature_selection import ForestSelector
from sktraffic.preprocessing import make_preprocessor

CAPTURES = ("vpn_icq_chat1a", "skype_audio1a", "sftp1", "aimchat1")
IDENTIFIERS = ["Flow ID", "Src IP", "Src Port", "Dst IP", "Dst Port", "Timestamp", "Label"]


@pytest.fixture
def flows(traffic_data):
    """Flows of four captures, one class each; the sparse one is the paper's vpn_icq_chat1a."""
    folder = traffic_data / "iscx_vpn2016" / "cicflow_per_capture"
    tables = [pd.read_csv(folder / f"{name}.csv") for name in CAPTURES]
    y = np.repeat(CAPTURES, [len(table) for table in tables])
    return pd.concat(tables, ignore_index=True), y


def test_flow_tables_become_standardised_numbers(flows):
    """Identifiers and constants are gone; the rest is finite, centred and of variance 1."""
    X, _ = flows
    pre = make_preprocessor(drop=IDENTIFIERS, categorical=["Protocol"])
    out = pre.set_output(transform="pandas").fit_transform(X)
    assert not set(IDENTIFIERS) & set(out.columns)
    assert {"Protocol_6", "Protocol_17"} <= set(out.columns)
    numbers = out[[name for name in out.columns if not name.startswith("Protocol_")]]
    np.testing.assert_allclose(numbers.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(numbers.std(ddof=0), 1)
    constant = X.columns[X.nunique() == 1]
    assert len(constant) > 0
    assert not set(constant) & set(out.columns)


def test_sparse_class_keeps_features_of_its_own(flows):
    """Each class keeps five; a planted mark of the sparse class is its best, a copy is shuffled."""
    X, y = flows
    Z = make_preprocessor(drop=IDENTIFIERS).set_output(transform="pandas").fit_transform(X)
    rng = np.random.default_rng(0)
    mark = 3.0 * (y == "vpn_icq_chat1a") + 0.3 * rng.normal(size=len(y))
    Z = Z.assign(mark=mark, shuffled=rng.permutation(mark))
    selector = ForestSelector(class_weight="balanced", random_state=0, n_estimators=40).fit(Z, y)
    scores = selector.class_importances_[selector.classes_.tolist().index("vpn_icq_chat1a")]
    assert Z.columns[scores.argmax()] == "mark"
    assert (selector.class_support_.sum(axis=1) == 5).all()
    assert "shuffled" not in selector.get_feature_names_out()
