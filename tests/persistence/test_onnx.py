"""ONNX graphs answer as the pipelines that they were made of."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import ByteTokens, SessionFeatures, SessionStatistics
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import RejectingClassifier
from sktraffic.over_sampling import GuardedADASYN
from sktraffic.persistence import to_onnx
from sktraffic.pipeline import CaptureClassifier, default_estimator
from sktraffic.preprocessing import make_preprocessor

onnxruntime = pytest.importorskip("onnxruntime", reason="graphs are run by onnxruntime")
pytest.importorskip("skl2onnx", reason="the extra onnx is not installed")

SHORT = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "early_stopping": False}


@pytest.fixture(scope="module")
def lab():
    """Return 90 bundled sessions of three services, and their labels."""
    X, y = load_lab_sessions(return_X_y=True, as_frame=False)
    chosen = np.concatenate([np.flatnonzero(y == c)[:30] for c in ("chat", "file", "voip")])
    return X.iloc[chosen].reset_index(drop=True), y[chosen]


def answers(model, X):
    """Run the graph of a model on its numeric input."""
    graph = to_onnx(model)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    notes = {prop.key: prop.value for prop in graph.metadata_props}
    integers = session.get_inputs()[0].type == "tensor(int64)"
    X = np.asarray(X, dtype=np.int64 if integers else np.float64)
    label, proba = session.run(["label", "probabilities"], {"X": X})
    # one row alone as well: nothing may depend on how many there are
    alone = session.run(["probabilities"], {"X": X[:1]})[0]
    np.testing.assert_allclose(alone, proba[:1], atol=1e-6)
    return label, proba, notes


def forest():
    """Return a small forest."""
    return RandomForestClassifier(30, max_depth=6, random_state=0)


TABLES = {
    "forest": lambda: make_pipeline(SimpleImputer(strategy="median"), forest()),
    "extra trees": lambda: make_pipeline(ExtraTreesClassifier(10, random_state=0)),
    "boosting": lambda: make_pipeline(GradientBoostingClassifier(n_estimators=5)),
    "selector": lambda: make_pipeline(
        ForestSelector(top_k=3, n_estimators=10, random_state=0),
        StandardScaler(),
        LogisticRegression(max_iter=500),
    ),
    "sampler": lambda: ImbalancedPipeline(
        [("s", StandardScaler()), ("b", GuardedADASYN(random_state=0)), ("clf", forest())]
    ),
    "preprocessor": lambda: make_pipeline(make_preprocessor(), GaussianNB()),
    "logarithms": lambda: make_pipeline(
        FunctionTransformer(np.log1p), MinMaxScaler(), LogisticRegression(max_iter=500)
    ),
    "calibrated": lambda: make_pipeline(
        StandardScaler(), CalibratedClassifierCV(LinearSVC(), cv=2)
    ),
    "nested": lambda: make_pipeline(make_pipeline(StandardScaler(), "passthrough"), forest()),
    "search": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), forest()), {"randomforestclassifier__max_depth": [2]}, cv=2
    ),
}


@pytest.mark.filterwarnings("ignore")  # tiny samples; the fits are not the point
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_features(name, lab):
    """Every kind of step, double input: predict_proba to 1e-5, and the labels."""
    X, y = SessionStatistics("extended").fit_transform(lab[0]), lab[1]
    if name in ("forest", "preprocessor"):
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    if name == "preprocessor":
        X[3, 4], X[5, 6] = np.inf, -np.inf
    model = TABLES[name]().fit(X, y)
    label, proba, notes = answers(model, X)
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)
    assert label.tolist() == model.predict(X).tolist()
    assert json.loads(notes["classes"]) == ["chat", "file", "voip"]


def test_session_tables_stay_outside(lab):
    """The graph begins behind the transformer of sessions, whose names it keeps."""
    X, y = lab
    model = make_pipeline(SessionFeatures(), SimpleImputer(), forest()).fit(X, y)
    features = model[0].transform(X)
    _, proba, notes = answers(model, features)
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)
    assert json.loads(notes["feature_names"]) == model[0].get_feature_names_out().tolist()


def test_a_union_of_session_features_stays_outside():
    """The default pipeline's features are a union; its graph begins behind it."""
    sessions = load_lab_sessions()
    X, y = sessions.data.iloc[::15], sessions.target.iloc[::15]
    model = default_estimator().set_params(clf__n_estimators=5).fit(X, y)
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    features = np.asarray(model[0].transform(X), dtype=np.float64)
    proba = session.run(None, {"X": features})[1]
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)


def test_named_columns_go_by_position(lab):
    """A preprocessor that learned names: the graph takes the same columns as an array."""
    X = SessionStatistics().set_output(transform="pandas").fit_transform(lab[0])
    model = make_pipeline(make_preprocessor(drop=["duration"]), LogisticRegression()).fit(X, lab[1])
    _, proba, notes = answers(model, X)
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)
    assert json.loads(notes["feature_names"]) == X.columns.tolist()


def test_columns_without_values_are_left_out(lab):
    """SimpleImputer drops a column that has no value, and its graph does."""
    X = SessionStatistics().fit_transform(lab[0])
    X[:, 2] = np.nan
    for keep in (False, True):
        imputer = SimpleImputer(keep_empty_features=keep)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "Skipping features"
            model = make_pipeline(imputer, StandardScaler(), forest()).fit(X, lab[1])
            np.testing.assert_allclose(answers(model, X)[1], model.predict_proba(X), atol=1e-5)


