"""What is measured of Liang et al.: models of bytes, their search, and BERT's pre-training."""

import hashlib
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.model_selection import ParameterSampler

from paper_tables import models
from paper_tables.data import cache, load_heads, split_heads, subset, take, tokens
from paper_tables.runner import provenance
from sktraffic.capture import SessionExtractor
from sktraffic.datasets import find_captures
from sktraffic.neural_network import MaskedByteModel
from sktraffic.sessions import concat, read_sessions, write_sessions

CORPORA = ("ndpi/pcap", "iot_devices")  # captures without labels
SCRATCH, OWN = "from scratch", "pre-trained, own sessions too"
STARTS = (SCRATCH, "pre-trained", OWN)


def scores(unit, settings, folder):
    """Table 3 and the ablations: train one model and score it on rows that it has not seen."""
    seed, name = unit["seed"], unit["model"]
    data = subset(load_heads(unit["data"], folder), settings["share"], seed)
    X = tokens(data.X, unit["masked"], settings)
    train, test = split_heads(data, unit["split"], seed)
    seen = {row.tobytes() for row in X[train]}
    twin = np.array([row.tobytes() in seen for row in X[test]])
    weights = None
    if name == "pre-trained":
        weights = pretrained(folder, settings["pretraining"], unit["masked"])
    model = models.of_bytes(name, settings, seed, weights)
    X = data.raw if name == models.RAW_BYTES else models.inputs(name, X)
    predicted = model.fit(X[train], data.y[train]).predict(X[test])
    y_train, y = data.y[train], data.y[test]
    labels = np.unique(y_train)
    p, r, f, n = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    return [
        {
            "accuracy": float(accuracy_score(y, predicted)),
            "precision": float(p.mean()),
            "recall": float(r.mean()),
            "f1": float(f.mean()),
            "f1_new": macro_f1(y[~twin], predicted[~twin]),  # of rows that have no twin
            "twins": float(twin.mean()),
            "train": len(y_train),
            "test": len(y),
            "class_f1": {k: round(float(v), 4) for k, v in zip(labels, f, strict=True)},
            "class_train": {k: int((y_train == k).sum()) for k in labels},
            "class_test": {k: int(v) for k, v in zip(labels, n, strict=True)},
        }
    ]


def macro_f1(y, predicted):
    """Mean F1 of the classes; those that are never called score 0."""
    return float(f1_score(y, predicted, average="macro", zero_division=0))


def search(unit, settings, folder):
    """Choose inside the training part, by its own later sessions; then test once."""
    family, seed = unit["family"], unit["seed"]
    data = subset(load_heads(unit["data"], folder), settings["share"][unit["data"]], seed)
    weights = None
    if family == models.BERT:
        weights = pretrained(folder, settings["pretraining"], True)
    X = models.inputs(family, tokens(data.X, True, settings))
    train, test = split_heads(data, "time", seed)
    inner, watch = (train[p] for p in split_heads(take(data, train), "time", seed, test_size=0.25))

    def predicted(given, rows, held):
        model = models.candidate(family, given, settings, seed, weights)
        return model.fit(X[rows], data.y[rows]).predict(X[held])

    tried, count = [models.DEFAULTS[family]], settings["candidates"]
    drawn = ParameterSampler(models.SPACES[family], count, random_state=seed)
    tried = [*tried, *(given for given in drawn if given not in tried)][:count]
    inner_f1 = [macro_f1(data.y[watch], predicted(given, inner, watch)) for given in tried]
    best = tried[int(np.argmax(inner_f1))]
    called = predicted(best, train, test)
    row = {"f1": macro_f1(data.y[test], called), "inner_f1": inner_f1, "tried": tried, "best": best}
    return [row | {"accuracy": float(accuracy_score(data.y[test], called))}]


