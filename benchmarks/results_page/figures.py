"""The figures of docs/results.md, each drawn from the rows of one experiment."""

from pathlib import Path

import numpy as np
import pandas as pd

from results_page import group_tables, tables

PAPER_CLUSTERINGS = {"KMeans": (0, 0.265), "DBSCAN": (94.4, 0.996), "GMM": (0, 0.283)}
NOISE_KINDS = {
    ("masked", "naive"): "random split",
    ("masked", "honest"): "honest split",
    ("unmasked", "naive"): "random split, unmasked",
}
LADDER_PLACES = {
    ("naive", "masked"): ("tab:blue", "o", "random split"),
    ("honest", "masked"): ("tab:green", "s", "honest split"),
    ("naive", "unmasked"): ("tab:orange", "^", "random split, unmasked"),
    ("honest", "unmasked"): ("tab:red", "v", "honest split, unmasked"),
    ("leaky", "masked"): ("tab:gray", "D", "ADASYN before the split"),
}


def save_all(result, folder):
    """Draw and save every figure; `result(name)` gives the result of an experiment."""
    import matplotlib.pyplot as plt

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (experiment, draw) in FIGURES.items():
        figure = draw(result(experiment))
        figure.savefig(
            folder / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None}
        )
        plt.close(figure)


def _axes(n_rows=1, n_columns=1, size=(6, 3.6), **kwargs):
    """Return a figure and its axes, (n_rows, n_columns)."""
    import matplotlib.pyplot as plt

    return plt.subplots(
        n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **kwargs
    )


def _legend_below(fig, ax, columns, **kwargs):
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=columns,
               frameon=False, **kwargs)  # fmt: skip


def clusterings(result):
    """Silhouette against noise, the paper's three beside all of ours."""
    fig, [[ax]] = _axes(size=(6.5, 3.8))
    markers = {"KMeans": "o", "GMM": "^", "DBSCAN": "s", "DBSCAN, 10 % quantile": "D"}
    for model, marker in markers.items():
        part = result.rows[result.rows["model"] == model]
        mean = part.groupby(["data", "features", "log"])[["noise_percent", "silhouette"]].mean()
        ax.plot(mean["noise_percent"], mean["silhouette"], marker, label=model)
    for model, point in PAPER_CLUSTERINGS.items():
        ax.plot(*point, "kx", label="the paper's three" if model == "KMeans" else None)
        low = model == "KMeans"
        ax.annotate(f"{model}, paper", point, fontsize=8, ha="right", va="top" if low else "bottom",
                    xytext=(-8, -4 if low else 4), textcoords="offset points")  # fmt: skip
    ax.set(xlabel="noise (% of the sessions)", ylabel="silhouette of the rest", ylim=(0, 1.1))
    ax.set_xlim(-22, 102)
    ax.legend(frameon=False, loc="lower right", fontsize=8)
    return fig


