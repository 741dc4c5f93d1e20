"""One fit of each neural estimator under several circumstances: the same bits, or not.

    python benchmarks/determinism.py [--quick]

A circumstance is a number of fits at the same time, in threads or processes or one inside the
other, or a forked child. Every one of its fits is compared with the same fit alone: "equal" is
every bit of the answers, else the largest difference is printed. torch runs on one thread, but for
the last two columns, where the fit alone is repeated on two and four: these may round otherwise.
"""

import argparse
import os
import pickle
import sys

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification

from sktraffic.neural_network import (
    CNNLSTM,
    BiGRUDABert,
    DeepPacketCNN,
    DeepPacketSAE,
    MaskedByteModel,
    MLPClassifier,
    TransformerEnsemble,
)

SHORT = {"max_epochs": 2, "batch_size": 64, "random_state": 0, "device": "cpu"}
ESTIMATORS = [
    MLPClassifier((64, 32), **SHORT),
    TransformerEnsemble(2, d_token=16, n_heads=2, **SHORT),
    TransformerEnsemble(2, d_token=16, n_heads=2, n_jobs=2, **SHORT),
    BiGRUDABert(hidden_size=16, n_layers=1, n_heads=2, gru_hidden_size=8, **SHORT),
    DeepPacketCNN((8, 8), hidden_sizes=(16,), **SHORT),
    DeepPacketSAE((16, 8), pretrain_epochs=2, **SHORT),
    CNNLSTM((8,), lstm_hidden_size=16, hidden_sizes=(16,), **SHORT),
    MaskedByteModel(hidden_size=16, n_layers=1, n_heads=2, **SHORT),
]


def make_data(n_rows=400):
    """Return rows of small integers, which all estimators read, and labels."""
    X, y = make_classification(n_rows, 12, n_informative=8, n_classes=3, random_state=0)
    return (20 * (X - X.min())).astype(int) % 200 + 1, np.array(["chat", "mail", "p2p"])[y]


def answers(estimator, X, y, n_torch_threads=1):
    """Fit a clone and return what it says of X."""
    torch.set_num_threads(n_torch_threads)
    fitted = clone(estimator).fit(X, y)
    return getattr(fitted, "predict_proba", getattr(fitted, "transform", None))(X)


def side_by_side(backend, n_jobs, function, *args):
    """Call a function so many times at the same time; the results in one list."""
    parallel = joblib.Parallel(n_jobs=n_jobs, backend=backend)
    return list(parallel(joblib.delayed(function)(*args) for _ in range(n_jobs)))


def nested(outer, inner, *args):
    """Two fits of one backend inside each of two of another."""
    rows = side_by_side(outer, 2, side_by_side, inner, 2, answers, *args)
    return [result for row in rows for result in row]


def forked(estimator, *args):
    """Fit in a forked child, in that process alone: joblib's workers do not survive a fork."""
    if "n_jobs" in estimator.get_params():
        estimator = clone(estimator).set_params(n_jobs=None)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(answers(estimator, *args), pipe)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        result = pickle.load(pipe)
    os.waitpid(child, 0)
    return [result]


# the fork comes first: a thread that just then ends its work may hold a lock of the BLAS
CIRCUMSTANCES = {
    "after a fork": forked,
    "1 thread": lambda *a: side_by_side("threading", 1, answers, *a),
    "2 threads": lambda *a: side_by_side("threading", 2, answers, *a),
    "4 threads": lambda *a: side_by_side("threading", 4, answers, *a),
    "1 process": lambda *a: side_by_side("loky", 1, answers, *a),
    "2 processes": lambda *a: side_by_side("loky", 2, answers, *a),
    "threads in processes": lambda *a: nested("loky", "threading", *a),
    "processes in threads": lambda *a: nested("threading", "loky", *a),
    "torch on 2": lambda *a: [answers(*a, 2)],
    "torch on 4": lambda *a: [answers(*a, 4)],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two estimators only")
    args = parser.parse_args()
    X, y = make_data()
    names = list(CIRCUMSTANCES)
    print("| estimator | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    differing = 0
    for estimator in ESTIMATORS[:2] if args.quick else ESTIMATORS:
        alone, cells = answers(estimator, X, y), []
        for name, run in CIRCUMSTANCES.items():
            off = max(np.abs(result - alone).max() for result in run(estimator, X, y))
            cells.append("equal" if off == 0 else f"{off:.0e}")
            differing += bool(off) and not name.startswith("torch")
        torch.set_num_threads(1)
        label = type(estimator).__name__ + (" n_jobs=2" if "n_jobs=2" in repr(estimator) else "")
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
