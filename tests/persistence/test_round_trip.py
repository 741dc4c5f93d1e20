"""What is saved comes back: the same parameters, attributes and probabilities."""

import contextlib
import json
import os
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import ADASYN
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from pandas.core.generic import NDFrame
from sklearn._loss._loss import CyHalfMultinomialLoss
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktraffic.capture import SessionExtractor
from sktraffic.cluster import OPTICSDBSCAN, ElbowGaussianMixture, ElbowKMeans
from sktraffic.datasets import lab_captures, load_lab_sessions
from sktraffic.ensemble import SelectionEnsemble
from sktraffic.feature_extraction import (
    ByteTokens,
    PacketSequences,
    ProtocolMatrix,
    SessionFeatures,
    SessionStatistics,
)
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import CaptureKFold, RejectingClassifier
from sktraffic.over_sampling import GuardedADASYN
from sktraffic.persistence import (
    ModelFileError,
    ModelMismatchError,
    ModelMismatchWarning,
    UntrustedTypeError,
    load,
    read_provenance,
    save,
)
from sktraffic.persistence._portable import portable
from sktraffic.persistence._sound import _reachable
from sktraffic.pipeline import CaptureClassifier
from sktraffic.preprocessing import make_preprocessor
from sktraffic.sessions import write_sessions

with contextlib.suppress(ImportError):  # the tests of networks are skipped without torch
    from sktraffic.neural_network import (
        CNNLSTM,
        BiGRUDABert,
        DeepPacketCNN,
        DeepPacketSAE,
        MaskedByteModel,
        MLPClassifier,
        PacketSequenceClassifier,
        TransformerEnsemble,
    )

BYTES = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "early_stopping": False}

# the losses of some releases of scikit-learn say that they are in a module `_loss` of nobody's
OLD_LOSSES = not CyHalfMultinomialLoss.__module__.startswith("sklearn.")


@pytest.fixture(scope="module")
def lab():
    """Return 90 bundled sessions of three services, and their labels."""
    X, y = load_lab_sessions(return_X_y=True, as_frame=False)
    chosen = np.concatenate([np.flatnonzero(y == c)[:30] for c in ("chat", "file", "voip")])
    return X.iloc[chosen].reset_index(drop=True), y[chosen]


def forest():
    """Return a small forest."""
    return RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0)


TABLES = {
    "forest": lambda: make_pipeline(SessionFeatures(), forest()),
    "extra trees": lambda: make_pipeline(SessionStatistics("extended"), ExtraTreesClassifier(5)),
    "preprocessor": lambda: make_pipeline(
        SessionStatistics("extended").set_output(transform="pandas"), make_preprocessor(), forest()
    ),
    "selection": lambda: SelectionEnsemble(
        [("a", make_pipeline(SessionStatistics(), forest())), ("b", DummyClassifier())]
    ),
    "means of fits": lambda: SelectionEnsemble(
        [("a", make_pipeline(SessionStatistics(), forest()))], refit=False
    ),
    "boosting": lambda: make_pipeline(
        SessionStatistics(), GradientBoostingClassifier(n_estimators=3)
    ),
    "calibrated": lambda: make_pipeline(
        SessionStatistics(), StandardScaler(), CalibratedClassifierCV(LinearSVC(), cv=2)
    ),
    "matrix": lambda: make_pipeline(ProtocolMatrix(vocabulary="learned"), forest()),
    "sequences": lambda: make_pipeline(PacketSequences(8), StandardScaler(), LogisticRegression()),
    "selector": lambda: make_pipeline(SessionStatistics(), ForestSelector(top_k=3), forest()),
    "clusters": lambda: make_pipeline(
        SessionStatistics(), StandardScaler(), ElbowKMeans(random_state=0), forest()
    ),
    "adasyn": lambda: ImbalancedPipeline(
        [("f", SessionStatistics()), ("b", GuardedADASYN(random_state=0)), ("clf", forest())]
    ),
    "rejecting": lambda: RejectingClassifier(make_pipeline(SessionStatistics(), forest())),
    "search": lambda: GridSearchCV(
        make_pipeline(SessionStatistics(), forest()),
        {"randomforestclassifier__max_depth": [2, 4]},
        cv=CaptureKFold(2),
        scoring="f1_macro",
    ),
    "mlp": lambda: ImbalancedPipeline(
        [
            ("f", SessionStatistics()),
            ("s", StandardScaler()),
            ("b", ADASYN(random_state=0)),
            ("clf", MLPClassifier(hidden_sizes=(8,), **BYTES)),
        ]
    ),
    "ensemble": lambda: make_pipeline(
        SessionStatistics(),
        StandardScaler(),
        TransformerEnsemble(d_token=8, n_heads=2, n_layers=1, d_hidden=8, n_members=2, **BYTES),
    ),
    "bert": lambda: make_pipeline(
        ByteTokens(16),
        BiGRUDABert(
            hidden_size=8, n_heads=2, n_layers=1, intermediate_size=8, gru_hidden_size=4, **BYTES
        ),
    ),
    "packet cnn": lambda: make_pipeline(
        ByteTokens(64), DeepPacketCNN(n_filters=(4, 4), hidden_sizes=(4,), **BYTES)
    ),
    "packet sae": lambda: make_pipeline(ByteTokens(64), DeepPacketSAE(**BYTES)),
    "cnn-lstm": lambda: make_pipeline(ByteTokens(64), CNNLSTM(**BYTES)),
    "packet sequences": lambda: PacketSequenceClassifier(8, n_channels=8, n_blocks=1, **BYTES),
}
NEURAL = ("mlp", "ensemble", "bert", "packet cnn", "packet sae", "cnn-lstm", "packet sequences")


