"""Tables of docs/results.md, made of the rows of results; its words stand in the template."""

import json
import textwrap

import numpy as np
import pandas as pd

NAMES = {"stand-in": "ISCX stand-in", "bundled": "bundled captures", "iot": "IoT devices"}


def spread(rows, by, columns, zero=None):
    """Mean ± standard deviation over the seeds, as text; a single run stands alone.

    Parameters
    ----------
    rows : DataFrame
        A row a seed and combination of `by`, whose order of first appearance is kept.
    by : str or list of str
    columns : dict
        Column of `rows` to its title, or to (title, digits).
    zero : str, default=None
        What stands in place of a deviation that is written with zeros only.
    """
    grouped = rows.groupby(by, sort=False)[list(columns)]
    mean, std, count = grouped.mean(), grouped.std(), grouped.count()

    def text(m, s, n, digits):
        if np.isnan(m) or m > 1e6:
            return "–" if np.isnan(m) else f"{m:.1e}"
        deviation = f" ± {s:.{digits}f}" if n > 1 else ""
        nothing = zero is not None and n > 1 and float(f"{s:.{digits}f}") == 0
        return f"{m:.{digits}f}" + (zero if nothing else deviation)

    out = {}
    for name, title in columns.items():
        title, digits = title if isinstance(title, tuple) else (title, 3)
        cells = zip(mean[name], std[name], count[name], strict=True)
        out[title] = [text(*cell, digits) for cell in cells]
    return pd.DataFrame(out, index=mean.index)


def in_order(rows, *more):
    """Sort rows: sets as in `NAMES`, then by the columns given; named as they are read."""
    place = rows["data"].map(list(NAMES).index)
    rows = rows.assign(place=place, data=rows["data"].map(NAMES))
    return rows.sort_values(["place", *more], kind="stable").drop(columns="place")


def parts(rows, *by):
    """Pairs of (key or keys, rows), in order of appearance."""
    return list(rows.groupby(list(by) if len(by) > 1 else by[0], sort=False, dropna=False))


def details(result):
    """Say what made a table: scale, versions, time, settings."""
    about, machines = result.about, result.about["made_with"]
    lines = []
    for runs, made in machines:
        versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items())
        machine = f"{made['processor']}, {made['cores']} cores, {made['gpu'] or 'no GPU'}"
        of_all = f"{runs} runs: " if len(machines) > 1 else ""
        line = f"{of_all}{machine}; Python {made['python']}, {versions}."
        lines.append(textwrap.fill(line, 100) + "\n")
    return "\n".join(
        [
            f"<details><summary>Scale {result.scale}: {about['units']} runs, "
            f"{about['minutes']:.1f} processor minutes, last {about['last']}; settings</summary>\n",
            *lines,
            "```json",
            textwrap.fill(json.dumps(result.settings), 96, break_long_words=False),
            "```",
            "</details>",
        ]
    )


# -- Qi et al. ----------------------------------------------------------------------------------

