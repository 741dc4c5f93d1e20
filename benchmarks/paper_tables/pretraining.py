"""BERT pre-trained on captures without labels: nDPI's test captures and the IoT devices'."""

import hashlib
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from platformdirs import user_cache_path

from paper_tables import heads
from paper_tables.b_settings import SETTINGS
from paper_tables.core import Table, provenance
from paper_tables.render import markdown
from sktraffic.capture import SessionExtractor
from sktraffic.datasets import find_captures
from sktraffic.neural_network import MaskedByteModel
from sktraffic.sessions import concat, read_sessions, write_sessions

CORPORA = {"nDPI": "ndpi/pcap", "IoT": "iot_devices"}


def cache_folder():
    """Where sessions and weights are kept between runs: never among the data."""
    return user_cache_path("sktraffic") / "papers"


def corpus(folder, settings):
    """Sessions of the unlabelled captures with the bytes of their first packets."""
    keep = {"n_bytes": settings["n_bytes"], "n_byte_packets": settings["n_packets"]}
    every = settings["every_capture"]
    name = hashlib.sha256(json.dumps([str(folder), keep, every]).encode()).hexdigest()[:12]
    path = cache_folder() / f"corpus-{name}.parquet"
    if path.exists():
        return read_sessions(path)
    # the first bytes of payloads lie behind up to 120 bytes of headers
    extractor = SessionExtractor(
        n_bytes=max(settings["n_bytes"], 160), n_byte_packets=settings["n_packets"],
        messages=False, on_error="skip",
    )  # fmt: skip
    parts = []
    for sub in CORPORA.values():
        captures = find_captures(folder / sub)[0][::every]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captures without an IP packet are left out
            parts.append(extractor.transform(captures))
    table = concat(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as aside:
        write_sessions(table, Path(aside) / path.name)
        (Path(aside) / path.name).replace(path)
    return table


def weights_path(folder, settings, masked, seed=0, own=None):
    """Where the weights of these settings are kept."""
    extra = None if own is None else hashlib.sha256(own.tobytes()).hexdigest()
    key = [str(folder), settings, masked, seed, extra, provenance()["versions"]["torch"]]
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder() / f"bert-{name}"


def pretrained(folder, settings, masked, seed=0, own=None):
    """Return the folder of the pre-trained weights, trained first where they are not there.

    ``own`` are tokens of further sessions, such as those of a training part without its labels.
    """
    path = weights_path(folder, settings, masked, seed, own)
    if not path.exists():
        save(train(folder, settings, masked, seed, own)[0], path)
    return str(path)


def save(model, path):
    """Write a model's weights as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as aside:
        model.save_pretrained(Path(aside) / "weights")
        if not path.exists():
            (Path(aside) / "weights").replace(path)


def train(folder, settings, masked, seed, own=None):
    """Pre-train on a part of the sessions; return the model and both parts of the tokens."""
    table = corpus(folder, settings)
    X = heads.tokens(table, masked, settings["n_bytes"], settings["n_packets"])
    X = np.unique(X[X.any(axis=1)], axis=0)  # chatter that repeats byte for byte teaches nothing
    X = np.random.default_rng(seed).permutation(X)
    held = X[: min(1000, len(X) // 5)]
    X = X[len(held) : len(held) + settings["sessions"]]
    if own is not None:
        X = np.unique(np.concatenate([X, own[own.any(axis=1)]]), axis=0)
    model = MaskedByteModel(**settings["bert"], **settings["pretrain"], random_state=seed)
    return model.fit(X), X, held


def run(unit, settings, folder):
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


def section(result, images):
    """Write how well hidden bytes are named, and how the loss fell."""
    rows = result.rows
    table = rows[["sessions", "tokens", "accuracy", "most frequent byte of the place"]].copy()
    table.index = pd.Index(["masked" if m else "unmasked" for m in rows["masked"]], name="input")
    table = table.rename(columns={"accuracy": "hidden bytes named"})
    losses = "; ".join(
        f"{name} {' → '.join(f'{v:.2f}' for v in loss)}"
        for name, loss in zip(table.index, rows["loss"], strict=True)
    )
    return "\n\n".join(
        [
            "MaskedByteModel on sessions of nDPI's test captures and of the IoT devices that "
            "differ in their first bytes; no label is used. The share of hidden bytes that it "
            "names in 1,000 sessions that it has not seen, beside naming the most frequent byte "
            "of the place:",
            markdown(table),
            f"Loss after each epoch: {losses}.",
        ]
    )


TABLE = Table(
    "x-pretraining",
    "Pre-training: naming hidden bytes",
    {scale: given["pretraining"] for scale, given in SETTINGS.items()},
    lambda settings, seeds: [{"masked": masked, "seed": 0} for masked in (True, False)],
    run,
    section,
)
