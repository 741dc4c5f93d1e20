"""Networks as a user writes them down, beside a forest and libraries' networks: unseen captures.

``make_pipeline(StandardScaler(), MLPClassifier(resampler=GuardedADASYN()))`` on all features of a
session against a random forest, the same network without a resampler, that of Qi et al. (2025)
with no bound on its synthetic rows, transformer ensembles on all and on selected features, and the
networks of pytabkit where that is installed. Three sets: the bundled captures, IoT devices and
Android apps. Defaults were chosen by splits of the training captures alone; the test captures, a
third of each set, are those scored here.

    python benchmarks/natural_networks.py [--data FOLDER] [--tables FOLDER] [--seeds 3] [--jobs 2]
        [--sets iot android] [--contenders forest mlp ...] [--json FILE]

Every fit is a process of its own on one thread; seconds are those of its processor.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from paper_tables.data import lab_sessions, load_android, load_iot
from paper_tables.models import PAPER_MLP
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.feature_extraction import SessionFeatures, SessionStatistics
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import CaptureKFold
from sktraffic.over_sampling import GuardedADASYN

DEFAULT = ("forest", "mlp", "mlp, no resampler")


def laboratory(folder):
    """Bundled captures without DNS, NTP and mDNS: features, service, run."""
    X, y, groups = lab_sessions()
    return SessionFeatures("extended").fit_transform(X), y, groups


def iot(folder):
    """16 devices of IoT Sentinel: features, device, run."""
    data = load_iot(folder, None, None)
    return SessionFeatures("extended").fit_transform(data.X), data.y, data.groups


def android(folder):
    """34 Android apps of FG-Net, which tells lengths and times only: statistics, app, trace."""
    data = load_android(folder, None, None)
    return SessionStatistics("extended").fit_transform(data.X), data.y, data.groups


SETS = {"laboratory": laboratory, "iot": iot, "android": android}


def features(name, folder, tables):
    """Features, class and group of the sessions of a set, kept as Parquet in a folder."""
    path = Path(tables) / f"{name}.parquet"
    if not path.exists():
        X, y, groups = SETS[name](folder)
        table = pd.DataFrame(X).set_axis([str(i) for i in range(X.shape[1])], axis=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        table["y"], table["group"] = np.asarray(y, dtype=str), np.asarray(groups, dtype=str)
        table.to_parquet(path)
    table = pd.read_parquet(path)
    y, groups = (table.pop(column).to_numpy(dtype=str) for column in ("y", "group"))
    return table.to_numpy(dtype=np.float64), y, groups


def contender(name, seed):
    """Unfitted classifier of features that have no gaps."""
    if name == "forest":
        return RandomForestClassifier(200, random_state=seed)
    if name in ("RealMLP", "TabM"):
        import pytabkit

        cls = {"RealMLP": pytabkit.RealMLP_TD_Classifier, "TabM": pytabkit.TabM_D_Classifier}[name]
        return cls(device="cpu", random_state=seed, n_threads=1)
    from sktraffic.neural_network import MLPClassifier, TransformerEnsemble

    given = {"random_state": seed}
    levelled = GuardedADASYN(level="majority")
    made = {
        "mlp": lambda: MLPClassifier(resampler=GuardedADASYN(), **given),
        "mlp, no resampler": lambda: MLPClassifier(**given),
        "mlp, all levelled": lambda: MLPClassifier(resampler=levelled, **given),
        "mlp, one member": lambda: MLPClassifier(n_members=1, **given),
        "paper": lambda: MLPClassifier(resampler=levelled, **given, **PAPER_MLP),
        "transformer": lambda: TransformerEnsemble(**given),
        "transformer, piecewise": lambda: TransformerEnsemble(embedding="piecewise", **given),
        "selector, transformer": lambda: TransformerEnsemble(**given),
    }[name]()
    select = [ForestSelector(5, random_state=seed)] if name.startswith("selector") else []
    return make_pipeline(*select, StandardScaler(), made)


CONTENDERS = (
    *DEFAULT, "mlp, all levelled", "mlp, one member", "paper", "transformer",
    "transformer, piecewise", "selector, transformer", "RealMLP", "TabM",
)  # fmt: skip


def measure(tables, name, label, seed):
    """Scores on the test captures, and processor seconds."""
    import torch

    torch.set_num_threads(1)
    X, y, groups = features(name, None, tables)
    splitter = CaptureKFold(3, shuffle=True, random_state=0)
    train, test = next(iter(splitter.split(X, y, groups)))
    clf = contender(label, seed)
    begun = time.process_time()
    clf.fit(X[train], y[train])
    fitted = time.process_time()
    predicted = clf.predict(X[test])
    done = time.process_time()
    return {
        "set": name,
        "contender": label,
        "seed": seed,
        "macro-F1": f1_score(y[test], predicted, average="macro"),
        "accuracy": accuracy_score(y[test], predicted),
        "seconds to fit": fitted - begun,
        "microseconds a session": 1e6 * (done - fitted) / len(predicted),
        "sessions": [len(train), len(test)],
    }


def measure_apart(tables, *unit):
    """Run `measure` in a process of its own, on one thread."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--tables", str(tables), "--unit", json.dumps(unit)]
    ended = subprocess.run(
        command, env=os.environ | single, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        print(unit, "failed:", *ended.stderr.splitlines()[-1:], flush=True)
        return None
    row = json.loads(ended.stdout.splitlines()[-1])
    print(row, flush=True)
    return row


def table(rows):
    """Means over the seeds by set and contender, and the score's deviation over seeds."""
    grouped = pd.DataFrame(rows).drop(columns=["seed", "sessions"])
    grouped = grouped.groupby(["set", "contender"], sort=False)
    return grouped.mean().assign(deviation=grouped["macro-F1"].std(), seeds=grouped.size()).round(3)


def main(arguments=None):
    """Print a row a set and contender."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SKTRAFFIC_DATA"))
    parser.add_argument("--tables", type=Path, help="folder that keeps the features")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=DEFAULT)
    parser.add_argument("--json", type=Path, help="file for all rows")
    parser.add_argument("--unit", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if options.unit:
        print(json.dumps(measure(options.tables, *options.unit)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        tables = options.tables or Path(temporary)
        for name in options.sets:
            features(name, options.data, tables)
        units = [
            (name, label, seed)
            for label in options.contenders
            for seed in range(options.seeds)
            for name in options.sets
        ]
        with ThreadPoolExecutor(options.jobs) as pool:
            rows = list(filter(None, pool.map(lambda unit: measure_apart(tables, *unit), units)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), "utf-8")
    print(table(rows).to_string())


if __name__ == "__main__":
    main()
