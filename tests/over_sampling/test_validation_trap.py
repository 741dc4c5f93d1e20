"""Over-sampling before the validation cut makes early stopping watch a flattering score."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sktraffic.over_sampling import GuardedADASYN

pytestmark = pytest.mark.neural


@pytest.fixture(scope="module")
def gaps():
    """Inside score less test score, with ADASYN before the cut and after it, for three seeds."""
    from sktraffic.neural_network import MLPClassifier

    out = {"before": [], "after": []}
    for seed in range(3):
        X, y = make_classification(
            n_samples=900,
            n_features=9,
            n_informative=5,
            n_classes=4,
            weights=[0.7, 0.14, 0.1, 0.06],
            class_sep=0.6,
            flip_y=0.05,
            random_state=seed,
        )
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
        net = MLPClassifier(
            hidden_sizes=(64,),
            max_epochs=40,
            patience=10,
            batch_size=128,
            validation_fraction=0.25,
            monitor="f1_macro",
            early_stopping=True,
            embedding="linear",
            dropout=0.3,
            lr=0.005,
            warmup_ratio=0.0,
            random_state=seed,
        )
        sampler = GuardedADASYN(random_state=seed, level="majority")
        before = net.fit(*sampler.fit_resample(X, y))
        inside = before.history_["f1_macro"].max()
        out["before"].append(inside - f1_score(y_test, before.predict(X_test), average="macro"))
        after = net.set_params(resampler=sampler).fit(X, y)
        inside = after.history_["f1_macro"].max()
        out["after"].append(inside - f1_score(y_test, after.predict(X_test), average="macro"))
    return out


def test_before_the_cut_the_inside_score_flatters(gaps):
    """Early stopping watches synthetic neighbours of its training points: 0.15 too high or more."""
    assert min(gaps["before"]) > 0.15


def test_resampler_makes_the_inside_score_honest(gaps):
    """After the cut, on real sessions, it agrees with the test on average."""
    assert abs(np.mean(gaps["after"])) < 0.06
    assert max(gaps["after"]) < min(gaps["before"]) / 2
