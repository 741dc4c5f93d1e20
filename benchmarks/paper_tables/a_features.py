"""Feature contributions, sections 2.3 and 2.4 of Qi et al. (2025)."""

import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance

from paper_tables.a_data import EXTRA, NAMES, STAND_IN, in_order, load, splits
from paper_tables.core import Table
from paper_tables.render import markdown
from sktraffic.cluster import ElbowKMeans
from sktraffic.feature_selection import ForestSelector
from sktraffic.preprocessing import make_preprocessor

ORDER = (
    "packet_count", "total_bytes", "duration", "packet_size_mean", "packet_size_std",
    "packet_size_entropy", "iat_mean", "iat_std", "iat_entropy",
)  # fmt: skip
# what section 2.4 of the paper says sets a kind of traffic apart
SAID = {
    "chat": ("packet_size_entropy", "iat_entropy"),
    "voice": ("iat_std", "duration"),
    "file transfer": ("total_bytes", "packet_size_mean"),
    "P2P": ("packet_size_std", "iat_std"),
}
# which classes are of these kinds
KINDS = {
    "stand-in": {name: kind for name, kind in STAND_IN.items() if kind in SAID}
    | {"vpn_hangouts_audio1": "voice", "vpn_skype_audio1": "voice"},
    "bundled": {
        prefix + name: kind
        for prefix in ("", "vpn_")
        for name, kind in {
            "chat": "chat", "voip": "voice", "file": "file transfer", "p2p": "P2P"
        }.items()
    },
}  # fmt: skip
TOP = 5
SETTINGS = {
    "tiny": {"cap": 30, "devices": 2, "captures": 3, "sets": ["stand-in", "iot"], "trees": 5,
             "repeats": 2},
    "cpu": {"cap": 500, "sets": list(NAMES), "trees": 100, "repeats": 5},
    "gpu": {"cap": None, "sets": list(NAMES), "trees": 100, "repeats": 20},
}  # fmt: skip


def units(settings, seeds):
    """Return one unit a set and seed."""
    return [{"data": data, "seed": seed} for data in settings["sets"] for seed in range(seeds)]


def run(unit, settings, folder):
    """Score features for clusters, classes, each class, and on held-out sessions."""
    seed = unit["seed"]
    data = load(unit["data"], settings, folder, seed)
    X = data.X.drop(columns=[name for name in EXTRA if name in data.X])
    forest = {"n_estimators": settings["trees"], "top_k": TOP, "random_state": seed}
    Z = make_preprocessor().set_output(transform="pandas").fit_transform(X)
    Z.columns = [name.split("__")[-1] for name in Z.columns]
    kmeans = ElbowKMeans(scale="linear", random_state=seed)  # the rule of the paper
    clusters = ForestSelector(clusterer=kmeans, **forest).fit(Z)
    classes = ForestSelector(**forest).fit(X, data.y)
    rows = scored("clusters", None, Z.columns, clusters.feature_importances_)
    rows += scored("classes", None, X.columns, classes.feature_importances_)
    for name, values in zip(classes.classes_, classes.class_importances_, strict=True):
        rows += scored("class", str(name), X.columns, values)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fewer captures than n_splits")
        train, test = splits(data, seed)["honest"]
    deep = RandomForestClassifier(settings["trees"], random_state=seed)
    deep.fit(X.iloc[train], data.y[train])
    found = permutation_importance(
        deep, X.iloc[test], data.y[test], n_repeats=settings["repeats"], random_state=seed,
        scoring="balanced_accuracy",
    )  # fmt: skip
    rows += scored("impurity", None, X.columns, deep.feature_importances_)
    return rows + scored("permutation", None, X.columns, found.importances_mean)


def scored(kind, label, names, values):
    """One row a feature."""
    return [
        {"kind": kind, "class": label, "feature": str(name), "importance": float(value)}
        for name, value in zip(names, values, strict=True)
    ]


def section(result, images):
    """Write importances overall, the five of each class, and what the paper says of four kinds."""
    rows, parts = in_order(result.rows), []
    for data, part in rows.groupby("data", sort=False):
        parts.append(f"### {NAMES[data]}")
        overall = part[part["kind"] != "class"]
        table = overall.pivot_table(index="feature", columns="kind", values="importance")
        names = {
            "clusters": "for the clusters (impurity, depth 5)",
            "classes": "for the classes (impurity, depth 5)",
            "impurity": "for the classes (impurity, full depth)",
            "permutation": "permutation on held-out sessions (loss of balanced accuracy)",
        }
        table = table.reindex([f for f in ORDER if f in table.index])[list(names)]
        parts.append(markdown(table.rename(columns=names).round(3)))
        parts.append(f"The {TOP} best of each class:\n\n{markdown(best_table(part))}")
    parts += [said(rows), ranks(rows), figure(rows, images)]
    return "\n\n".join(parts)


def class_means(part):
    """Return the importance of each feature for each class, mean over seeds."""
    chosen = part[part["kind"] == "class"]
    return chosen.pivot_table(index="class", columns="feature", values="importance")