@pytest.mark.filterwarnings("ignore::UserWarning")  # tiny samples; the fits are not the point
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.neural if name in NEURAL else ()) for name in TABLES],
)
def test_pipelines_come_back_with_the_same_probabilities(name, lab, tmp_path):
    """Every classifier and transformer of the package, bit for bit; a file knows no pandas."""
    X, y = lab
    groups = {"groups": np.arange(len(y)) % 5} if name == "search" else {}
    model = TABLES[name]().fit(X, y, **groups)
    # what is learned is arrays, dicts and estimators
    assert [part for _, part in _reachable(model) if isinstance(part, NDFrame | pd.Index)] == []
    if name == "boosting" and OLD_LOSSES:
        with pytest.raises(UntrustedTypeError, match=r"types that are not trusted: _loss\.Cy"):
            save(model, tmp_path / "model.skt")
        return
    save(model, tmp_path / "model.skt")
    back = load(tmp_path / "model.skt")
    assert repr(back) == repr(model)
    assert back.predict(X).tolist() == model.predict(X).tolist()
    if hasattr(model, "predict_proba"):
        assert np.array_equal(back.predict_proba(X), model.predict_proba(X))
    with zipfile.ZipFile(tmp_path / "model.skt") as archive:
        assert {name.rsplit(".", 1)[1] for name in archive.namelist()} <= {"json", "npy"}


@pytest.mark.parametrize(
    "model", [ElbowGaussianMixture(random_state=0), OPTICSDBSCAN(random_state=0)]
)
def test_clusterers_come_back(model, lab, tmp_path):
    """Labels and tables of results."""
    X = StandardScaler().fit_transform(SessionStatistics().fit_transform(lab[0]))
    model.fit(X)
    save(model, tmp_path / "model.skt")
    back = load(tmp_path / "model.skt")
    assert back.labels_.tolist() == model.labels_.tolist()
    assert vars(back).keys() == vars(model).keys()


@pytest.mark.neural
def test_a_pretrained_model_comes_back(lab, tmp_path):
    """MaskedByteModel's vectors, and a classifier that started from it."""
    X = ByteTokens(16).fit_transform(lab[0])
    small = {"hidden_size": 8, "n_heads": 2, "n_layers": 1, "intermediate_size": 8}
    model = MaskedByteModel(**small, max_epochs=1, random_state=0).fit(X)
    save(model, tmp_path / "model.skt")
    assert np.array_equal(load(tmp_path / "model.skt").transform(X), model.transform(X))
    clf = BiGRUDABert(**small, pretrained=model, gru_hidden_size=4, **BYTES).fit(X, lab[1])
    save(clf, tmp_path / "clf.skt")
    assert np.array_equal(load(tmp_path / "clf.skt").predict_proba(X), clf.predict_proba(X))


def test_a_preprocessor_comes_back(tmp_path):
    """make_preprocessor with numbers, words and gaps: the package's own functions are inside."""
    X = pd.DataFrame(
        {
            "size": [1.0, np.inf, 3.0, np.nan] * 10,
            "kind": ["tcp", None, "udp", "tcp"] * 10,
            "port": [443, 53, 80, 443] * 10,
        }
    )
    y = np.repeat(["a", "b"], 20)
    pre = make_preprocessor(categorical=["port"])
    model = make_pipeline(pre, LogisticRegression()).fit(X, y)
    save(model, tmp_path / "model.skt")
    back = load(tmp_path / "model.skt")
    new = pd.DataFrame({"size": [2.0], "kind": ["quic"], "port": [22]})
    assert back[0].get_feature_names_out().tolist() == model[0].get_feature_names_out().tolist()
    assert np.array_equal(back.predict_proba(new), model.predict_proba(new))


