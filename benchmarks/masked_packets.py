"""Two ways to pre-train on unlabelled sessions compared: masked packets and metric learning.

Both train a `PacketSequenceNet` of the same sizes on signed sizes and intervals alone, and see the
same sessions as often: unlabelled flows of Android apps, whole training traces drawn by lot
until they hold a share of the training flows. Metric learning is `SequenceEncoder("capture")`,
which tells the traces apart; it needs five flows of each, so that only such traces are drawn.
Masked packets: of each session 30 % of the packets are hidden, a learned vector in place of all
that is said of them but their place, and their signed size (to the byte) and interval (one of 16
bins) are predicted from the convolutions' outputs before pooling. The network averages packets in
pairs half-way, so that each output predicts both packets of its pair, told apart by a learned
vector of the place. The layer between pooling and head learns nothing from that: a classifier that
starts from masked packets has it untrained, and nearest neighbours compare what was pooled.

What is scored is macro-F1 on the flows of unseen traces, learned from a few labels a class: the
network, with the statistics of the session beside, from scratch and from both starts, and three
nearest neighbours in the embeddings, those of the untrained network among them. Vectors that were
pooled are compared both as they are and standardised; metric learning's as `transform` gives them.

    python benchmarks/masked_packets.py [--data FOLDER] [--seeds 0 1 2] [--labels 5 50]
        [--epochs 6] [--share 0.5] [--json FILE]

A seed takes about ten minutes on one core that does nothing else. ``--epochs 16 --share 1`` is what
metric learning has in the tables of few labels: four times the budget, and it is worth much more.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from paper_tables.data import load_android, split_groups
from paper_tables.sequence_measures import draw
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from torch import nn

from sktraffic.feature_extraction import PacketSequences
from sktraffic.neural_network import PacketSequenceClassifier, SequenceEncoder
from sktraffic.nn._packet_sequence import halve

FIELDS = ("signed_size", "iat")
COLUMNS = ["packet_time", "packet_size", "packet_direction", "packet_payload_size", "packet_flags"]
LARGEST = 1500  # bytes; larger packets count as these, as in the network's own embedding
INTERVALS = 16
MIN_COUNT = 5  # flows of a trace
TUNING = {5: 60, 50: 30}  # labels a class -> epochs, as in the tables of few labels
SCRATCH = "network from scratch"
NEIGHBOURS = "neighbours, "
UNTRAINED, MASKED, METRIC = "untrained", "masked packets", "metric learning"


class MaskedPackets(nn.Module):
    """A network's convolutions, with heads that tell what hidden packets were.

    Parameters
    ----------
    net : PacketSequenceNet
        What is pre-trained; it is changed in place.
    edges : Tensor of shape (n_bins - 1,)
        Between the bins of intervals, in seconds.
    share : float, default=0.3
        Probability that a packet is hidden.

    Notes
    -----
    Shape: (B, T, 2) -> sizes and intervals of the N hidden packets, logits (N, 3001) and
    (N, n_bins), and the bins that they are of, (N,) each.
    """

    def __init__(self, net, edges, share=0.3):
        super().__init__()
        self.net, self.share = net, share
        self.register_buffer("edges", edges)
        width, n_channels = net.embedding.width, net.norm.num_features
        self.stand_in = nn.Parameter(0.3 * torch.randn(width))
        self.place = nn.Parameter(0.3 * torch.randn(net.n_packets, n_channels))
        self.layer = nn.Sequential(
            nn.Linear(n_channels, n_channels), nn.GELU(), nn.LayerNorm(n_channels)
        )
        self.size = nn.Linear(n_channels, 2 * LARGEST + 1)
        self.interval = nn.Linear(n_channels, len(edges) + 1)

    def forward(self, sequence):
        """Hide packets and predict them."""
        sequence = self.net._augment(sequence)  # as in metric learning
        there = sequence[:, :, 0] != 0
        hidden = there & (torch.rand(there.shape) < self.share)
        row, place = hidden.nonzero(as_tuple=True)
        size, interval = self.predict(sequence, hidden)
        sizes = sequence[row, place, 0].round().clamp(-LARGEST, LARGEST).long() + LARGEST
        intervals = torch.bucketize(sequence[row, place, 1].contiguous(), self.edges)
        return (size, interval), (sizes, intervals)

    def predict(self, sequence, hidden):
        """Logits of the packets where `hidden` (B, T) is true, of what the others say."""
        net = self.net
        packets = net.embedding(sequence)
        stand_in = self.stand_in.expand_as(packets).clone()
        stand_in[:, :, 3:11] = net.embedding.place  # where a packet is does not hide
        packets = torch.where(hidden[:, :, None], stand_in, packets)
        steps, _ = convolve(net, packets, sequence[:, :, 0] != 0)
        row, place = hidden.nonzero(as_tuple=True)
        each = -(-net.n_packets // steps.shape[3])  # packets of a step: two, where there are pairs
        found = self.layer(steps[row, :, 0, place // each] + self.place[place])
        return self.size(found), self.interval(found)


def convolve(net, packets, there):
    """Run the convolutions, without pooling: (B, T, width) -> (B, C, 1, steps), and the mask."""
    mask = there[:, None, None].to(packets.dtype)
    h = net.stem(packets.transpose(1, 2).unsqueeze(2) * mask)
    for i, block in enumerate(net.blocks):
        if i and i == len(net.blocks) // 2:
            h, mask = halve(h, mask)
        h = block(h, mask)
    return F.gelu(net.norm(h)), mask


def sequences(X, n_packets):
    """Signed sizes and intervals of a session table: (n, T, 2)."""
    rows = PacketSequences(n_packets, fields=FIELDS).fit(X).transform(X)
    return torch.tensor(np.asarray(rows), dtype=torch.float32).reshape(len(X), -1, len(FIELDS))


def pooled(net, X):
    """Maximum and generalised mean of the convolutions' outputs: (n, 2 C)."""
    net.eval()
    parts = []
    with torch.inference_mode():
        for part in sequences(X, net.n_packets).split(1024):
            parts.append(net._pool(*convolve(net, net.embedding(part), part[:, :, 0] != 0)))
    return torch.cat(parts).double().numpy()