CLUSTERINGS = {
    "clusters": ("clusters", 0),
    "noise_percent": ("noise %", 1),
    "silhouette": "silhouette",
    "silhouette_all_rows": "silhouette, noise as 0",
    "calinski_harabasz": ("Calinski-Harabasz", 0),
    "adjusted_mutual_info": "adjusted mutual information with the classes",
}
# sessions that the paper's table 2 has: silhouette and Calinski-Harabasz index of KMeans
KMEANS = (0.264922887, 1597.845861)
IMPORTANCES = {
    "clusters": "for the clusters (impurity, depth 5)",
    "classes": "for the classes (impurity, depth 5)",
    "impurity": "for the classes (impurity, full depth)",
    "permutation": "permutation on held-out sessions (loss of balanced accuracy)",
}
FEATURES = [
    "packet_count", "total_bytes", "duration", "packet_size_mean", "packet_size_std",
    "packet_size_entropy", "iat_mean", "iat_std", "iat_entropy",
]  # fmt: skip
# what section 2.4 of the paper says sets a kind of traffic apart, and which classes are of it
SAID = {
    "chat": ("packet_size_entropy", "iat_entropy"),
    "voice": ("iat_std", "duration"),
    "file transfer": ("total_bytes", "packet_size_mean"),
    "P2P": ("packet_size_std", "iat_std"),
}
KINDS = {
    "ISCX stand-in": {
        "chat": ["skype_chat1a", "vpn_icq_chat1a", "vpn_skype_chat1a", "vpn_aim_chat1a"],
        "voice": ["vpn_hangouts_audio1", "vpn_skype_audio1"],
        "file transfer": ["scp1", "ftps_down_1a"],
        "P2P": ["Torrent01", "vpn_bittorrent"],
    },
    "bundled captures": {
        "chat": ["chat", "vpn_chat"],
        "voice": ["voip", "vpn_voip"],
        "file transfer": ["file", "vpn_file"],
        "P2P": ["p2p", "vpn_p2p"],
    },
}
# (epochs, batch size) -> train loss (a sum over batches), validation loss of the paper's table 3
BATCHES = {
    (50, 128): (61.4051, 0.147), (50, 256): (28.6957, 0.1364), (50, 512): (12.2615, 0.1171),
    (50, 1024): (6.4008, 0.1286), (50, 2048): (3.2449, 0.1243), (50, 4096): (1.6653, 0.1290),
    (100, 4096): (1.9394, 0.1364),
}  # fmt: skip
FINAL = (1.4482, 0.1108)  # train and validation loss of its final model
ACTIVATIONS = {  # its table 4
    "tanh": ("Tanh", 0.1470), "relu": ("ReLU", 0.1108), "leaky_relu": ("LeakyReLU", 0.1290),
    "elu": ("ELU", 0.1195), "gelu": ("GELU", 0.1168),
}  # fmt: skip
LADDER = ["MLP", "+ class weights", "+ focal loss", "+ ADASYN", "+ transformer"]
LADDER.append("+ ensemble of three")
# accuracy and recall of vpn_icq_chat1a that the paper gives for the first and the last rung
PAPER_LADDER = {"MLP": (0.9594, 0.246), "+ ensemble of three": (0.9722, 0.923)}
LADDER_SCORES = {
    "accuracy": "accuracy", "f1_weighted": "weighted F1", "sparse_recall": "sparse recall",
    "sparse_f1": "sparse F1",
}  # fmt: skip


def clustering_rows(rows):
    """Rows in the order of the page: by set, features, scale."""
    return in_order(rows.assign(rank=rows["features"] == "all"), "rank", "log")


def closest_to_paper(rows):
    """Find the clustering by KMeans of three clusters that is nearest to the paper's."""
    alike = rows.query("model == 'KMeans' and clusters == 3")
    far = (alike["silhouette"] / KMEANS[0]).apply(np.log).abs()
    far += (alike["calinski_harabasz"] / KMEANS[1]).apply(np.log).abs()
    return alike.loc[far.idxmin()]


def importances(part):
    """Give the importance of each feature by the four measures."""
    table = part.pivot_table(index="feature", columns="kind", values="importance")
    table = table.reindex([name for name in FEATURES if name in table.index])[list(IMPORTANCES)]
    return table.rename(columns=IMPORTANCES).round(3)


def of_classes(part):
    """Give the importance of each feature for each class, mean over seeds: (class, feature)."""
    chosen = part[part["kind"] == "class"]
    return chosen.pivot_table(index="class", columns="feature", values="importance")


def best_features(part, top=5):
    """Name the best features of each class with their scores."""
    out = {
        label: [f"{name} {value:.2f}" for name, value in row.nlargest(top).items()]
        for label, row in of_classes(part).iterrows()
    }
    table = pd.DataFrame(out, index=[str(i + 1) for i in range(top)]).T
    return table.rename_axis("class")


