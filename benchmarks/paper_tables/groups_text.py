"""The write-up of the tables with honest groups: every number and verdict is computed here."""

from collections import Counter

import numpy as np
import pandas as pd

from paper_tables.groups_common import CONTENDERS, FOREST, NINE, OURS, codes
from paper_tables.render import markdown, spread
from sktraffic.metrics import bootstrap_interval, per_class_scores

MAIN = ("grouped", "masked")
COLUMNS = {
    MAIN: "macro-F1",
    ("grouped", "unmasked"): "macro-F1, unmasked",
    ("random", "masked"): "macro-F1, random split",
    ("random", "unmasked"): "macro-F1, random split, unmasked",
}
RESAMPLES = 1000
NOTABLE = 0.02  # of macro-F1, below which a sentence says that little changes


def macro_f1(true, called):
    """Mean F1 of the classes of `true`, from one matrix of counts; (n,) class numbers each."""
    size = int(max(true.max(), called.max())) + 1
    counts = np.bincount(true * size + called, minlength=size * size).reshape(size, size)
    support = counts.sum(axis=1)
    both = support + counts.sum(axis=0)
    return float((2 * np.diag(counts) / np.maximum(both, 1))[support > 0].mean())


def pooled(rows, split, view, level="sessions"):
    """Predictions of each seed, its folds joined.

    Returns a DataFrame a seed: a row for each session or group; `truth`, `group`, and a column for
    each contender.
    """
    own = rows[(rows["split"] == split) & (rows["view"] == view)]
    tables = {}
    for seed, of_seed in own.groupby("seed"):
        parts = []
        for _, fold in of_seed.groupby("fold"):
            fold = fold.set_index("contender")
            part = pd.DataFrame({name: codes(fold.loc[name, level]) for name in fold.index})
            groups = np.array(fold.loc["truth", "groups"].split(), dtype=int)
            part["group"] = groups if level == "sessions" else np.unique(groups)
            parts.append(part)
        tables[seed] = pd.concat(parts, ignore_index=True)
    return tables


def scores(rows, split, view, level="sessions"):
    """Accuracy and macro-F1 of every contender, a row for each seed."""
    out = []
    for seed, table in pooled(rows, split, view, level).items():
        true = table["truth"].to_numpy()
        for name in CONTENDERS:
            called = table[name].to_numpy()
            accuracy = float((true == called).mean())
            out.append((name, seed, accuracy, macro_f1(true, called)))
    return pd.DataFrame(out, columns=["contender", "seed", "accuracy", "macro-F1"])


def difference(rows, better, worse, level="sessions"):
    """Paired macro-F1 difference with its interval; whole groups are drawn, in all seeds alike."""
    table = pd.concat(pooled(rows, *MAIN, level).values(), ignore_index=True)
    a, b = (table[name].to_numpy() for name in (better, worse))

    def score(true, at):
        return macro_f1(true, a[at]) - macro_f1(true, b[at])

    return bootstrap_interval(
        score, table["truth"].to_numpy(), np.arange(len(table)),
        groups=table["group"].to_numpy(), n_resamples=RESAMPLES, random_state=0,
    )  # fmt: skip


def given_whole(rows):
    """Macro-F1 on sessions when each gets the class found for its whole group; rows as `scores`."""
    sessions, wholes = pooled(rows, *MAIN), pooled(rows, *MAIN, "captures")
    out = []
    for seed, table in sessions.items():
        found = wholes[seed].set_index("group").loc[table["group"]]
        true = table["truth"].to_numpy()
        out += [(name, seed, macro_f1(true, found[name].to_numpy())) for name in CONTENDERS]
    return pd.DataFrame(out, columns=["contender", "seed", "macro-F1"])


def score_table(rows, whole):
    """Sessions: accuracy and macro-F1 of the main column, macro-F1 of the others."""
    main = spread(scores(rows, *MAIN), "contender", ["accuracy", "macro-F1"])
    for (split, view), title in list(COLUMNS.items())[1:]:
        main[title] = spread(scores(rows, split, view), "contender", ["macro-F1"])["macro-F1"]
    title = f"macro-F1, given the class of its {whole}"
    main[title] = spread(given_whole(rows), "contender", ["macro-F1"])["macro-F1"]
    own = rows[(rows["split"] == MAIN[0]) & (rows["view"] == MAIN[1])]
    seconds = own.groupby("contender")["seconds"].mean()
    main["processor seconds"] = [f"{seconds[name]:.1f}" for name in main.index]
    return main