def test_requests_of_metadata_come_back(lab, tmp_path):
    """An estimator that asked for groups and weights asks again after loading."""
    X, y = SessionStatistics().fit_transform(lab[0]), lab[1]
    with sklearn.config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        model = RejectingClassifier(make_pipeline(StandardScaler(), inner), cv=2)
        save(model.fit(X, y), tmp_path / "model.skt")
        back = load(tmp_path / "model.skt")
        assert back.estimator_[-1].get_metadata_routing().consumes("fit", ["sample_weight"])


def test_samplers_go_unfitted_and_the_model_stays_as_it_is(lab, tmp_path):
    """Wherever a sampler is: a step, a parameter, inside a search; the rest is not copied."""
    X, y = SessionStatistics().fit_transform(lab[0]), lab[1]
    steps = [("b", GuardedADASYN(random_state=0)), ("clf", forest())]
    search = GridSearchCV(ImbalancedPipeline(steps), {"b__n_neighbors": [3, 5]}, cv=2)
    search.fit(X, y)
    small = portable(search)
    assert small is not search and hasattr(search.best_estimator_["b"], "nn_")
    assert not hasattr(small.best_estimator_["b"], "nn_")
    assert small.best_estimator_["b"].n_neighbors == search.best_estimator_["b"].n_neighbors
    assert small.best_estimator_["clf"] is search.best_estimator_["clf"]
    assert portable(search.best_estimator_["clf"]) is search.best_estimator_["clf"]
    save(search, tmp_path / "model.skt")
    back = load(tmp_path / "model.skt")
    assert np.array_equal(back.predict_proba(X), search.predict_proba(X))


def test_skops_and_the_interpreter_stay_as_they_are(tmp_path):
    """Nothing is registered with skops, and no module is taken out of sys.modules or barred."""
    script = """
import sys
import skops.io
from sktraffic.persistence import load, save
from sktraffic.pipeline import CaptureClassifier
from imblearn.over_sampling import ADASYN
from sklearn.dummy import DummyClassifier
before = dict(sys.modules)
bare = skops.io.dumps(CaptureClassifier(cache="some folder"))
save(DummyClassifier().fit([[0], [1]], [0, 1]), sys.argv[1])
load(sys.argv[1])
assert all(sys.modules[name] is module for name, module in before.items())
assert None not in sys.modules.values()
again = skops.io.dumps(CaptureClassifier(cache="some folder"))
assert b"some folder" in bare and b"some folder" in again
"""
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "m.skt")],
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


@pytest.mark.neural
def test_a_model_loads_in_a_fresh_process_without_a_gpu(lab, tmp_path):
    """The same probabilities there, up to the rounding that another number of threads makes."""
    X, y = lab
    write_sessions(X, tmp_path / "X.parquet")
    script = """
import sys
from sktraffic.persistence import load
from sktraffic.sessions import read_sessions
import numpy as np
folder = sys.argv[1]
X = read_sessions(folder + "/X.parquet")
for name in ("forest", "mlp"):
    model = load(f"{folder}/{name}.skt")
    np.save(f"{folder}/{name}.npy", model.predict_proba(X))
"""
    models = {
        "forest": TABLES["forest"]().fit(X, y),
        "mlp": make_pipeline(
            SessionStatistics(), StandardScaler(), MLPClassifier(hidden_sizes=(8,), **BYTES)
        ).fit(X, y),
    }
    for name, model in models.items():
        save(model, tmp_path / f"{name}.skt")
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=env)
    for name, model in models.items():
        there, here = np.load(tmp_path / f"{name}.npy"), model.predict_proba(X)
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-7)


def test_provenance_says_where_a_model_comes_from(lab, tmp_path):
    """Versions, settings, features, classes, data, scores; readable without loading."""
    X, y = lab
    model = TABLES["forest"]().fit(X, y)
    path = tmp_path / "model.skt"
    save(model, path, X=X, y=y, scores={"f1": 0.5}, extractor=SessionExtractor(idle_timeout=60))
    note = read_provenance(path)
    assert note["estimator"] == "Pipeline" and note["scores"] == {"f1": 0.5}
    assert note["classes"] == ["chat", "file", "voip"]
    assert note["class_counts"] == {"chat": 30, "file": 30, "voip": 30}
    assert note["extraction"]["idle_timeout"] == 60
    assert note["feature_names"] == model[:-1].get_feature_names_out().tolist()
    assert note["versions"]["scikit-learn"] == sklearn.__version__
    other = tmp_path / "other.skt"
    save(model, other, X=X.iloc[::-1], y=y)
    assert read_provenance(other)["data_hash"] != note["data_hash"]
    save(model, other, X=X.assign(src_ip="192.0.2.1"), y=y)
    assert read_provenance(other)["data_hash"] == note["data_hash"]