def best_table(part):
    """Write the best features of each class with their scores."""
    out = {
        label: [f"{name} {value:.2f}" for name, value in row.nlargest(TOP).items()]
        for label, row in class_means(part).iterrows()
    }
    table = pd.DataFrame(out, index=[str(i + 1) for i in range(TOP)]).T
    table.index.name = "class"
    return table


def named(rows):
    """Rank the features that the paper names; lines, hits among the two best, by lot, cases."""
    lines, hits, chances, total = [], 0, 0.0, 0
    for data, kinds in KINDS.items():
        mean = class_means(rows[rows["data"] == data])
        for kind, features in SAID.items():
            chosen = mean.loc[[c for c in mean.index if kinds.get(c) == kind]]
            for feature in features:
                if feature not in mean or not len(chosen):
                    continue
                rank = chosen.rank(axis=1, ascending=False)[feature]
                lines.append(
                    {
                        "set": NAMES[data],
                        "kind": kind,
                        "the paper names": feature,
                        "classes": len(chosen),
                        "among the two best": int((rank <= 2).sum()),
                        f"among the {TOP} best": int((rank <= TOP).sum()),
                        "mean rank": float(rank.mean()),
                        "features": mean.shape[1],
                    }
                )
                hits += int((rank <= 2).sum())
                total += len(rank)
                chances += len(rank) * 2 / mean.shape[1]
    return lines, hits, chances, total


def said(rows):
    """Hold the paper's four sentences against the ranks."""
    lines, hits, chances, total = named(rows)
    if not lines:
        return "None of these sets has classes of which the paper speaks."
    verdict = (
        "more often than by chance, but not as a rule"
        if chances * 1.25 < hits < 0.7 * total
        else ("as a rule" if hits >= 0.7 * total else "no more often than by chance")
    )
    return (
        "**What the paper says of four kinds.** It names two features for each, by their score "
        "for clusters and classes:\n\n"
        f"{markdown(pd.DataFrame(lines), index=False)}\n\n"
        f"A feature that it names is among a class's two best in {hits} of {total} cases; features "
        f"drawn by lot would be in {chances:.0f}. So its account is confirmed {verdict}. (Five of "
        "nine features are 'top five' by lot in more than half of the cases.)"
    )


def claims(result):
    """List how often the features that the paper names are a class's best."""
    lines, hits, chances, total = named(result.rows)
    if not lines:
        return []
    return [
        (
            "The two features named for chat, voice, file transfer, P2P are a class's two best",
            "as a rule",
            f"{hits} of {total} cases; by lot {chances:.0f}",
            bool(hits >= 0.7 * total),
        )
    ]


def ranks(rows):
    """Say how far impurity and permutation agree."""
    sentences = []
    for data, part in rows.groupby("data", sort=False):
        wide = part[part["kind"].isin(["impurity", "permutation"])].pivot_table(
            index="feature", columns="kind", values="importance"
        )
        rho = wide.corr(method="spearman").loc["impurity", "permutation"]
        sentences.append(
            f"on the {NAMES[data]} impurity puts {wide['impurity'].idxmax()} first, permutation "
            f"{wide['permutation'].idxmax()} (rank correlation {rho:.2f})"
        )
    text = "; ".join(sentences)
    return (
        f"**Impurity against permutation**, the same forest, held-out sessions: {text}. Impurity "
        "is taken on the rows that the forest grew on and favours features with many values; "
        "features that say the same share their loss under permutation."
    )


def figure(rows, images):
    """Draw a heat map of classes and features for each set."""
    import matplotlib.pyplot as plt

    sets = list(rows["data"].unique())
    tables = [class_means(rows[rows["data"] == data]) for data in sets]
    heights = [len(table) + 3 for table in tables]
    fig, axes = plt.subplots(
        len(sets), 1, figsize=(7, 0.27 * sum(heights) + 1.5), height_ratios=heights, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, data, table in zip(axes[:, 0], sets, tables, strict=True):
        table = table[[name for name in ORDER if name in table]]
        image = ax.imshow(table, aspect="auto", cmap="viridis", vmin=0, vmax=0.5)
        ax.set_yticks(np.arange(len(table)), table.index, fontsize=8)
        ax.set_xticks(np.arange(table.shape[1]), table.columns, rotation=25, ha="right", fontsize=8)
        ax.set_title(NAMES[data], fontsize=10)
        for i, row in enumerate(table.to_numpy()):
            for j in np.argsort(-row)[:TOP]:
                colour = "black" if row[j] > 0.3 else "white"
                ax.text(j, i, f"{row[j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    fig.colorbar(image, ax=axes[:, 0], label="importance for the class", shrink=0.5)
    return images.save(fig, "a-features", "Importance of the features for each class")


TABLE = Table(
    "a-features", "Qi et al., sections 2.3 and 2.4: feature contributions",
    SETTINGS, units, run, section, claims,
)  # fmt: skip