def named_features(rows):
    """Rank the features that the paper names, for the classes that it speaks of."""
    lines = []
    for data, kinds in KINDS.items():
        mean = of_classes(rows[rows["data"] == data])
        for kind, features in SAID.items():
            for feature in (name for name in features if name in mean):
                rank = mean.loc[kinds[kind]].rank(axis=1, ascending=False)[feature]
                lines.append(
                    {
                        "set": data,
                        "kind": kind,
                        "the paper names": feature,
                        "classes": len(rank),
                        "among the two best": int((rank <= 2).sum()),
                        "among the 5 best": int((rank <= 5).sum()),
                        "mean rank": float(rank.mean()),
                        "features": mean.shape[1],
                    }
                )
    return pd.DataFrame(lines).query("classes > 0")


def rank_correlation(part):
    """Impurity and permutation of each feature, and how far their orders agree."""
    kinds = part[part["kind"].isin(["impurity", "permutation"])]
    wide = kinds.pivot_table(index="feature", columns="kind", values="importance")
    return wide, wide.corr(method="spearman").loc["impurity", "permutation"]


def batches(rows):
    """Losses by batch size, ours and the paper's."""
    rows = rows.sort_values(["epochs", "batch_size"])
    columns = {
        "train_loss_sum": "train loss, sum over batches",
        "train_loss": "train loss, mean",
        "valid_loss": "validation loss",
        "best_valid_loss": "lowest validation loss",
        "accuracy": "validation accuracy",
    }
    by = ["epochs", "batch_size"]
    table = spread(rows, by, columns)
    table.insert(0, "batches an epoch", rows.groupby(by, sort=False)["batches"].first())
    table["paper: train loss"] = [BATCHES[key][0] for key in table.index]
    table["paper: validation loss"] = [BATCHES[key][1] for key in table.index]
    return table.rename_axis(["epochs", "batch size"])


def implied_rows():
    """Training rows that make the paper's train loss a sum of means like the validation loss."""
    runs = [(batch, *losses) for (_, batch), losses in BATCHES.items()] + [(4096, *FINAL)]
    return pd.Series([batch * train / valid for batch, train, valid in runs])


def activations(rows):
    """Networks of five activations, ours and the paper's."""
    columns = {
        "valid_loss": "validation loss",
        "best_valid_loss": "lowest validation loss",
        "accuracy": "validation accuracy",
    }
    rows = rows[(rows["columns"] == "masked") & (rows["activation"] != "forest")]
    table = spread(rows, "activation", columns).loc[list(ACTIVATIONS)]
    table["seconds an epoch"] = rows.groupby("activation")["epoch_seconds"].median()
    table["paper: validation loss"] = [loss for _, loss in ACTIVATIONS.values()]
    return table.set_index(pd.Index([name for name, _ in ACTIVATIONS.values()], name="activation"))


def over_sampled(part):
    """Sessions a class before and after each over-sampler."""
    wide = part.pivot(index="class", columns="method", values="after")
    table = part.drop_duplicates("class").set_index("class")[["before"]]
    for method, label in (("ADASYN",) * 2, ("GuardedADASYN", "guarded ADASYN"), ("SMOTE",) * 2):
        table[label] = wide[method].reindex(table.index).astype("Int64")
    guarded = part[part["method"] == "GuardedADASYN"].set_index("class")
    table["guarded: made by"] = guarded["made_by"].reindex(table.index)
    return table.sort_values("before", ascending=False)


def unevenness(counts):
    """Largest distance of a count from the median, in per cent of it."""
    middle = np.median(counts)
    return float(100 * np.max(np.abs(np.asarray(counts, dtype=float) - middle)) / middle)


def rungs(part):
    """Names of the ladder's rungs, then of what they are compared with."""
    return [*LADDER, *(name for name in part["rung"].unique() if name not in LADDER)]


