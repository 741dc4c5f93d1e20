"""Which types may be in a file: the package's, scikit-learn's, and what a user admits by name."""

import contextlib
import functools
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import all_estimators
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

import sktraffic
from sktraffic.persistence import (
    ModelFileError,
    UntrustedTypeError,
    load,
    read_provenance,
    save,
)
from sktraffic.persistence._trust import _OWN


def forest():
    """Return a small forest."""
    return RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0)


def public_estimators():
    """Return all classes of the package that are public and have parameters."""
    rooms = [m.name for m in pkgutil.iter_modules(sktraffic.__path__) if m.name[0] != "_"]
    for room in rooms:
        module = importlib.import_module(f"sktraffic.{room}")
        for name in getattr(module, "__all__", ()):
            cls = getattr(module, name)
            if name.startswith("Base") or not isinstance(cls, type):
                continue
            if hasattr(cls, "get_params") or hasattr(cls, "split"):
                yield cls


@pytest.mark.neural  # it looks into every room
def test_every_public_estimator_may_be_in_a_file():
    """Nothing that the package makes is foreign to it, wherever its class is moved."""
    found = {f"{cls.__module__}.{cls.__name__}" for cls in public_estimators()}
    assert len(found) >= 20
    assert found - set(_OWN) == set()


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    """Unfitted models, functions and foreign types are refused on saving, by name."""
    path = tmp_path / "model.skt"
    with pytest.raises(NotFittedError):
        save(forest(), path)
    model = make_pipeline(FunctionTransformer(print), forest())
    model.steps[-1][1].fit([[0], [1]], [0, 1])
    with pytest.raises(UntrustedTypeError, match="print"):
        save(model, path)
    model = forest().fit([[0], [1]], [0, 1])
    model.note_ = Foreign()
    with pytest.raises(UntrustedTypeError, match="Foreign"):
        save(model, path)
    assert not path.exists() and not list(tmp_path.iterdir())


def unsavable():
    """Return the classes that the page on model files says cannot be saved."""
    page = Path(__file__).parents[2] / "docs/user_guide/persistence.md"
    row = re.search(r"^Of scikit-learn: (.*?)\n\n", page.read_text("utf-8"), re.M | re.S)[1]
    return set(re.findall(r"`(\w+)`", row))


def made(cls):
    """Return an estimator with the least that its class needs."""
    special = {
        "ColumnTransformer": lambda: cls([("a", "passthrough", [0, 1])]),
        "FeatureUnion": lambda: cls([("a", StandardScaler())]),
        "FrozenEstimator": lambda: cls(LogisticRegression().fit(*SAMPLES)),
        "GaussianRandomProjection": lambda: cls(2),
        "SparseRandomProjection": lambda: cls(2, dense_output=True),
        "Pipeline": lambda: cls([("a", LogisticRegression())]),
        "PLSSVD": lambda: cls(1),
        "SelfTrainingClassifier": lambda: cls(LogisticRegression()),
        "SparseCoder": lambda: cls(np.eye(5)),
    }
    name = cls.__name__
    if name in special:
        return special[name]()
    if name.startswith(("Stacking", "Voting")):
        inner = Ridge() if name.endswith("Regressor") else LogisticRegression()
        return cls([("a", inner), ("b", clone(inner))])
    if name.endswith("SearchCV"):
        return cls(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2)
    for inner in ((), (LogisticRegression(),), (Ridge(),)):
        with contextlib.suppress(TypeError):
            return cls(*inner)
    raise AssertionError(name)


SAMPLES = make_classification(60, 5, random_state=0)


def fitted(cls):
    """Return a fitted estimator of scikit-learn, on input of the kind that it takes."""
    X, y = np.abs(SAMPLES[0]), SAMPLES[1]
    name, texts = cls.__name__, ["one two three", "two four"]
    target = np.c_[y, 1 - y] if "Chain" in name or "MultiOutput" in name else np.c_[y + X[:, 0], y]
    several = ("MultiTask", "MultiOutput", "PLS", "CCA", "RegressorChain", "ClassifierChain")
    data = (
        {"DictVectorizer": ([{"a": 1}, {"b": 2}],), "FeatureHasher": ([{"a": 1}],)}
        | {"IsotonicRegression": (X[:, 0], y), "KernelCenterer": (X @ X.T,)}
        | {"LabelBinarizer": (y,), "LabelEncoder": (y,), "MultiLabelBinarizer": ([[1], [2, 3]],)}
        | {"PatchExtractor": (np.zeros((2, 9, 9)),), "GammaRegressor": (X, y + 1.0)}
    ).get(name, (texts,) if "Vectorizer" in name else (X, y))
    if name.startswith(several):
        data = (X, target)
    return made(cls).fit(*data)


