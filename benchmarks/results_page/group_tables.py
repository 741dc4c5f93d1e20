"""Tables of the experiments with honest groups, computed from the predictions that are kept."""

import string

import numpy as np
import pandas as pd

from results_page.tables import spread

MAIN = ("grouped", "masked")
NINE_FOREST = "random forest, nine features"
LIGHTGBM = "LightGBM, all features"
FOREST, NEIGHBOURS = "random forest, all features", "k nearest neighbours, packet sequences"
# the order of the rows; models that are not named here come last
ORDER = [
    "most frequent class", "1-nearest neighbour, nine features", NINE_FOREST,
    "boosting, nine features", NEIGHBOURS, FOREST, LIGHTGBM,
    "forest", "sequences", "best",
]  # fmt: skip
RESAMPLES = 1000


def model_name(name):
    """How a row is called: as in the experiment, or as the user makes the estimator."""
    if "." in name:
        return f"`{name.rpartition('.')[2]}`"
    return name if " " in name else f'`make_estimator("{name}")`'


def group_models(rows):
    """Names of the models that ran on unseen groups, in the order of the page."""
    own = rows[(rows["split"] == MAIN[0]) & (rows["view"] == MAIN[1])]
    names = set(own["model"]) - {"truth"}
    return [*(n for n in ORDER if n in names), *sorted(names.difference(ORDER))]


def pooled(rows, split="grouped", view="masked", level="sessions"):
    """Predictions of all folds and seeds: a row for each session or whole group.

    Columns are `truth`, `group`, `seed`, `twin` (sessions only) and the models; one that did not
    run for a seed has -1 there.
    """
    parts = []
    own = rows[(rows["split"] == split) & (rows["view"] == view)]
    truths = rows[(rows["split"] == split) & (rows["model"] == "truth")]
    for _, truth in truths.iterrows():
        part = {"truth": _codes(truth[level]), "seed": truth["seed"]}
        numbers = np.array(truth["group_numbers"])
        if level == "sessions":
            part["group"] = np.repeat(numbers, truth["group_sizes"])
            part["twin"] = np.array(list(truth["twins"])) == "1"
        else:
            part["group"] = numbers
        same = own[(own["seed"] == truth["seed"]) & (own["fold"] == truth["fold"])]
        for name, text in zip(same["model"], same[level], strict=True):
            if name != "truth":
                part[name] = _codes(text)
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True).fillna(-1)


def _codes(text):
    """Read class numbers, written as letters, back."""
    return np.array([string.ascii_letters.index(letter) for letter in text])


def counts(table, name, n):
    """Right, true and called sessions of each class in each group: (n_groups, 3, n) float."""
    _, group = np.unique(table["group"], return_inverse=True)
    true, called = table["truth"].to_numpy(), table[name].to_numpy(dtype=int)
    out = np.zeros((group.max() + 1, 3, n))
    np.add.at(out, (group, 1, true), 1)
    np.add.at(out, (group, 2, called), 1)
    np.add.at(out, (group[true == called], 0, true[true == called]), 1)
    return out


def macro_f1(sums):
    """Mean F1 of the classes that are there, from counts (..., 3, n)."""
    right, true, called = np.moveaxis(sums, -2, 0)
    f1 = np.where(true > 0, 2 * right / np.maximum(true + called, 1), np.nan)
    return np.nanmean(f1, axis=-1)


def group_scores(rows, *place, level="sessions", only=None):
    """Accuracy and macro-F1 of every model, a row for each seed that it ran with.

    `only` names a twin side: "with" or "without".
    """
    out, table = [], pooled(rows, *place, level=level)
    n = table["truth"].max() + 1
    if only:
        table = table[table["twin"] == (only == "with")]
    for seed, part in table.groupby("seed"):
        for name in group_models(rows):
            if name in part and part[name].min() >= 0:
                f1 = float(macro_f1(counts(part, name, n).sum(axis=0)))
                out.append((name, seed, float((part["truth"] == part[name]).mean()), f1))
    return pd.DataFrame(out, columns=["model", "seed", "accuracy", "f1"])


