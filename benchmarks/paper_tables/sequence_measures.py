"""What is measured of packet sequences: early decisions, and learning from few labels."""

import time

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union

from paper_tables.data import (
    iot_sessions,
    lab_sessions,
    load_android,
    load_heads,
    split_groups,
    split_heads,
)
from sktraffic.feature_extraction import PacketSequences, PacketSizeMatrix, SessionStatistics
from sktraffic.neural_network import PacketSequenceClassifier, SequenceEncoder
from sktraffic.sessions import first_packets

CUTS, WHOLE = "one, with cuts", "one, of whole sessions"
SCRATCH, PRETRAINED = "network from scratch", "network, pre-trained"
EMBEDDED, FOREST = "embeddings, nearest neighbours", "random forest"
STARTS = (SCRATCH, PRETRAINED, EMBEDDED, FOREST)
SEQUENCE = [
    "packet_time", "packet_size", "packet_direction", "packet_payload_size", "packet_flags"
]  # fmt: skip


def early(unit, settings, folder):
    """Score sessions of unseen traces as they were after some packets; a row a number of packets.

    The model is one that learned from sessions cut at random, one of whole sessions, or that of a
    single number of packets, which is asked for that number alone.
    """
    data = load_android(folder, settings["apps"], settings["traces"])
    train, test = split_groups(data, "grouped", settings["n_splits"], 0, unit["seed"])
    X, given = data.X.iloc[train], unit["model"]
    params = settings["network"] | {"random_state": unit["seed"]}
    if given == CUTS:
        params["cuts"] = settings["packets"]
    elif given != WHOLE:
        X = first_packets(X, given)
    began = time.process_time()
    model = PacketSequenceClassifier(**params).fit(X, data.y[train])
    seconds = round(time.process_time() - began, 1)
    rows = []
    for n in settings["packets"] if given in (CUTS, WHOLE) else [given]:
        called = model.predict(first_packets(data.X.iloc[test], n))
        rows.append({"packets": n, "f1": macro_f1(data.y[test], called), "fit_seconds": seconds})
    return rows


def few_labels(unit, settings, folder):
    """Score networks, embeddings and a forest that saw a few labels a class; a row each.

    Without labels the network learned, of Android's training traces, which trace a session is
    from; for ISCX, which is one capture a class, the applications of the sessions of other
    networks.
    """
    seed = unit["seed"]
    network = settings["network"] | {"random_state": seed, "fields": ("signed_size", "iat")}
    if unit["data"] == "Android":
        data = load_android(folder, settings["apps"], settings["traces"])
        train, test = split_groups(data, "grouped", settings["n_splits"], 0, seed)
        free, unlabelled = "capture", data.X.iloc[train]
    else:
        data = load_heads("ISCX", folder)
        train, test = split_heads(data, "time", seed)
        free, unlabelled = "application", other_networks(folder, settings)
    learner = PacketSequenceClassifier(head="cosine", statistics=None, **network)
    encoder = SequenceEncoder(free, estimator=learner).fit(unlabelled[[*SEQUENCE, free]])
    rows = []
    for labels, epochs in settings["labels"].items():
        drawn = draw(data.y, train, labels, seed)
        X, y = data.X[SEQUENCE].iloc[drawn], data.y[drawn]
        for start in STARTS:
            model = starting_from(start, encoder, network | {"max_epochs": epochs}, settings, seed)
            called = model.fit(X, y).predict(data.X[SEQUENCE].iloc[test])
            f1 = macro_f1(data.y[test], called)
            rows.append({"labels": labels, "start": start, "f1": f1, "train": len(drawn)})
    return rows


def starting_from(start, encoder, network, settings, seed):
    """Unfitted classifier of a start; the encoder is fitted, and stays as it is."""
    if start in (SCRATCH, PRETRAINED):
        pretrained = encoder if start == PRETRAINED else None
        return PacketSequenceClassifier(pretrained=pretrained, **network)
    if start == EMBEDDED:
        return make_pipeline(Embeddings(encoder), KNeighborsClassifier(3, weights="distance"))
    features = make_union(
        SessionStatistics("extended"),
        PacketSizeMatrix(min_sessions=1),
        PacketSequences(30, fields=["signed_size", "iat"]),
    )
    return make_pipeline(features, RandomForestClassifier(settings["trees"], random_state=seed))


class Embeddings:
    """A fitted encoder as a step of a pipeline, which does not learn again."""

    def __init__(self, encoder):
        self.encoder = encoder

    def fit(self, X, y=None):
        """Nothing is learned."""
        return self

    def transform(self, X):
        """Embed; shape (n_sessions, 256)."""
        return self.encoder.transform(X)

    def fit_transform(self, X, y=None):
        """Embed; shape (n_sessions, 256)."""
        return self.encoder.transform(X)


def other_networks(folder, settings):
    """Packets and applications of the bundled captures and the IoT devices."""
    lab, iot = lab_sessions()[0], iot_sessions(folder, settings["devices"], settings["runs"])[0]
    return pd.concat([table[[*SEQUENCE, "application"]] for table in (lab, iot)], ignore_index=True)


def draw(y, rows, labels, seed):
    """At most so many rows of each class, by lot; "all" takes all."""
    if labels == "all":
        return rows
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(rows[y[rows] == c])[: int(labels)] for c in np.unique(y[rows])]
    return np.sort(np.concatenate(drawn))


def macro_f1(y, called):
    """Macro-F1, rounded for the result file."""
    return round(float(f1_score(y, called, average="macro")), 4)