def importances(result):
    """Draw heat maps of classes and features, the five best of each class with their scores."""
    rows = tables.in_order(result.rows)
    found = {data: tables.of_classes(part) for data, part in tables.parts(rows, "data")}
    heights = [len(table) + 3 for table in found.values()]
    size = (7, 0.27 * sum(heights) + 1.5)
    fig, axes = _axes(len(found), size=size, height_ratios=heights)
    for ax, (data, table) in zip(axes[:, 0], found.items(), strict=True):
        table = table[[name for name in tables.FEATURES if name in table]]
        image = ax.imshow(table, aspect="auto", cmap="viridis", vmin=0, vmax=0.5)
        ax.set_yticks(np.arange(len(table)), table.index, fontsize=8)
        ax.set_xticks(np.arange(table.shape[1]), table.columns, rotation=25, ha="right", fontsize=8)
        ax.set_title(data, fontsize=10)
        for i, row in enumerate(table.to_numpy()):
            for j in np.argsort(-row)[:5]:
                colour = "black" if row[j] > 0.3 else "white"
                ax.text(j, i, f"{row[j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    fig.colorbar(image, ax=axes[:, 0], label="importance for the class", shrink=0.5)
    return fig


def losses(result):
    """Losses against batch size, ours and the paper's."""
    rows = result.rows
    part = rows[rows["epochs"] == rows["epochs"].min()].groupby("batch_size").mean()
    paper = pd.DataFrame({batch: v for (n, batch), v in tables.BATCHES.items() if n == 50}).T
    fig, [axes] = _axes(1, 2, (8, 3.2))
    for ax, (title, names) in zip(axes, (
        ("train loss", {"train_loss_sum": "ours, sum over batches", "train_loss": "ours, mean"}),
        ("validation loss", {"valid_loss": "ours, last epoch", "best_valid_loss": "ours, lowest"}),
    ), strict=True):  # fmt: skip
        for line, (name, label) in zip(("o-", "o--"), names.items(), strict=True):
            ax.plot(part.index, part[name], line, color="tab:blue", label=label)
        ax.plot(paper.index, paper[int(title != "train loss")], "x-", color="black", label="paper")
        ax.set_xscale("log", base=2)
        ax.set_xticks(part.index, [str(size) for size in part.index])
        ax.set(xlabel="batch size", title=title)
        ax.legend(frameon=False, fontsize=8)
    axes[0].set_yscale("log")
    axes[1].set_ylim(bottom=0)
    return fig


def over_sampling(result):
    """Draw counts before and after guarded ADASYN, logarithmic."""
    rows = tables.in_order(result.rows, "cap").query("method == 'GuardedADASYN'")
    sets = tables.parts(rows, "data", "cap")
    fig, [axes] = _axes(1, len(sets), (3.6 * len(sets), 3.6))
    for ax, ((data, cap), part) in zip(axes, sets, strict=True):
        part = part.sort_values("before", ascending=False)
        place = np.arange(len(part))
        ax.barh(place, part["after"], color="tab:orange", label="after guarded ADASYN")
        ax.barh(place, part["before"], color="tab:blue", label="before")
        ax.set_yticks(place, part["class"], fontsize=7)
        ax.invert_yaxis()
        limit = "" if np.isnan(cap) else f"\n(at most {cap:.0f} a class)"
        ax.set(xscale="log", xlabel="sessions", title=data + limit)
        ax.set_xlim(left=1)
    _legend_below(fig, axes[0], 2)
    return fig


def ladder(result):
    """Accuracy and sparse recall of every model, split by split."""
    rows = tables.in_order(result.rows.query("part == 'ladder'"))
    sets = tables.parts(rows, "data")
    fig, axes = _axes(len(sets), 2, (9, 3.9 * len(sets)), sharey=True)
    for (data, part), pair in zip(sets, axes, strict=True):
        mean, names = tables.ladder_means(part), tables.rungs(part)
        place = np.arange(len(names))
        for i, (ax, column) in enumerate(zip(pair, ("accuracy", "sparse_recall"), strict=True)):
            for at, (colour, marker, label) in LADDER_PLACES.items():
                values = mean.loc[at].loc[names, column]
                ax.plot(values, place, marker, color=colour, label=label, alpha=0.8)
            paper = tables.PAPER_LADDER
            ax.plot([v[i] for v in paper.values()], [names.index(n) for n in paper], "kx",
                    label="paper")  # fmt: skip
            ax.set_yticks(place, names)
            ax.set(xlim=(-0.02, 1.02), xlabel=column.replace("_", " "), title=data)
            ax.grid(axis="y", alpha=0.3)
    axes[0][0].invert_yaxis()  # the axes are shared: once for all
    _legend_below(fig, axes[0][0], 3)
    return fig


def noise(result):
    """Accuracy against noise, a panel a set and split."""
    sets = tables.parts(tables.in_order(result.rows), "data")
    size = (3.4 * len(NOISE_KINDS), 2.9 * len(sets))
    fig, axes = _axes(len(sets), len(NOISE_KINDS), size, sharex=True, sharey=True)
    for (data, rows), line in zip(sets, axes, strict=True):
        for ((columns, split), title), ax in zip(NOISE_KINDS.items(), line, strict=True):
            part = rows[(rows["columns"] == columns) & (rows["split"] == split)]
            for model, own in tables.parts(part, "model"):
                mean = own.groupby("noise")["accuracy"].mean()
                ax.plot(mean.index, mean, marker="o", markersize=3, label=model)
            ax.plot(0.3, 0.9, "kx", label="paper: more than this")
            ax.set_title(f"{data},\n{title}", fontsize=9)
            ax.set(ylim=(0, 1.02))
            ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("noise (standard deviations)")
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy")
    _legend_below(fig, axes[0][0], 4, fontsize=9)
    return fig


def latency(result):
    """Milliseconds a session against sessions a call."""
    fig, [[ax]] = _axes()
    for model, part in tables.parts(result.rows.query("input == 'array'"), "model"):
        ax.plot(part["batch_size"], part["ms"], marker="o", label=model)
    ax.axhline(1, color="black", linestyle=":", label="paper: less than 1 ms")
    ax.set(xscale="log", yscale="log", xlabel="sessions a call", ylabel="ms a session (median)")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def byte_classes(result):
    """Figures 4 and 5 of Liang et al.: F1 of each class for each contender."""
    table = tables.classes(result.rows)
    sizes = tables.class_sizes(tables.at(result.rows, True, "time"))
    fig, [[ax]] = _axes(size=(10, 4.2))
    names = [*tables.NETWORKS, tables.BERT, *tables.SIMPLE]
    for name, marker in zip(names, "osD^vPX", strict=True):
        line = ":" if name in tables.SIMPLE else "-"
        ax.plot(table.index, table[name], line, marker=marker, label=name, ms=5)
    ticks = [f"{name} ({int(sizes[name])})" for name in table.index]
    ax.set_xticks(range(len(ticks)), ticks, rotation=45, ha="right")
    ax.set(ylabel="F1", ylim=(0, 1.02))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def focal(result):
    """Figures 8 and 9 of Liang et al.: F1 of each class with either loss."""
    fig, [panels] = _axes(1, 2, (12, 4), sharey=True)
    for ax, place in zip(panels, ((True, "time"), (False, "random")), strict=True):
        table = tables.classes(result.rows, *place)
        for name, line, label in (("cross-entropy", "o-", "cross-entropy"),
                                  (tables.BERT, "s-", "focal loss")):  # fmt: skip
            ax.plot(table.index, table[name], line, label=label)
        ax.set_xticks(range(len(table)), table.index, rotation=60, ha="right", fontsize=8)
        ax.set(title=tables.PLACES[place], ylim=(0, 1.02))
        ax.grid(alpha=0.3)
    panels[0].set_ylabel("F1")
    panels[0].legend()
    return fig


def few_labels(result):
    """F1 against labels."""
    order, sets = list(result.settings["labels"]), tables.parts(result.rows, "data")
    fig, [panels] = _axes(1, len(sets), (5 * len(sets), 3.6), sharey=True)
    styles = ("o--", "s-", "D-", "^:")
    for ax, (data, rows) in zip(panels, sets, strict=True):
        starts = tables.parts(rows, "start")
        for (start, own), style in zip(starts, styles, strict=True):
            f1 = own.groupby("labels")["f1"].agg(["mean", "std"]).reindex(order).fillna({"std": 0})
            ax.errorbar(order, f1["mean"], f1["std"], fmt=style, label=start, capsize=3)
        ax.set(title=data, xlabel="labelled sessions a class", ylim=(0, 1))
        ax.grid(alpha=0.3)
    panels[0].set_ylabel("macro-F1")
    panels[0].legend()
    return fig


def group_classes(result):
    """F1 of every class: nine features, sequences, all features with the interval."""
    names = (group_tables.NINE_FOREST, group_tables.NEIGHBOURS, group_tables.FOREST)
    found = {name: group_tables.group_classes(result.rows, name) for name in names}
    best = found[names[-1]].sort_values("f1")
    place = np.arange(len(best))
    fig, [[ax]] = _axes(size=(7.5, 1.2 + 0.27 * len(best)))
    ax.hlines(place, best["low"], best["high"], color="tab:blue", alpha=0.35, lw=5)
    for name, (marker, colour) in zip(
        names, (("x", "0.55"), ("o", "tab:orange"), ("D", "tab:blue")), strict=True
    ):
        f1 = found[name].loc[best.index, "f1"]
        ax.scatter(f1, place, marker=marker, color=colour, s=28, label=name, zorder=3)
    ax.set_yticks(place, [f"{k} ({n:,.0f})" for k, n in best["support"].items()], fontsize=8)
    ax.set(xlabel=f"F1 on sessions; bar: 95 % interval of the {names[-1]}",
           ylim=(-0.7, len(best) - 0.3))  # fmt: skip
    ax.grid(axis="x", alpha=0.3)
    _legend_below(fig, ax, 1, fontsize=8)
    return fig


FIGURES = {
    "a2-clusterings": ("a2-clusterings", clusterings),
    "a-features": ("a-features", importances),
    "a3-batch-size": ("a3-batch-size", losses),
    "a6-adasyn": ("a6-adasyn", over_sampling),
    "a-sparse": ("a-sparse", ladder),
    "a-noise": ("a-noise", noise),
    "a-latency": ("a-latency", latency),
    "ustc-classes": ("b-ustc", byte_classes),
    "ustc-focal": ("b-ustc", focal),
    "iscx-classes": ("b-iscx", byte_classes),
    "iscx-focal": ("b-iscx", focal),
    "few-labels": ("x-few-labels", few_labels),
    "g-iot-devices": ("g-iot-devices", group_classes),
    "g-android-apps": ("g-android-apps", group_classes),
}