def paired(rows, better, worse, level="sessions"):
    """Macro-F1 of one model less that of another: estimate, low, high; whole groups are drawn.

    A draw holds the same groups for both and in all seeds that both ran with.
    """
    table = pooled(rows, *MAIN, level=level)
    table = table[(table[better] >= 0) & (table[worse] >= 0)]
    n = table["truth"].max() + 1
    both = np.stack([counts(table, name, n) for name in (better, worse)], axis=1)
    rng, size = np.random.RandomState(0), len(both)
    times = rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(float)
    draws = macro_f1(np.tensordot(times, both, axes=1))  # (n_resamples, 2)
    low, high = np.quantile(draws[:, 0] - draws[:, 1], [0.025, 0.975])
    estimate = np.subtract(*macro_f1(both.sum(axis=0)))
    return pd.Series({"estimate": estimate, "low": low, "high": high}).astype(float)


def interval(drawn):
    """Write a difference and its interval."""
    return f"{drawn['estimate']:+.3f} ({drawn['low']:+.3f} to {drawn['high']:+.3f})"


def group_table(rows, whole, reference=FOREST):
    """Sessions of unseen groups: scores, the interval to the reference, twins, cost."""
    table = spread(group_scores(rows, *MAIN), "model", {"accuracy": "accuracy", "f1": "macro-F1"})
    intervals = {
        name: "" if name == reference else interval(paired(rows, name, reference))
        for name in table.index
    }
    table["difference to the forest, 95 %"] = pd.Series(intervals)
    for side in ("with", "without"):
        scores = group_scores(rows, *MAIN, only=side)
        table[f"macro-F1, {side} twin"] = spread(scores, "model", {"f1": "f1"})["f1"]
    of_whole = group_scores(rows, *MAIN, level="groups")
    table[f"macro-F1, whole {whole}s"] = spread(of_whole, "model", {"f1": "f1"})["f1"]
    own = rows[(rows["split"] == MAIN[0]) & (rows["view"] == MAIN[1])]
    # seconds beside a GPU are no processor's: where a run had none, that one says the cost
    alone = own["gpu"].isna()
    cost = own[alone | ~own["model"].isin(own["model"][alone])].groupby("model")
    table["seconds to fit"] = cost["fit_seconds"].mean().map("{:.1f}".format)
    table["µs a session"] = cost["predict_us"].mean().map("{:,.0f}".format)
    return table.rename(index=model_name)


def other_columns(rows):
    """Macro-F1 of sessions where the split or the view is another, beside that of unseen groups."""
    scores = group_scores(rows, *MAIN)
    table = spread(scores[scores["seed"] == 0], "model", {"f1": "unseen groups, masked"})
    for split, view, title in (
        ("grouped", "unmasked", "unmasked"),
        ("random", "masked", "random split"),
        ("random", "unmasked", "random split, unmasked"),
    ):
        table = table.join(spread(group_scores(rows, split, view), "model", {"f1": title}))
    return table.rename(index=model_name).fillna("–")


def twin_share(rows):
    """Share of the test sessions, split by groups, that have a twin in training."""
    return float(pooled(rows)["twin"].mean())


def group_facts(result):
    """Say what was tested: sessions, groups, folds, seeds and the classes' names."""
    truth = result.rows.query("model == 'truth' and split == 'grouped'")
    first = truth[truth["seed"] == truth["seed"].min()]
    return {
        "sessions": sum(map(len, first["sessions"])),
        "groups": sum(map(len, first["groups"])),
        "train": int(first["train"].mean()),
        "folds": len(first),
        "seeds": truth["seed"].nunique(),
        "classes": first["names"].iloc[0],
    }


def group_classes(rows, name):
    """F1 of each class of a model, all seeds together, and its interval over groups."""
    table = pooled(rows)
    table = table[table[name] >= 0]
    n = table["truth"].max() + 1
    held = counts(table, name, n)
    times = np.random.RandomState(0).multinomial(len(held), np.full(len(held), 1 / len(held)), 300)
    f1 = [2 * s[..., 0, :] / np.maximum(s[..., 1, :] + s[..., 2, :], 1)
          for s in (held.sum(axis=0), np.tensordot(times.astype(float), held, axes=1))]  # fmt: skip
    low, high = np.quantile(f1[1], [0.025, 0.975], axis=0)
    names = rows.loc[rows["model"] == "truth", "names"].iloc[0]
    support = held.sum(axis=0)[1] / table["seed"].nunique()
    columns = {"f1": f1[0], "low": low, "high": high, "support": support}
    return pd.DataFrame(columns, index=names)


