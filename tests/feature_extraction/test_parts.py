"""to_features: the parts of a folder through a transformer, equal to the table at once."""

import contextlib

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionFeatures, SessionStatistics, to_features
from sktraffic.sessions import iter_sessions, read_sessions, write_sessions


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Session tables of three classes, two parts each, below label=."""
    folder = tmp_path_factory.mktemp("sessions")
    lab = load_lab_sessions()
    for label in ("chat", "email", "voip"):
        rows = np.flatnonzero(lab.target == label)[:60]
        for number, half in enumerate(np.array_split(rows, 2)):
            path = folder / f"label={label}" / f"{number}.parquet"
            path.parent.mkdir(exist_ok=True)
            write_sessions(lab.data.iloc[half], path)
    return folder


@pytest.fixture(scope="module")
def transformer(parts):
    return make_pipeline(SessionFeatures(), StandardScaler()).fit(read_sessions(parts))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_parts_equal_the_table_at_once(parts, transformer, tmp_path, n_jobs):
    """Same rows, same order, same numbers, the folders' label beside; batches cut parts."""
    report = to_features(parts, transformer, tmp_path / "out", batch_size=7, n_jobs=n_jobs)
    features = read_sessions(tmp_path / "out")
    whole = read_sessions(parts)
    names = list(transformer.get_feature_names_out())
    assert_allclose(features[names].to_numpy(float), transformer.transform(whole), atol=1e-9)
    for name in ("capture", "session", "label"):
        assert features[name].tolist() == whole[name].tolist()
    assert report["sessions"].sum() == len(whole)
    assert report["made"].all()


def test_a_second_call_goes_on(parts, transformer, tmp_path):
    """Parts that are there are not made again; a missing one is; overwrite makes all."""
    out = tmp_path / "out"
    first = to_features(parts, transformer, out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    missing = out / first["part"].iloc[2]
    missing.unlink()
    second = to_features(parts, transformer, out)
    assert second["made"].tolist() == [False, False, True, False, False, False]
    assert second["sessions"].tolist() == first["sessions"].tolist()
    assert all(path.stat().st_mtime_ns == stamps[path] for path in stamps if path != missing)
    assert to_features(parts, transformer, out, overwrite=True)["made"].all()


def test_parts_of_another_transformer_are_not_mixed_in(parts, transformer, tmp_path):
    """Other settings in the same folder are refused, as are a foreign file and clashing names."""
    out = tmp_path / "out"
    to_features(parts, transformer, out)
    other = SessionStatistics().fit(read_sessions(parts))
    with pytest.raises(ValueError, match="another transformer"):
        to_features(parts, other, out)
    with pytest.raises(ValueError, match="share the name"):
        to_features(parts, other, tmp_path / "new", keep=("duration",))


def test_what_is_not_fitted_is_refused(parts, tmp_path):
    """The transformer is fitted beforehand: parts would else have scales of their own."""
    with pytest.raises(NotFittedError):
        to_features(parts, make_pipeline(SessionFeatures(), StandardScaler()), tmp_path)


class Failing(SessionStatistics):
    """Fails on the last, smaller batch of a part."""

    def transform(self, X):  # noqa: D102
        if len(X) < 20:
            raise RuntimeError("second batch")
        return super().transform(X)


def test_a_failure_leaves_no_half_part(parts, transformer, tmp_path):
    """A transformer that fails in the second batch: no part, no temporary file."""
    failing = Failing().fit(read_sessions(parts))
    with pytest.raises(RuntimeError, match="second batch"):
        to_features(parts, failing, tmp_path, batch_size=20)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_estimators_learn_from_batches(parts, transformer, tmp_path):
    """partial_fit over batches of the features sees every session once."""
    to_features(parts, transformer, tmp_path)
    names = list(transformer.get_feature_names_out())
    model, seen = SGDClassifier(random_state=0), 0
    for batch in iter_sessions(tmp_path, 50, columns=[*names, "label"]):
        model.partial_fit(
            batch[names].to_numpy(float), batch["label"].to_numpy(object), ["chat", "email", "voip"]
        )
        seen += len(batch)
    assert seen == len(pd.concat([read_sessions(path) for path in parts.rglob("*.parquet")]))
    assert set(model.predict(transformer.transform(read_sessions(parts)))) <= set(model.classes_)


@contextlib.contextmanager
def dask_workers():
    """Have joblib's work done by two dask processes."""
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        yield


@contextlib.contextmanager
def ray_workers():
    """Have joblib's work done by two Ray processes, through Ray's own backend."""
    ray = pytest.importorskip("ray", reason="there is no Ray for this Python")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        register_ray()
        with joblib.parallel_config(backend="ray", n_jobs=2):
            yield
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("default")  # of the clusters' own code
@pytest.mark.parametrize("workers", [dask_workers, ray_workers])
def test_clusters_make_the_same_parts(parts, transformer, tmp_path, workers):
    """Paths travel to the workers of a dask cluster and of Ray; what comes is the same."""
    here = to_features(parts, transformer, tmp_path / "here")
    with workers():
        there = to_features(parts, transformer, tmp_path / "there")
    pd.testing.assert_frame_equal(here, there)
    pd.testing.assert_frame_equal(
        read_sessions(tmp_path / "here"), read_sessions(tmp_path / "there")
    )