def ladder(part):
    """One split of the ladder, masked and unmasked side by side, and the paper's figures."""
    tables = [
        spread(chosen, "rung", {k: f"{title}, {view}" for k, title in LADDER_SCORES.items()})
        for view, chosen in part.groupby("columns", sort=False)
    ]
    table = pd.concat(tables, axis=1).loc[rungs(part)].rename_axis("model")
    cells = ["{:.3f}, {:.3f}".format(*PAPER_LADDER.get(name, (0, 0))) for name in table.index]
    shown = [c if n in PAPER_LADDER else "" for n, c in zip(table.index, cells, strict=True)]
    return table.assign(**{"paper: accuracy, recall": shown})


def ladder_means(part):
    """Mean of each number by split, view and rung."""
    numbers = [*LADDER_SCORES, "accuracy_real"]
    return part.groupby(["split", "columns", "rung"])[numbers].mean()


def ladder_classes(part):
    """F1 of each class, honest split, masked, for three networks and three others."""
    chosen = part.query("split == 'honest' and columns == 'masked'")
    names = [LADDER[0], LADDER[3], LADDER[5], "random forest", "boosting", "1-nearest-neighbour"]
    scores = {
        name: pd.DataFrame(chosen.loc[chosen["rung"] == name, "f1"].tolist()).mean()
        for name in names
    }
    return pd.DataFrame(scores).round(3).rename_axis("class")


def searched(part):
    """Say what each family reached after the search, and with which setting."""
    columns = {"inner_f1_macro": "macro F1 inside", "f1_macro": "macro F1 tested"}
    columns |= {name: LADDER_SCORES[name] for name in ("accuracy", "sparse_recall", "sparse_f1")}
    table = spread(part, "family", columns)
    seconds = part.groupby("family")["search_seconds"].mean()
    table["seconds of search"] = seconds.round().astype(int)
    first = part[part["seed"] == part["seed"].min()].set_index("family")
    return table.assign(**{"found (first seed)": first["setting"]})


def focal(settings):
    """Say which of the settings chosen for networks use focal loss; older ones name the loss."""
    named = settings.str.contains("loss ")
    return settings.str.contains("loss focal").where(named, settings.str.contains("gamma [1-9]"))


def noises(part):
    """Accuracy at each strength of noise, and the share that is kept at 0.3."""
    table = part.pivot_table(index="model", columns="noise", values="accuracy", sort=False)
    kept = table[0.3] / table[0.0]
    return table.add_prefix("noise ").assign(**{"kept at 0.3": kept}).round(3)


def latencies(rows):
    """Milliseconds a session by sessions a call."""
    array, single = rows.query("input == 'array'"), rows.query("batch_size == 1")
    table = array.pivot_table(index="model", columns="batch_size", values="ms", sort=False)
    table.columns = [f"{size} a call" for size in table.columns]
    single = single.set_index(["input", "model"])
    table.insert(1, "1 a call, 1st percentile", single.loc["array", "ms_p01"])
    table.insert(2, "1 a call, with preparation", single.loc["pipeline", "ms"])
    return table.round(4)


# -- Liang et al. -------------------------------------------------------------------------------

BERT = "BiGRU-DA-BERT"
NETWORKS = ["Deep Packet CNN", "Deep Packet SAE", "CNN + LSTM"]
SIMPLE = ["random forest", "HistGradientBoosting", "1-nearest neighbour"]
VARIANTS = {
    BERT: "differential attention, focal loss (the paper's)",
    "without differential attention": "no attention, focal loss",
    "cross-entropy": "differential attention, cross-entropy",
    "pre-trained": "the paper's, BERT pre-trained on other networks' captures",
}
# precision, recall, F1 as printed
PAPER_USTC = {
    "Deep Packet CNN": "0.93 / 0.92 / 0.93",
    "Deep Packet SAE": "0.91 / 0.94 / 0.91",
    "CNN + LSTM": "0.91 / 0.92 / 0.93",
    BERT: "0.96 / 0.96 / 0.97",
}
# the rows of the paper's tables 4 and 5 are labelled the wrong way round there, its text says that
# the model with differential attention is the better one
PAPER_ABLATION = {
    "USTC": {BERT: "0.97 / 0.97 / 0.97", "without differential attention": "0.94 / 0.95 / 0.94"},
    "ISCX": {BERT: "0.96 / 0.96 / 0.97", "without differential attention": "0.94 / 0.94 / 0.95"},
}
# classes that the paper calls few, and whose gain by focal loss its figure shows
FEW = {"USTC": ["MySQL", "Tinba"], "ISCX": ["Streaming", "Vpn_P2p"]}
PLACES = {
    (True, "time"): "masked, in time",
    (True, "random"): "masked, random",
    (False, "time"): "unmasked, in time",
    (False, "random"): "unmasked, random",
}
PRECISION = {"precision": "P", "recall": "R", "f1": "F1"}