def hardest(rows, name, n=3):
    """Name the classes of lowest F1 and the class that each is mostly called."""
    table, found = pooled(rows), group_classes(rows, name)
    out = []
    for label, f1 in found["f1"].nsmallest(n).items():
        number = found.index.get_loc(label)
        called = table.loc[table["truth"] == number, name].astype(int)
        wrong = called[(called != number) & (called >= 0)].mode()
        mostly = f", most often taken for {found.index[wrong.iloc[0]]}" if len(wrong) else ""
        out.append(f"{label} ({f1:.2f}{mostly})")
    return "; ".join(out)


def errors_between(rows, name, alike):
    """Share of a model's errors that lie between classes that are alike, and macro-F1 without them.

    `alike` names for a class the one that it is counted as.
    """
    table = pooled(rows)
    table = table[table[name] >= 0]
    labels = rows.loc[rows["model"] == "truth", "names"].iloc[0]
    merged = np.array([labels.index(alike.get(label, label)) for label in labels])
    true, called = table["truth"].to_numpy(), table[name].to_numpy(dtype=int)
    within = (merged[true] == merged[called])[true != called].mean()
    table = table.assign(truth=merged[true], **{name: merged[called]})
    scores = [
        float(macro_f1(counts(part, name, len(labels)).sum(axis=0)))
        for _, part in table.groupby("seed")
    ]
    return float(within), float(np.mean(scores))


def curve_table(rows):
    """Macro-F1 by the share of training runs; a second row counts devices that are alike as one."""
    titles = {"f1": "macro-F1", "f1_alike": "macro-F1, two pairs counted as one"}
    wide = spread(rows, ["share"], titles).T
    wide.columns = [f"{share:.0%} of the runs" for share in wide.columns]
    return wide.rename_axis("score")


def early_table(rows, order):
    """Macro-F1 after some packets, a row a model; models of one number of packets share a row."""
    alone = rows["model"].map(lambda model: not isinstance(model, str))
    rows = rows.assign(model=rows["model"].mask(alone, "one of each length alone"))
    wide = spread(rows, ["model", "packets"], {"f1": "f1"})["f1"].unstack()
    return wide.loc[[*order, "one of each length alone"]].fillna("–")


def labels_table(rows, order):
    """Macro-F1 with some labels a class, a row a start."""
    wide = spread(rows, ["start", "labels"], {"f1": "f1"})["f1"].unstack()
    return wide.loc[order, rows["labels"].unique()]


def chosen(rows, name):
    """Say what the searches of a model chose on unseen groups, most frequent first."""
    own = rows[(rows["split"] == MAIN[0]) & (rows["view"] == MAIN[1]) & (rows["model"] == name)]
    short = own["chosen"].map(lambda given: {k.rpartition("__")[2]: v for k, v in given.items()})
    texts = short.map(lambda given: ", ".join(f"{k} {v}" for k, v in given.items()))
    return "; ".join(f"{text} ({n} of {len(own)})" for text, n in texts.value_counts().items())


def drift_table(rows):
    """Score of each later block, a row a model; a column says how long after learning it lies."""
    hours = rows.groupby("block")["after"].mean() / 3600
    wide = spread(rows, ["model", "block"], {"score": "f1"})["f1"].unstack()
    wide.columns = [f"after {hours[block]:.0f} h" for block in wide.columns]
    return wide.loc[[name for name in ORDER if name in wide.index]]


def transfer_table(rows):
    """Score of each pair of networks, a row a model."""
    rows = rows.assign(pair=rows["train"] + " to " + rows["test"])
    wide = spread(rows, ["model", "pair"], {"score": "f1"})["f1"].unstack()
    wide = wide[["plain to plain", "plain to tunnel", "tunnel to tunnel", "tunnel to plain"]]
    return wide.loc[[name for name in ORDER if name in wide.index]]
