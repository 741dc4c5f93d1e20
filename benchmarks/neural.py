"""Speed and size of the neural estimators, in one run on one machine.

    python benchmarks/neural.py [--threads 1] [--device cpu]

Sections are functions that yield rows (what, figure, unit, aim), so that other estimators' sections
can stand beside them. Rivals alternate and a ratio is the median of those of neighbours. On one CPU
thread epochs are timed by the processor time of the process, which on an idle machine is the wall
time and on a busy one does not count the others' share; otherwise by the wall clock.
"""

import argparse
import pickle
import platform
import time
from functools import partial

import numpy as np
import torch
from paper_tables.models import PAPER_MLP
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLP
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktraffic.neural_network import MLPClassifier, TransformerEnsemble
from sktraffic.nn import MLP

N_ROWS, N_FEATURES, N_CLASSES = 20_480, 9, 5


def make_data(n_rows=N_ROWS):
    """Return rows of noise around one centre a class, standardised, float32."""
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=n_rows)
    X = rng.normal(size=(N_CLASSES, N_FEATURES))[y] + rng.normal(size=(n_rows, N_FEATURES))
    return StandardScaler().fit_transform(X).astype(np.float32), y


def seconds(function, clock=time.perf_counter):
    """Seconds of one call by a clock."""
    start = clock()
    function()
    return clock() - start


def torch_mlp(n_features, n_classes):
    """Return the same network out of torch's own layers."""
    return nn.Sequential(
        nn.Linear(n_features, 256), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(256, 512), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, n_classes),
    )  # fmt: skip


def bare_loop(module, X, y, n_epochs, batch_size, device):
    """Train by hand: shuffle, slice, step, and nothing else."""
    X, y = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    module = module(N_FEATURES, N_CLASSES).to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.005)
    criterion = torch.nn.CrossEntropyLoss()
    module.train()
    for _ in range(n_epochs):
        order = torch.randperm(len(X)).to(device)
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            criterion(module(X[rows]), y[rows]).backward()
            optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()


def epoch_section(device, n_epochs=3, repeats=5):
    """MLP epochs against a bare loop, and against scikit-learn's MLP of the same shape."""
    X, y = make_data()
    for batch_size in (4096, 256):
        shared = {"batch_size": batch_size, "early_stopping": False, "random_state": 0}
        ours = MLPClassifier(**PAPER_MLP | shared | {"max_epochs": n_epochs}, device=device)
        theirs = SklearnMLP((256, 512, 256), max_iter=n_epochs, learning_rate_init=0.005,
                            n_iter_no_change=10**6, tol=0.0, **shared)  # fmt: skip
        rivals = {
            "ours": partial(ours.fit, X, y),
            "ours, no dropout": partial(clone(ours).set_params(dropout=0.0).fit, X, y),
            "bare loop": partial(bare_loop, torch_mlp, X, y, n_epochs, batch_size, device),
            "bare loop, our layers": partial(bare_loop, MLP, X, y, n_epochs, batch_size, device),
            "scikit-learn": partial(fit_quietly, theirs, X, y),
        }
        bare_loop(MLP, X, y, 1, batch_size, device)  # the first pass allocates
        clock = pick_clock(device)
        times = {name: [] for name in rivals}
        for _ in range(repeats):
            for name, run in rivals.items():
                times[name].append(seconds(run, clock) / n_epochs)
        yield f"MLP epoch, {N_ROWS} rows, batch {batch_size}, by {clock.__name__}", None, "", None
        for name, values in times.items():
            yield f"  {name}", 1e3 * np.median(values), "ms", None
        for own, name, aim in (
            ("ours", "bare loop", 1.05),
            ("ours", "bare loop, our layers", 1.05),
            ("ours", "scikit-learn", 1.0),
            ("ours, no dropout", "scikit-learn", 1.0),  # which has none: the same work
        ):
            ratio = np.median(np.divide(times[own], times[name]))
            yield f"  {own} / {name}", ratio, "", aim