def at(rows, masked, split):
    """Rows of one input and split."""
    return rows[(rows["masked"] == masked) & (rows["split"] == split)]


def f1_of(rows, masked=True, split="time"):
    """Mean F1 of each model at one place."""
    return at(rows, masked, split).groupby("model", sort=False)["f1"].mean()


def contenders(rows, paper=None):
    """Table 3: precision and recall where nothing leaks, F1 everywhere."""
    order = [*NETWORKS, BERT, *SIMPLE, "random forest, raw bytes"]
    table = pd.DataFrame(index=pd.Index(order, name="model"))
    if paper:
        table["paper P / R / F1"] = pd.Series(paper)
    honest = at(rows, True, "time")
    columns = {"precision": "P, masked, in time", "recall": "R"}
    table = table.join(spread(honest, "model", columns))
    for place, name in PLACES.items():
        table = table.join(spread(at(rows, *place), "model", {"f1": f"F1, {name}"}))
    return table.fillna("–")


def ablations(rows, paper):
    """Tables 4 and 5, and the losses, as one table."""
    table = pd.DataFrame({"paper P / R / F1": pd.Series(paper)}, index=list(VARIANTS))
    for place in ((True, "time"), (False, "random")):
        titles = {key: f"{short}, {PLACES[place]}" for key, short in PRECISION.items()}
        table = table.join(spread(at(rows, *place), "model", titles))
    return table.rename(index=VARIANTS).rename_axis("model").fillna("–")


def classes(rows, masked=True, split="time"):
    """F1 of each class, mean over the seeds: (class, model), from few to many sessions."""
    rows = at(rows, masked, split)
    frame = pd.DataFrame(list(rows["class_f1"]), index=rows["model"])
    table = frame.groupby(level=0, sort=False).mean().T
    return table.loc[class_sizes(rows).index]


def class_sizes(rows):
    """Training sessions of each class, from few to many."""
    return pd.DataFrame(list(rows["class_train"])).mean().sort_values()


def widest(rows, variant, masked=True, split="time"):
    """Name the class with the widest change of F1 from a variant to the full model."""
    change = (lambda table: table[BERT] - table[variant])(classes(rows, masked, split))
    name = change.abs().idxmax()
    return f"{name} most of all ({change[name]:+.2f})"


def byte_search(part):
    """Scores and best settings after the search."""
    table = spread(part, "family", {"f1": "macro-F1", "accuracy": "accuracy"})
    first = part[part["seed"] == 0].set_index("family").loc[table.index]
    table["best setting, first seed"] = [
        ", ".join(f"{k} {v}" for k, v in row.items()) for row in first["best"]
    ]
    inner = [f"{tried[0]:.3f}, {max(tried):.3f}" for tried in first["inner_f1"]]
    return table.assign(**{"inner F1: default, best": inner})


def few_labels(part, order, starts):
    """F1 by labels and start of the network."""
    cells = spread(part, ["labels", "start"], {"f1": "f1"})["f1"].unstack()
    return cells.reindex(order, columns=starts).rename_axis("labelled sessions a class").fillna("–")