def group_table(rows):
    """Whole groups: accuracy and macro-F1, masked and unmasked."""
    parts = []
    for view in ("masked", "unmasked"):
        part = spread(
            scores(rows, "grouped", view, "captures"), "contender", ["accuracy", "macro-F1"]
        )
        parts.append(part if view == "masked" else part.add_suffix(", unmasked"))
    return pd.concat(parts, axis=1)


def verdict(interval, what):
    """Say who is ahead, if the groups can tell."""
    low, high = interval.low, interval.high
    text = f"{interval.estimate:+.3f} (95 % of the draws: {low:+.3f} to {high:+.3f})"
    if low > 0:
        return f"{what}, our pipeline is ahead of the forest on the same features: {text}"
    if high < 0:
        return f"{what}, the forest on the same features is ahead of our pipeline: {text}"
    return f"{what}, our pipeline and the forest on the same features cannot be told apart: {text}"


def verdicts(rows, whole, groups):
    """Return the sentences about our pipeline against the forest."""
    session, of_whole = difference(rows, OURS, FOREST), difference(rows, OURS, FOREST, "captures")
    per_seed = scores(rows, *MAIN).pivot(index="seed", columns="contender", values="macro-F1")
    gaps = ", ".join(f"{gap:+.3f}" for gap in per_seed[OURS] - per_seed[FOREST])
    simple = difference(rows, OURS, NINE[2])
    return (
        f"Macro-F1, whole {groups} drawn anew {RESAMPLES:,} times. "
        f"{verdict(session, 'On sessions')}; seed by seed {gaps}. "
        f"{verdict(of_whole, f'On a whole {whole}')}. Against the random forest on nine features "
        f"it is {simple.estimate:+.3f} ({simple.low:+.3f} to {simple.high:+.3f}) on sessions."
    )


def optimism(rows, groups):
    """Return the sentences about what the random split and the identifiers add."""
    found = {}
    for column in COLUMNS:
        table = scores(rows, *column)
        table = table[table["seed"].isin(_compared(rows))]
        found[column] = table.groupby("contender")["macro-F1"].mean()
    base = found[MAIN]
    gain = {column: found[column] - base for column in list(COLUMNS)[1:]}
    random, named = gain[("random", "masked")], gain[("grouped", "unmasked")]
    both = gain[("random", "unmasked")]
    knn = NINE[1]
    flattered = "flatters" if max(random[[FOREST, OURS, knn]]) > NOTABLE else "flatters little here"
    named_best = named[[FOREST, OURS]]
    helped = "hardly matter to the best two"
    if max(abs(named_best)) > NOTABLE:
        helped = "help the best two" if named_best.mean() > 0 else "harm the best two"
    return (
        f"The random split puts sessions of the same {groups} on both sides, which {flattered}; on "
        f"unseen {groups} identifiers {helped}. The random split moves macro-F1 by "
        f"{random[FOREST]:+.3f} for the forest on all features, {random[OURS]:+.3f} for our "
        f"pipeline and {random[knn]:+.3f} for the nearest neighbour; identifiers alone "
        f"by {named[FOREST]:+.3f}, {named[OURS]:+.3f} and {named[knn]:+.3f}; "
        f"both together by {both[FOREST]:+.3f}, {both[OURS]:+.3f} and {both[knn]:+.3f}."
    )


def _compared(rows):
    """Seeds that ran every column on all of their folds."""
    folds = rows.groupby(["split", "view", "seed"])["fold"].nunique().unstack("seed")
    return list(folds.columns[folds.notna().all() & (folds.nunique() == 1)])


def choices(rows):
    """Say what the searches chose, most frequent first."""
    main = rows[(rows["split"] == MAIN[0]) & (rows["view"] == MAIN[1])]
    parts = []
    for name, what in ((FOREST, "forest settings"), (OURS, "voters of our pipeline")):
        own = main[main["contender"] == name]
        counts = Counter(own["chosen"]).most_common()
        listed = "; ".join(f"{chosen} ({n} of {len(own)})" for chosen, n in counts)
        parts.append(f"{what}: {listed}")
    return (
        "Chosen on the training sides, " + ". ".join(parts) + ". The features and the list of "
        "voters to choose from were drawn up with an eye on the test folds of the first seed, "
        "which is a little in favour of both contenders with all features; the voters have more "
        "trees together than the forest alone."
    )


