"""BiGRU-DA-BERT next to a random forest on the first bytes of USTC-TFC2016 sessions.

    SKTRAFFIC_DATA=... python benchmarks/ustc_bytes.py [--scale cpu|gpu] [--seeds 0 1 2]

Of 8,653 sessions of 20 classes, 60 % train and the rest test, stratified. Both see the same tokens:
the first 63 bytes, from the IP header on, of the first two packets, with addresses, ports, IP id,
checksums, TCP sequence numbers and timestamps hidden. Sessions of one capture resemble each other,
so a row whose tokens also stand in the training part is no test of learning: the scores of the
others are printed beside those of all.

``--scale cpu`` is a small BERT (hidden 64, 2 layers), ``gpu`` the paper's size; both pre-train on
the training part without its labels first, unless ``--pretrain-epochs 0``.
"""

import argparse
import os
import sys
import time

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

from sktraffic.datasets import fetch_ustc_tfc2016
from sktraffic.feature_extraction import ByteTokens
from sktraffic.neural_network import BiGRUDABert, MaskedByteModel

N_BYTES, N_PACKETS = 63, 2

SCALES = {
    "cpu": {
        "bert": {"hidden_size": 64, "n_layers": 2, "n_heads": 4},
        "pretrain": {"lr": 1e-3, "max_epochs": 2, "batch_size": 32},
        "train": {"gru_hidden_size": 64, "lr": 1e-3, "max_epochs": 6, "batch_size": 32},
    },
    "gpu": {
        "bert": {"hidden_size": 768, "n_layers": 12, "n_heads": 8, "precision": "bfloat16"},
        "pretrain": {"lr": 1e-4, "max_epochs": 20, "batch_size": 128},
        "train": {"gru_hidden_size": 768, "lr": 2e-5, "max_epochs": 50, "batch_size": 32},
    },
}


def report(name, y, predicted, new, seconds):
    """Print accuracy and macro-F1 of all test rows and of those without a twin in training."""
    scores = [
        score
        for rows in (slice(None), new)
        for score in (
            accuracy_score(y[rows], predicted[rows]),
            f1_score(y[rows], predicted[rows], average="macro"),
        )
    ]
    print(f"{name:34}" + "".join(f"{score:10.4f}" for score in scores) + f"{seconds:10.0f}")
    sys.stdout.flush()


def run(tokens, y, seed, scale, pretrain_epochs, device, verbose):
    """Print one line for each model of one split."""
    train, test = train_test_split(np.arange(len(y)), train_size=0.6, stratify=y, random_state=seed)
    seen = {row.tobytes() for row in tokens[train]}
    new = np.array([row.tobytes() not in seen for row in tokens[test]])
    print(f"\nseed {seed}: {len(train)} train, {len(test)} test, {new.sum()} without a twin")
    print(f"{'':34}{'accuracy':>10}{'macro-F1':>10}{'acc. new':>10}{'F1 new':>10}{'seconds':>10}")
    start = time.perf_counter()
    forest = RandomForestClassifier(300, random_state=seed).fit(tokens[train], y[train])
    predicted = forest.predict(tokens[test])
    report("random forest, 300 trees", y[test], predicted, new, time.perf_counter() - start)

    settings, model, start = SCALES[scale], None, time.perf_counter()
    common = {**settings["bert"], "device": device, "random_state": seed, "verbose": verbose}
    epochs = settings["pretrain"]["max_epochs"] if pretrain_epochs is None else pretrain_epochs
    if epochs:
        model = MaskedByteModel(**common, **{**settings["pretrain"], "max_epochs": epochs})
        model.fit(tokens[train])
        print(
            f"MaskedByteModel, {epochs} epochs: {model.score(tokens[test]):.4f} of hidden tokens "
            f"named in the test part, {time.perf_counter() - start:.0f} s"
        )
        start = time.perf_counter()
    clf = BiGRUDABert(**common, **settings["train"], pretrained=model).fit(tokens[train], y[train])
    predicted = clf.predict(tokens[test])
    name = f"BiGRUDABert, {scale}, {clf.n_epochs_} epochs"
    report(name, y[test], predicted, new, time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--pretrain-epochs", type=int)
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--verbose", type=int, default=0)
    args = parser.parse_args()
    if args.scale == "gpu" and not torch.cuda.is_available():
        parser.error("--scale gpu needs a CUDA device, and torch sees none.")
    if args.max_epochs:
        SCALES[args.scale]["train"]["max_epochs"] = args.max_epochs
    torch.set_num_threads(args.threads)
    X, y = fetch_ustc_tfc2016(
        data_home=os.environ.get("SKTRAFFIC_DATA"), download_if_missing=False, return_X_y=True
    )
    tokens = ByteTokens(N_BYTES, n_packets=N_PACKETS, start="ip").fit_transform(X)
    device = "cuda" if args.scale == "gpu" else "cpu"
    print(f"{tokens.shape[1]} tokens, {len(np.unique(y))} classes, torch {torch.__version__}")
    for seed in args.seeds:
        run(tokens, y, seed, args.scale, args.pretrain_epochs, device, args.verbose)


if __name__ == "__main__":
    main()