def test_other_extraction_settings_are_refused_by_name(lab, tmp_path):
    """Sessions cut otherwise than in training: refused, or warned of where asked."""
    path = tmp_path / "model.skt"
    save(TABLES["forest"]().fit(*lab), path, extractor=SessionExtractor(idle_timeout=60))
    load(path, extractor=SessionExtractor(idle_timeout=60, n_jobs=2))
    with pytest.raises(ModelMismatchError, match="idle_timeout=60 there, 120 here"):
        load(path, extractor=SessionExtractor())
    with pytest.warns(ModelMismatchWarning, match="idle_timeout=60 there"):
        load(path, extractor=SessionExtractor(), on_mismatch="warn")


def changed(path, **changes):
    """Rewrite a file's provenance, as another version would have written it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    note = json.loads(members["provenance.json"])
    for name, value in changes.items():
        note[name] = {**note[name], **value} if isinstance(value, dict) else value
    members["provenance.json"] = json.dumps(note).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_other_versions_are_named(lab, tmp_path):
    """A warning by default, an error where asked; a later format is refused."""
    path = tmp_path / "model.skt"
    save(TABLES["forest"]().fit(*lab), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)
    changed(path, versions={"scikit-learn": "1.0", "numpy": "1.0"})
    with pytest.warns(ModelMismatchWarning, match=r"scikit-learn 1\.0 there, .* here\)"):
        load(path)
    with pytest.raises(ModelMismatchError, match=r"scikit-learn 1\.0 there"):
        load(path, on_mismatch="raise")
    changed(path, format=2)
    with pytest.raises(ModelFileError, match="format 2"):
        load(path)


def test_settings_of_another_version_are_refused_by_name(tmp_path, lab):
    """A setting that this version does not have would be lost silently."""
    path = tmp_path / "model.skt"
    save(TABLES["forest"]().fit(*lab), path, extractor=SessionExtractor())
    changed(path, extraction={"halflife": 3})
    with pytest.raises(ModelMismatchError, match="halflife"):
        load(path)


def test_a_capture_classifier_brings_its_extractor(tmp_path):
    """Saved with settings, counts and hash, but without the folder of the training machine."""
    paths, labels = lab_captures()
    smallest = sorted(range(len(paths)), key=lambda i: os.path.getsize(paths[i]))
    first = smallest[0]
    second = next(i for i in smallest if labels[i] != labels[first])
    chosen = [first, second]
    clf = CaptureClassifier(TABLES["forest"](), SessionExtractor(idle_timeout=60), cache=tmp_path)
    clf.fit([paths[i] for i in chosen], labels[chosen])
    save(clf, tmp_path / "model.skt")
    back = load(tmp_path / "model.skt")
    assert back.cache is None and clf.cache == tmp_path
    assert back.extractor_.idle_timeout == 60
    note = read_provenance(tmp_path / "model.skt")
    assert note["data_hash"] == clf.data_hash_
    assert note["class_counts"][labels[first]]["captures"] == 1
    expected = clf.predict_sessions(paths[first])
    pd.testing.assert_frame_equal(back.predict_sessions(paths[first]), expected)


def test_a_parameter_of_another_release_is_refused_by_name(tmp_path, monkeypatch):
    """Parameter, class and versions are named when it is loaded, not when it first predicts."""
    pipe = make_pipeline(StandardScaler(), DummyClassifier()).fit([[0.0], [1.0]], ["a", "b"])
    save(pipe, tmp_path / "m.skt")
    assert load(tmp_path / "m.skt").predict([[0.0]]).tolist() == ["a"]
    names = [*DummyClassifier._get_param_names(), "temperature"]  # as if this release had added it
    monkeypatch.setattr(DummyClassifier, "_get_param_names", lambda: names)
    with pytest.raises(ModelMismatchError) as info:
        load(tmp_path / "m.skt")
    text = str(info.value)
    assert "it lacks temperature of DummyClassifier" in text
    assert f"scikit-learn {sklearn.__version__}" in text
