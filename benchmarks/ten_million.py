"""Train on ten million sessions in bounded memory, and say what it took.

Sessions are the bundled ones, each drawn with replacement, cut after `--packets` packets and with
its times stretched at random, written as Parquet parts below ``label=``. Then, part by part, on
`--jobs` workers: features (`to_features`); and from their batches: a linear model with
`partial_fit`, scored on parts that it has not seen. Rates and each process's largest resident set
are printed.

    python benchmarks/ten_million.py FOLDER [--sessions 10_000_000] [--jobs 1] [--backend loky]

With ``--backend dask`` or ``ray`` a cluster of `--jobs` workers is started on this machine.
"""

import argparse
import contextlib
import resource
import shutil
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import SessionStatistics, to_features
from sktraffic.ragged import list_column, ragged
from sktraffic.sessions import first_packets, iter_sessions, session_parts, write_sessions

PART = 50_000  # sessions of a part


def main():
    """Write, transform, learn, each with its time and memory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=10_000_000)
    parser.add_argument("--packets", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--backend", default="loky", choices=("loky", "dask", "ray"))
    args = parser.parse_args()
    lab = load_lab_sessions()
    X = first_packets(lab.data, args.packets)
    tables, features = args.folder / "sessions", args.folder / "features"
    if not tables.exists():
        timed("written", args.sessions, write, X, np.asarray(lab.target), tables, args.sessions)
    size = sum(part.stat().st_size for part in session_parts(tables))
    print(f"{len(session_parts(tables))} parts, {size / 1e9:.2f} GB", flush=True)
    transformer = make_pipeline(SessionStatistics("extended"), StandardScaler()).fit(X)
    shutil.rmtree(features, ignore_errors=True)
    with workers(args.backend, args.jobs):
        report = timed(
            f"features, {args.jobs} workers ({args.backend})", args.sessions,
            to_features, tables, transformer, features, keep=("session", "label"),
            batch_size=PART, n_jobs=args.jobs,
        )  # fmt: skip
    if report["sessions"].sum() != args.sessions:
        raise SystemExit(f"{report['sessions'].sum()} sessions of {args.sessions} have features")
    names = list(transformer.get_feature_names_out())
    clf = SGDClassifier(loss="log_loss", random_state=0)
    classes = np.unique(lab.target)
    seen, unseen = split(features)
    timed("learned", args.sessions, learn, clf, seen, names, classes)
    print(
        f"macro-F1 on {len(unseen)} parts of sessions drawn anew: {score(clf, unseen, names):.3f}"
    )


def write(X, y, folder, n_sessions):
    """Write parts of sessions drawn with replacement, times stretched by a factor each."""
    generator = np.random.default_rng(0)
    for number, start in enumerate(range(0, n_sessions, PART)):
        rows = np.sort(generator.integers(len(X), size=min(PART, n_sessions - start)))
        part = X.iloc[rows].reset_index(drop=True)
        times, offsets = ragged(part["packet_time"])
        stretch = generator.lognormal(0, 0.2, size=len(part))
        part["packet_time"] = list_column(
            times * np.repeat(stretch, np.diff(offsets)), offsets
        ).astype(X["packet_time"].dtype)
        part["session"] = np.arange(start, start + len(part))
        path = folder / f"{number:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sessions(part.assign(label=y[rows]), path)


def split(folder):
    """Keep every twentieth part for the score."""
    parts = session_parts(folder)
    return [part for i, part in enumerate(parts) if i % 20], parts[::20]


def learn(clf, parts, names, classes):
    """Learn from one batch after another."""
    for part in parts:
        for batch in iter_sessions(part, PART):
            clf.partial_fit(batch[names].to_numpy(), batch["label"], classes)


def score(clf, parts, names):
    """Macro-F1 over all sessions of some parts."""
    true, told = [], []
    for part in parts:
        for batch in iter_sessions(part, PART):
            true.append(batch["label"].to_numpy(object))
            told.append(clf.predict(batch[names].to_numpy()))
    return f1_score(np.concatenate(true), np.concatenate(told), average="macro")


@contextlib.contextmanager
def workers(backend, jobs):
    """Have joblib's work done by a local cluster."""
    if backend == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None
        )
        with cluster, Client(cluster), joblib.parallel_config(backend="dask"):
            yield
    elif backend == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
        register_ray()
        with joblib.parallel_config(backend="ray", n_jobs=jobs):
            yield
        ray.shutdown()
    else:
        with joblib.parallel_config(backend="loky"):
            yield


def timed(what, n_sessions, function, *args, **kwargs):
    """Call, and print the time, the rate and the largest resident sets so far."""
    began = time.perf_counter()
    out = function(*args, **kwargs)
    seconds = time.perf_counter() - began
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(
        f"{what}: {seconds:.1f} s, {n_sessions / seconds:,.0f} sessions/s, at most {own:,.0f} MB "
        f"here, {workers:,.0f} MB in a worker that has ended",
        flush=True,
    )
    return out


if __name__ == "__main__":
    main()
