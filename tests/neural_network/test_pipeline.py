"""The estimators inside scikit-learn's and imbalanced-learn's machinery."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import ADASYN
from imblearn.pipeline import Pipeline
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.preprocessing import StandardScaler

from sktraffic.neural_network import MLPClassifier, TransformerEnsemble

SMALL = {"max_epochs": 3, "random_state": 0, "device": "cpu", "early_stopping": False}
TINY = {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8}
X, Y = make_classification(
    150, 5, n_informative=4, n_redundant=0, n_classes=3, weights=[0.2, 0.3], random_state=0
)
LABELS = np.array(["chat", "voip", "p2p"])[Y]


def test_resampler_parameters_can_be_searched():
    """The sampler inside the estimator is a nested parameter."""
    clf = MLPClassifier(hidden_sizes=(8,), **SMALL, resampler=ADASYN())
    search = GridSearchCV(clf, {"resampler__n_neighbors": [2, 5]}, cv=2).fit(X, Y)
    assert search.best_estimator_.resampler.n_neighbors in (2, 5)


@pytest.mark.parametrize("clf", [MLPClassifier(**SMALL), TransformerEnsemble(2, **TINY, **SMALL)])
def test_pandas_in_and_out(clf):
    """A frame's names are kept, a transformer with pandas output may stand in front."""
    frame = pd.DataFrame(X, columns=list("abcde"))
    pipe = Pipeline([("scale", StandardScaler()), ("clf", clf)]).set_output(transform="pandas")
    pipe.fit(frame, pd.Series(LABELS, dtype="string"))
    assert pipe["clf"].feature_names_in_.tolist() == list("abcde")
    assert pipe.predict(frame.iloc[[3]])[0] in LABELS
    assert "clf" in pipe._repr_html_()


@pytest.mark.parametrize("clf", [MLPClassifier(**SMALL), TransformerEnsemble(2, **TINY, **SMALL)])
def test_metadata_routing_brings_groups_and_weights(clf):
    """With routing on, a search's groups reach the validation cut inside each fold."""
    groups = np.repeat(np.arange(30), 5)
    seen = []

    class Spy(type(clf)):
        def _fit_arrays(self, X, target, weight, groups, context, valid=None):
            seen.append((len(X), weight is not None, groups))
            return super()._fit_arrays(X, target, weight, groups, context, valid)

    with sklearn.config_context(enable_metadata_routing=True):
        spy = Spy(**clf.get_params()).set_params(early_stopping=True, validation_fraction=0.3)
        spy.set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=False)
        cross_validate(
            spy, X, Y, cv=GroupKFold(2), params={"groups": groups, "sample_weight": np.ones(150)}
        )
    assert [n for n, *_ in seen] == [75, 75] and all(weighted for _, weighted, _ in seen)
    assert not set(seen[0][2]) & set(seen[1][2])


def test_array_api_checks_run():
    """The checks that scikit-learn skips without SCIPY_ARRAY_API run and pass with it."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "array_api",
        os.path.join(os.path.dirname(__file__), "test_sklearn_checks.py"),
    ]  # fmt: skip
    run = subprocess.run(
        command, env={**os.environ, "SCIPY_ARRAY_API": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if run.returncode == 5:  # nothing collected
        pytest.skip("this scikit-learn has no check of the array API for classifiers")
    assert run.returncode == 0, run.stdout
    assert "skipped" not in run.stdout and " passed" in run.stdout