def test_captures_and_declining_inside_a_pipeline(lab):
    """A CaptureClassifier gives the graph of its sessions' classifier, wherever it may decline."""
    X, y = lab
    inner = RejectingClassifier(forest(), coverage=0.7)
    model = make_pipeline(SessionStatistics(), StandardScaler(), inner).fit(X, y)
    label, _, notes = answers(model, model[0].transform(X))
    assert json.loads(notes["classes"]) == ["chat", "file", "voip"]
    assert (label == "unknown").any() and set(label) - {"unknown"} <= set(y)
    whole = CaptureClassifier(model)
    whole.estimator_, whole.classes_ = model, model.classes_
    np.testing.assert_array_equal(answers(whole, model[0].transform(X))[0], label)


@pytest.mark.parametrize("kind", [str, "chat file voip".index, "chat".__eq__])
def test_labels_of_every_type_and_unknown(kind, lab):
    """Text, numbers and booleans; RejectingClassifier's unknown where it declines."""
    X = SessionStatistics().fit_transform(lab[0])
    y = np.array([kind(label) for label in lab[1]])
    plain = forest().fit(X, y)
    assert answers(plain, X)[0].tolist() == plain.predict(X).tolist()
    model = RejectingClassifier(make_pipeline(StandardScaler(), forest()), coverage=0.6).fit(X, y)
    label, proba, _ = answers(model, X)
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)
    unknown = model.unknown_label_
    clear = np.abs(model.confidence(X) - model.threshold_) > 1e-6
    assert label[clear].tolist() == model.predict(X)[clear].tolist()
    assert unknown in label.tolist()


def networks():
    """Return the networks by name, each with the input that it reads."""
    from sktraffic.neural_network import (
        CNNLSTM,
        BiGRUDABert,
        DeepPacketCNN,
        DeepPacketSAE,
        MLPClassifier,
        TransformerEnsemble,
    )

    bert = {"hidden_size": 8, "n_heads": 2, "n_layers": 1, "intermediate_size": 8}
    bert |= {"gru_hidden_size": 4, **SHORT}
    small = {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8, **SHORT}
    return {
        "mlp": (MLPClassifier((8,), **SHORT), "table"),
        "mlp, double": (MLPClassifier((8,), precision="float64", **SHORT), "table"),
        "mlp, one member": (MLPClassifier((8,), n_members=1, **SHORT), "table"),
        "mlp, linear": (MLPClassifier((8,), embedding="linear", **SHORT), "table"),
        "transformers": (TransformerEnsemble(2, **small), "table"),
        "transformers, tokens shared": (TransformerEnsemble(2, max_tokens=2, **small), "table"),
        "transformers, bins": (TransformerEnsemble(2, embedding="piecewise", **small), "table"),
        "bert on tokens": (BiGRUDABert(**bert), "tokens"),
        "bert on a table": (BiGRUDABert(**bert), "table"),
        "packet cnn": (DeepPacketCNN(n_filters=(4, 4), hidden_sizes=(4,), **SHORT), "tokens"),
        "packet sae": (DeepPacketSAE(hidden_sizes=(8, 4), **SHORT), "tokens"),
        "cnn-lstm": (CNNLSTM(**SHORT), "tokens"),
    }


NETWORKS = ("mlp", "mlp, double", "mlp, one member", "mlp, linear", "transformers",
            "transformers, tokens shared", "transformers, bins", "bert on tokens",
            "bert on a table", "packet cnn", "packet sae", "cnn-lstm")  # fmt: skip


@pytest.mark.neural
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, lab):
    """Behind a scaler or a tokeniser, rows shorter than others included; the fit stays as it is."""
    import torch

    clf, kind = networks()[name]
    first = ByteTokens(24, n_packets=2) if kind == "tokens" else SessionStatistics()
    scale = ["passthrough"] if kind == "tokens" else [StandardScaler()]
    model = make_pipeline(first, *scale, clf).fit(*lab)
    before = model.predict_proba(lab[0])
    state = torch.get_rng_state()
    label, proba, _ = answers(model, model[0].transform(lab[0]))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_allclose(proba, before, atol=1e-5)
    assert label.tolist() == model.predict(lab[0]).tolist()
    np.testing.assert_allclose(model.predict_proba(lab[0]), before, atol=1e-7)


def test_what_has_no_graph_is_named(lab):
    """The part that cannot go, and what to do."""
    X, y = SessionStatistics().fit_transform(lab[0]), lab[1]
    with pytest.raises(TypeError, match="sqrt has none"):
        to_onnx(make_pipeline(FunctionTransformer(np.sqrt), forest()).fit(X, y))
    with pytest.raises(TypeError, match="CalibratedClassifierCV"):
        to_onnx(make_pipeline(StandardScaler(), LinearSVC()).fit(X, y))
    with pytest.raises(TypeError, match="its confidence is a probability"):
        to_onnx(RejectingClassifier(LinearSVC()).fit(X, y))
    with pytest.raises(TypeError, match="inside another one"):
        to_onnx(RejectingClassifier(RejectingClassifier(forest())).fit(X, y))
    with pytest.raises(TypeError, match="no indicator is added"):
        to_onnx(make_pipeline(SimpleImputer(add_indicator=True), forest()).fit(X, y))
    text = pd.DataFrame({"kind": np.resize(["tcp", "udp"], 90), "n": np.arange(90.0)})
    with pytest.raises(TypeError, match="no ONNX graph"):
        to_onnx(make_pipeline(make_preprocessor(), forest()).fit(text, y))


def test_importing_needs_no_extra():
    """The packages are imported when a graph is made."""
    code = (
        "import sys, sktraffic.persistence\n"
        "sys.exit(bool({'onnx', 'skl2onnx', 'onnxruntime', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