def few_labels(unit, settings, folder):
    """Fine-tune with few labels of the earlier sessions, test on later ones, masked."""
    seed, start, labels = unit["seed"], unit["start"], unit["labels"]
    data = subset(load_heads(unit["data"], folder), settings["share"], seed)
    X = tokens(data.X, True, settings)
    train, test = split_heads(data, "time", seed)
    unlabelled = X[train]
    if labels != "all":
        rng, y = np.random.default_rng(seed), data.y[train]
        drawn = [rng.permutation(np.flatnonzero(y == c))[: int(labels)] for c in np.unique(y)]
        train = train[np.sort(np.concatenate(drawn))]
    if settings["test_rows"]:
        test = np.random.default_rng(seed).permutation(test)[: settings["test_rows"]]
    name, passes, weights = models.FOREST, None, None
    if start in STARTS:
        name = models.BERT
        if start != SCRATCH:
            own = unlabelled if start == OWN else None
            weights = pretrained(folder, settings["pretraining"], True, own=own)
        epochs = max(1, round(settings["labels"][labels] / len(train)))
        passes = epochs * len(train)
    model = models.of_bytes(name, settings, seed, weights)
    if passes:
        model.set_params(max_epochs=epochs)
    X = models.inputs(name, X)
    predicted = model.fit(X[train], data.y[train]).predict(X[test])
    f1 = macro_f1(data.y[test], predicted)
    return [{"f1": f1, "train": len(train), "test": len(test), "passes": passes}]


def pretraining(unit, settings, folder):
    """Pre-train once; how many hidden tokens of unseen sessions are named."""
    model, X, held = train(folder, settings, unit["masked"], unit["seed"])
    save(model, weights_path(folder, settings, unit["masked"], unit["seed"]))
    shown = np.where(held == 0, -1, held)
    usual = [np.bincount(X[:, i], minlength=260)[1:].argmax() + 1 for i in range(X.shape[1])]
    return [
        {
            "sessions": len(X),
            "tokens": int((X > 0).sum()),
            "accuracy": float(model.score(held)),
            "most frequent byte of the place": float((shown == usual)[held > 0].mean()),
            "loss": [round(float(v), 4) for v in model.history_["train_loss"]],
        }
    ]


def corpus(folder, settings):
    """Sessions of the unlabelled captures with the bytes of their first packets."""
    keep = {"n_bytes": settings["n_bytes"], "n_byte_packets": settings["n_packets"]}
    every = settings["every_capture"]
    name = hashlib.sha256(json.dumps([str(folder), keep, every]).encode()).hexdigest()[:12]
    path = cache() / f"corpus-{name}.parquet"
    if path.exists():
        return read_sessions(path)
    # the first bytes of payloads lie behind up to 120 bytes of headers
    extractor = SessionExtractor(
        n_bytes=max(settings["n_bytes"], 160), n_byte_packets=settings["n_packets"],
        messages=False, on_error="skip",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captures without an IP packet are left out
        captures = [find_captures(folder / sub)[0][::every] for sub in CORPORA]
        table = concat([extractor.transform(part) for part in captures])
    keep_whole(path, lambda aside: write_sessions(table, aside))
    return table


def pretrained(folder, settings, masked, seed=0, own=None):
    """Return the folder of the pre-trained weights, trained first where they are not there.

    ``own`` are tokens of further sessions, such as those of a training part without its labels.
    """
    path = weights_path(folder, settings, masked, seed, own)
    if not path.exists():
        save(train(folder, settings, masked, seed, own)[0], path)
    return str(path)


def weights_path(folder, settings, masked, seed=0, own=None):
    """Where the weights of these settings are kept."""
    extra = None if own is None else hashlib.sha256(own.tobytes()).hexdigest()
    key = [str(folder), settings, masked, seed, extra, provenance()["versions"]["torch"]]
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    return cache() / f"bert-{name}"


def save(model, path):
    """Write a model's weights as a whole or not at all."""
    keep_whole(path, model.save_pretrained)


def keep_whole(path, write):
    """Let `write` make a file or folder aside and move it to its place, if none is there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as aside:
        write(Path(aside) / path.name)
        if not path.exists():
            (Path(aside) / path.name).replace(path)


def train(folder, settings, masked, seed, own=None):
    """Pre-train on a part of the sessions; return the model and both parts of the tokens."""
    X = tokens(corpus(folder, settings), masked, settings)
    X = np.unique(X[X.any(axis=1)], axis=0)  # chatter that repeats byte for byte teaches nothing
    X = np.random.default_rng(seed).permutation(X)
    held = X[: min(1000, len(X) // 5)]
    X = X[len(held) : len(held) + settings["sessions"]]
    if own is not None:
        X = np.unique(np.concatenate([X, own[own.any(axis=1)]]), axis=0)
    model = MaskedByteModel(**settings["bert"], **settings["pretrain"], random_state=seed)
    return model.fit(X), X, held
