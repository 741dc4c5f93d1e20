"""Beyond the papers: what pre-training on unlabelled captures is worth when labels are few."""

import numpy as np
from sklearn.metrics import f1_score

from paper_tables import b_models, heads
from paper_tables.b_settings import SETTINGS as B_SETTINGS
from paper_tables.core import Table
from paper_tables.pretraining import pretrained
from paper_tables.render import markdown, spread

OWN = "pre-trained, own sessions too"
STARTS = ("from scratch", "pre-trained", OWN)
FOREST = "random forest"
# sessions a class -> rows that the network sees in a whole training, repeats included
SETTINGS = {
    "tiny": {"labels": {"2": 100, "all": 100}, "share": 0.05},
    "cpu": {"labels": {"10": 6000, "50": 7500, "200": 9000, "all": 9000}, "share": 1.0},
    "gpu": {
        "labels": {"10": 60_000, "50": 120_000, "200": 240_000, "all": 480_000},
        "share": 1.0,
    },
}
SETTINGS = {
    scale: given
    | {k: v for k, v in B_SETTINGS[scale].items() if k not in ("baselines", "boosting")}
    | {"test_rows": 2000 if scale == "cpu" else None}
    for scale, given in SETTINGS.items()
}


def units(settings, seeds):
    """List the runs, seed by seed."""
    return [
        {"data": data, "labels": labels, "start": start, "seed": seed}
        for seed in range(seeds)
        for data in heads.SETS
        for labels in reversed(settings["labels"])
        for start in (*STARTS, FOREST)
    ]


def chosen(y, labels, seed):
    """Draw so many rows of each class, or all."""
    if labels == "all":
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y == c))[: int(labels)] for c in np.unique(y)]
    return np.sort(np.concatenate(rows))


def run(unit, settings, folder):
    """Fine-tune with few labels of the earlier sessions, test on later ones, masked."""
    seed, start = unit["seed"], unit["start"]
    data = heads.subset(heads.load(unit["data"], folder), settings["share"], seed)
    X = heads.tokens(data.sessions, True, settings["n_bytes"], settings["n_packets"])
    train, test = heads.split(data, "time", seed)
    unlabelled, train = X[train], train[chosen(data.y[train], unit["labels"], seed)]
    if settings["test_rows"]:
        test = np.random.default_rng(seed).permutation(test)[: settings["test_rows"]]
    if start == FOREST:
        model, passes = b_models.make(FOREST, settings, seed), None
    else:
        weights = None
        if start != "from scratch":
            own = unlabelled if start == OWN else None
            weights = pretrained(folder, settings["pretraining"], True, own=own)
        epochs = max(1, round(settings["labels"][unit["labels"]] / len(train)))
        passes = epochs * len(train)
        model = b_models.make("BiGRU-DA-BERT", settings, seed, weights)
        model.set_params(max_epochs=epochs)
    name = FOREST if start == FOREST else "BiGRU-DA-BERT"
    model.fit(b_models.inputs(name, X[train]), data.y[train])
    predicted = model.predict(b_models.inputs(name, X[test]))
    f1 = f1_score(data.y[test], predicted, average="macro", zero_division=0)
    return [{"f1": float(f1), "train": len(train), "test": len(test), "passes": passes}]


def section(result, images):
    """Write the table, the curve and what they say."""
    rows, parts = result.rows, []
    order = list(result.settings["labels"])
    parts.append(
        "BERT is pre-trained on sessions of nDPI's test captures and of the IoT devices, without "
        "labels, by naming hidden bytes; then BiGRU-DA-BERT learns from so many labelled "
        "sessions a class of the earlier 60 % and is tested on later sessions, identifiers "
        "masked. The third start has also seen all sessions of the earlier 60 %, without their "
        "labels. All starts see the same number of labelled rows."
    )
    for data, chosen_rows in rows.groupby("data", sort=False):
        cells = spread(chosen_rows, ["labels", "start"], ["f1"])["f1"].unstack()
        table = cells.reindex([n for n in order if n in cells.index], columns=[*STARTS, FOREST])
        table = table.fillna("–")
        table.index.name = "labelled sessions a class"
        parts.append(f"**{data}**, macro-F1\n\n{markdown(table)}")
    parts += [figure(rows, order, images), words(rows, order)]
    return "\n\n".join(parts)


def figure(rows, order, images):
    """F1 against labels."""
    import matplotlib.pyplot as plt

    sets = rows["data"].unique()
    fig, panels = plt.subplots(
        1, len(sets), figsize=(5 * len(sets), 3.6), sharey=True, squeeze=False
    )
    styles = dict(zip((*STARTS, FOREST), ("o--", "s-", "D-", "^:"), strict=True))
    for axes, data in zip(panels[0], sets, strict=True):
        for start, style in styles.items():
            f1 = rows[(rows["data"] == data) & (rows["start"] == start)].groupby("labels")["f1"]
            mean, std = f1.mean().reindex(order), f1.std().reindex(order).fillna(0)
            axes.errorbar(order, mean, std, fmt=style, label=start, capsize=3)
        axes.set(title=data, xlabel="labelled sessions a class", ylim=(0, 1))
        axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("macro-F1")
    panels[0][0].legend()
    fig.tight_layout()
    return images.save(fig, "few-labels", "macro-F1 against labelled sessions a class")


def words(rows, order):
    """Say where pre-training pays, and whether the forest is beaten."""
    f1 = rows.pivot_table(index=["data", "labels"], columns="start", values="f1")
    f1 = f1.reindex(columns=[*STARTS, FOREST])
    sentences = []
    for data in rows["data"].unique():
        here = f1.loc[data].reindex([n for n in order if n in f1.loc[data].index])
        for start, what in ((STARTS[1], "other networks' captures"), (OWN, "these and its own")):
            gain = (here[start] - here[STARTS[0]]).dropna()
            listed = ", ".join(f"{value:+.3f} with {n}" for n, value in gain.items())
            sentences.append(f"{data}, pre-training on {what} changes F1 by {listed}.")
        best = here[list(STARTS)].max(axis=1) - here[FOREST]
        won = [n for n in here.index if best[n] > 0]
        sentences.append(
            f"The best network beats the forest on the same bytes "
            f"{'with ' + ', '.join(won) + ' labels a class' if won else 'nowhere'}."
        )
    sentences.append(
        "At scale cpu the pre-training lasts minutes and sees some thousand sessions, so that this "
        "is no proof against one at full size."
    )
    return " ".join(sentences)


TABLE = Table(
    "x-few-labels",
    "Pre-training on unlabelled captures, then few labels",
    SETTINGS,
    units,
    run,
    section,
)