def pick_clock(device):
    """Processor time where it is all that there is to measure, else the wall clock."""
    alone = device == "cpu" and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def fit_quietly(estimator, X, y):
    """Fit; scikit-learn warns at every fit that ends by max_iter."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)


def latency_section(device, n_calls=2000):
    """One session's nine features to its label, through a fitted Pipeline, on one thread.

    A busy machine shows in the gap between the fastest hundredth and the median, and in the same
    figures for a logistic regression, which does next to nothing: the ratio to it is what counts.
    The graph of the same Pipeline is timed in onnxruntime, where that is installed.
    """
    X, y = make_data(2048)
    X = X.astype(np.float64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    shared = {"max_epochs": 1, "early_stopping": False, "device": device, "random_state": 0}
    least = None
    for clf, aim in (
        (LogisticRegression(), None),
        (MLPClassifier(**PAPER_MLP | shared), 2.0),
        (MLPClassifier(**shared), None),
        (TransformerEnsemble(**shared), 5.0),
    ):
        pipe = make_pipeline(StandardScaler(), clf).fit(X, y)
        rows = [X[i : i + 1] for i in np.arange(n_calls) % len(X)]
        wall = call_times(pipe.predict, rows)
        processor = call_times(pipe.predict, rows, time.process_time)
        best, median, tail = 1e3 * np.quantile(wall, [0.01, 0.5, 0.99])
        least = least or median
        yield f"{type(clf).__name__} pipeline, one session, median", median, "ms", None
        yield "  1st percentile", best, "ms", None
        yield "  99th percentile", tail, "ms", None
        yield "  median processor time", 1e3 * np.median(processor), "ms", None
        yield "  median / LogisticRegression's", median / least, "", aim
        graph = onnx_session(pipe)
        if graph is not None:
            run = call_times(lambda row, graph=graph: graph.run(None, {"X": row}), rows)
            yield "  graph in onnxruntime, median", 1e3 * np.median(run), "ms", None
            yield "  graph / pipeline", 1e3 * np.median(run) / median, "", 0.5
    torch.set_num_threads(threads)


def call_times(function, rows, clock=time.perf_counter):
    """Seconds of one call a row, after some that are not counted."""
    for row in rows[:100]:
        function(row)
    return [seconds(partial(function, row), clock) for row in rows]


def onnx_session(pipe):
    """Return what runs the graph of a Pipeline on one thread; None without onnxruntime."""
    try:
        import onnxruntime

        from sktraffic.persistence import to_onnx
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        to_onnx(pipe).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def memory_section(device):
    """Size of the MLP's weights, alone and as a pickled estimator."""
    X, y = make_data(512)
    clf = MLPClassifier(
        **PAPER_MLP | {"max_epochs": 1, "early_stopping": False}, device=device
    ).fit(X, y)
    weights = sum(p.numel() * p.element_size() for p in clf.net_.module_.parameters())
    yield "MLP weights", weights / 2**20, "MiB", None
    yield "  pickled estimator", len(pickle.dumps(clf)) / 2**20, "MiB", None


def print_table(rows):
    """Print rows of (what, figure, unit, aim) as they come."""
    for what, figure, unit, aim in rows:
        verdict = "" if aim is None else f"<= {aim:g} {'met' if figure <= aim else 'MISSED'}"
        number = "" if figure is None else f"{figure:.3f}"
        print(f"{what:56} {number:>10}  {unit:4} {verdict}".rstrip(), flush=True)


def main():
    """Run all sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(
        f"{platform.processor() or platform.machine()}, {args.threads} threads, "
        f"{args.device}, torch {torch.__version__}"
    )
    print(f"{'what':56} {'figure':>10}  {'unit':4} aim")
    for section in (latency_section, memory_section, epoch_section):
        print_table(section(args.device))


if __name__ == "__main__":
    main()