@pytest.mark.filterwarnings("ignore")  # nothing of how they fit is the point
def test_what_of_scikit_learn_cannot_be_saved_is_what_the_page_says(tmp_path):
    """Every public estimator, fitted: saved and loaded, or on the list of those that cannot be."""
    refused = set()
    for name, cls in all_estimators():
        model = fitted(cls)
        try:
            check_is_fitted(model)
        except NotFittedError:  # what old releases' FeatureHasher says of itself, always
            continue
        try:
            save(model, tmp_path / "model.skt")
        except ModelFileError:
            refused.add(name)
            continue
        assert type(load(tmp_path / "model.skt")) is cls
    page = unsavable()
    assert page <= refused
    if parse_version(sklearn.__version__) >= parse_version("1.9"):  # older ones: a few more
        assert refused == page


class Foreign:
    """A type that no list names."""


class OwnTransformer(TransformerMixin, BaseEstimator):
    """A transformer of a user's own, with a function among its parameters."""

    def __init__(self, function=None):
        self.function = function

    def fit(self, X, y=None):
        """Note a type and a mapping."""
        self.kind_, self.seen_ = float, {"rows": len(X)}
        return self

    def transform(self, X):
        """Call the function."""
        return self.function(X)


def doubled(X):
    """Return twice the values."""
    return 2 * np.asarray(X)


HERE = OwnTransformer.__module__


@pytest.mark.parametrize(
    "trusted", [[OwnTransformer, doubled], [f"{HERE}.OwnTransformer", f"{HERE}.doubled"]]
)
def test_types_of_a_users_own_are_admitted_by_name(tmp_path, trusted):
    """Named in `save` and in `load`, never by themselves; the file says which it needs."""
    path = tmp_path / "model.skt"
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.repeat(["a", "b"], 20)
    model = make_pipeline(OwnTransformer(doubled), LogisticRegression()).fit(X, y)
    for named in ((), trusted[:1], trusted[1:]):
        with pytest.raises(UntrustedTypeError, match="trusted="):
            save(model, path, trusted=named)
    save(model, path, trusted=[*trusted, "never.seen.Type"])
    assert read_provenance(path)["trusted"] == [f"{HERE}.OwnTransformer", f"{HERE}.doubled"]
    with pytest.raises(UntrustedTypeError, match="If you know who wrote it") as caught:
        load(path)
    assert caught.value.names == (f"{HERE}.OwnTransformer", f"{HERE}.doubled")
    with pytest.raises(UntrustedTypeError, match="doubled"):
        load(path, trusted=trusted[:1])
    back = load(path, trusted=trusted)
    assert np.array_equal(back.predict_proba(X), model.predict_proba(X))
    assert back[0].kind_ is float


@pytest.mark.parametrize("trusted", [True, "mypackage.Type", Foreign, None])
def test_trusted_is_a_list(tmp_path, trusted):
    """Everything, or one name without a list, is a mistake that is said."""
    model = forest().fit([[0], [1]], [0, 1])
    for call in (save, lambda model, path, trusted: load(path, trusted=trusted)):
        save(model, tmp_path / "model.skt")
        with pytest.raises(TypeError, match="must be a list of types"):
            call(model, tmp_path / "model.skt", trusted=trusted)
    with pytest.raises(TypeError, match="neither a type nor"):
        save(model, tmp_path / "model.skt", trusted=[3])


def test_methods_and_partial_functions_cannot_be_admitted(tmp_path):
    """They would be called with what the file says, so no name lets them in."""
    path = tmp_path / "model.skt"
    for function in (functools.partial(doubled), OwnTransformer(doubled).transform):
        model = OwnTransformer(function).fit([[1.0]])
        with pytest.raises(ModelFileError, match=r"Node\)"):
            save(model, path, trusted=[OwnTransformer, doubled, functools.partial])