def pretrain(net, X, epochs, seed, share=0.3, lr=0.004, warm_up=0.15):
    """Train a network on masked packets as the estimators train theirs; returns the last epoch.

    Returns
    -------
    dict
        Share of the hidden sizes and intervals that were named, and the loss.
    """
    torch.manual_seed(seed)
    rows = sequences(X, net.n_packets)
    there = rows[:, :, 0] != 0
    quantiles = torch.linspace(0, 1, INTERVALS + 1, dtype=torch.float64)[1:-1]
    edges = rows[:, :, 1][there].double().quantile(quantiles).float().unique()
    model = MaskedPackets(net, edges, share).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.01)
    batch_size = min(max(len(rows) // 100, 8), 128)
    n_steps = epochs * -(-len(rows) // batch_size)
    rise = max(1.0, warm_up * n_steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / rise, (n_steps - step) / max(1.0, n_steps - rise)),
    )
    for _ in range(epochs):
        sums = np.zeros(4)
        for batch in torch.randperm(len(rows)).split(batch_size):
            logits, target = model(rows[batch])
            losses = [F.cross_entropy(*pair) for pair in zip(logits, target, strict=True)]
            optimizer.zero_grad()
            sum(losses).backward()
            optimizer.step()
            schedule.step()
            named = [
                (a.argmax(dim=1) == b).sum().item() for a, b in zip(logits, target, strict=True)
            ]
            n = len(target[0])
            sums += [n, *named, n * sum(losses).item()]
    net.eval()
    found = (sums[1:] / sums[0]).round(3).tolist()
    return dict(zip(("sizes named", "intervals named", "loss"), found, strict=True))


def untrained(X, network):
    """Return a classifier after one step on two rows: a network to pre-train, in a fitted shell."""
    made = PacketSequenceClassifier(statistics=None, **network | {"max_epochs": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(X.iloc[:2], ["one", "other"])
    return made


def draw_traces(data, train, share, seed):
    """Rows of training traces of five flows or more, by lot, to a share of the training rows."""
    captures, counts = np.unique(data.groups[train], return_counts=True)
    captures = np.random.default_rng(seed).permutation(captures[counts >= MIN_COUNT])
    sizes = dict(zip(*np.unique(data.groups[train], return_counts=True), strict=True))
    total = np.cumsum([sizes[name] for name in captures])
    kept = captures[: max(2, np.searchsorted(total, share * len(train), side="right"))]
    return train[np.isin(data.groups[train], kept)]


def measure(data, seed, options, say):
    """Pre-train in both ways and score all starts; `say` gets a row each."""
    network = {"n_channels": options.channels, "n_blocks": options.blocks, "fields": FIELDS}
    network |= {"random_state": seed}
    train, test = split_groups(data, "grouped", options.splits, 0, seed)
    rows = draw_traces(data, train, options.share, seed)
    X = data.X[[*COLUMNS, "capture"]].iloc[rows]
    begun = time.process_time()
    learner = PacketSequenceClassifier(
        head="cosine", statistics=None, **network, max_epochs=options.epochs
    )
    metric = SequenceEncoder("capture", min_count=MIN_COUNT, estimator=learner).fit(X)
    seconds = {METRIC: time.process_time() - begun}
    begun = time.process_time()
    shells = {name: untrained(X, network) for name in (UNTRAINED, MASKED)}
    nets = {name: shell.net_.module_ for name, shell in shells.items()}
    last = pretrain(nets[MASKED], X, options.epochs, seed)
    seconds[MASKED] = time.process_time() - begun
    common = {"seed": seed, "epochs": options.epochs, "unlabelled": len(rows)}
    say(common | last | {f"seconds, {name}": round(value) for name, value in seconds.items()})
    X, y = data.X[COLUMNS], data.y
    drawn = {labels: draw(y, train, labels, seed) for labels in options.labels}
    used = np.unique(np.concatenate([test, *drawn.values()]))
    embedded = {name: pooled(net, X.iloc[used]) for name, net in nets.items()}
    embedded[METRIC] = metric.transform(X.iloc[used])

    def score(called, labels, start):
        f1 = f1_score(y[test], called, average="macro")
        say(common | {"labels": labels, "start": start, "f1": round(float(f1), 4)})

    for labels, rows in drawn.items():
        here, there = np.searchsorted(used, rows), np.searchsorted(used, test)
        for name, vectors in embedded.items():
            for scaled in (False, True)[: 1 if name == METRIC else 2]:
                steps = [StandardScaler()] if scaled else []
                near = KNeighborsClassifier(3, weights="distance")
                near = make_pipeline(*steps, Normalizer(), near).fit(vectors[here], y[rows])
                start = NEIGHBOURS + name + (", standardised" if scaled else "")
                score(near.predict(vectors[there]), labels, start)
        epochs = options.tuning_epochs or TUNING.get(labels, 30)
        pretrained = {SCRATCH: None, f"network from {MASKED}": shells[MASKED]}
        for start, given in (pretrained | {f"network from {METRIC}": metric}).items():
            clf = PacketSequenceClassifier(pretrained=given, **network, max_epochs=epochs)
            clf.fit(X.iloc[rows], y[rows])
            score(clf.predict(X.iloc[test]), labels, start)


def table(rows):
    """Macro-F1 by start and labels a class: mean over the seeds, and their number."""
    scored = pd.DataFrame([row for row in rows if "start" in row])
    grouped = scored.groupby(["start", "labels"], sort=False)["f1"]
    out = grouped.mean().round(3).unstack("labels")
    return out.join(grouped.size().unstack("labels").add_prefix("seeds, "))


def main(arguments=None):
    """Print a row a start."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SKTRAFFIC_DATA"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 50], help="of each class")
    parser.add_argument("--epochs", type=int, default=6, help="of both pre-trainings")
    parser.add_argument("--share", type=float, default=0.5, help="of training flows, unlabelled")
    parser.add_argument("--tuning-epochs", type=int, help="in place of 60 for 5 labels, or 30")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--apps", type=int, help="the first ones only")
    parser.add_argument("--traces", type=int, help="of an app, at most")
    parser.add_argument("--json", type=Path, help="file for all rows, written after each")
    options = parser.parse_args(arguments)
    data = load_android(options.data, options.apps, options.traces)
    rows = []

    def say(row):
        print(row, flush=True)
        rows.append(row)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1), "utf-8")

    for seed in options.seeds:
        measure(data, seed, options, say)
    print(table(rows).to_string())


if __name__ == "__main__":
    main()