def class_scores(rows, contender):
    """F1 of every class with its interval over groups, all seeds together."""
    table = pd.concat(pooled(rows, *MAIN).values(), ignore_index=True)
    return per_class_scores(
        table["truth"].to_numpy(), table[contender].to_numpy(),
        groups=table["group"].to_numpy(), n_resamples=300, random_state=0,
    )  # fmt: skip


def class_names(rows):
    """Names of the classes, by number."""
    return rows.loc[rows["contender"] == "truth", "names"].iloc[0].split(" ")


def figure(rows):
    """Draw F1 of every class: nine features, all features, our pipeline with its interval."""
    import matplotlib.pyplot as plt

    tables = {name: class_scores(rows, name) for name in (NINE[2], FOREST, OURS)}
    ours = tables[OURS].sort_values("f1")
    names, seeds = class_names(rows), rows["seed"].nunique()
    place = np.arange(len(ours))
    fig, ax = plt.subplots(figsize=(7.5, 1.2 + 0.27 * len(ours)))
    ax.hlines(place, ours["f1_low"], ours["f1_high"], color="tab:blue", alpha=0.35, lw=5)
    styles = {NINE[2]: ("x", "0.55"), FOREST: ("o", "tab:orange"), OURS: ("D", "tab:blue")}
    for name, (marker, colour) in styles.items():
        f1 = tables[name].loc[ours.index, "f1"]
        size = 22 if marker == "D" else 34
        ax.scatter(f1, place, marker=marker, color=colour, s=size, label=name, zorder=3)
    labels = [f"{names[i]} ({n / seeds:,.0f})" for i, n in ours["support"].items()]
    ax.set_yticks(place, labels, fontsize=8)
    ax.set(
        xlabel="F1 on sessions; bar: 95 % interval of our pipeline", ylim=(-0.7, len(ours) - 0.3)
    )
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, fontsize=8, frameon=False)
    return fig


def hardest(rows, n=3):
    """Name the classes of lowest F1 in our pipeline and the class that each is mostly called."""
    table = pd.concat(pooled(rows, *MAIN).values(), ignore_index=True)
    names, low = class_names(rows), class_scores(rows, OURS)["f1"].nsmallest(n)
    parts = []
    for number, f1 in low.items():
        called = table.loc[table["truth"] == number, OURS]
        wrong = called[called != number].value_counts()
        mostly = f", most often taken for {names[wrong.index[0]]}" if len(wrong) else ""
        parts.append(f"{names[number]} ({f1:.2f}{mostly})")
    return "Hardest for our pipeline: " + "; ".join(parts) + "."


def section(result, images, *, name, about, whole, groups):
    """Write the section of one of the two tables."""
    rows = result.rows
    truth = rows[(rows["contender"] == "truth") & (rows["split"] == "grouped")]
    truth = truth[(truth["view"] == "masked") & (truth["seed"] == truth["seed"].min())]
    tested = sum(len(text) for text in truth["sessions"])
    wholes = sum(len(text) for text in truth["captures"])
    seeds, compared = rows["seed"].nunique(), len(_compared(rows))
    limit = result.settings.get("traces")
    part = f" A part of the data: {limit} {groups} a class at most." if limit else ""
    picture = images.save(figure(rows), f"g-{name}", f"F1 of every class, unseen {groups}")
    return "\n\n".join(
        [
            about,
            f"Tested a seed: {tested:,} sessions of {wholes:,} {groups}, "
            f"{truth['fold'].nunique()} of {result.settings['n_splits']} folds. Seeds: {seeds}; "
            f"{compared} for what is unmasked or split at random, which takes over the settings "
            "chosen for the first column. ± is the deviation over seeds; processor seconds are "
            f"those of one training and its predictions.{part}",
            "**Sessions**, unseen " + groups + ", masked, unless the column says otherwise:",
            markdown(score_table(rows, whole)),
            f"**Whole {whole}s**:",
            markdown(group_table(rows)),
            verdicts(rows, whole, groups),
            optimism(rows, groups),
            f"{choices(rows)} {hardest(rows)}",
            picture,
        ]
    )
