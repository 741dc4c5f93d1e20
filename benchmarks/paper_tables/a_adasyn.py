"""Table 6 of Qi et al. (2025): sessions a class before and after over-sampling."""

import warnings

import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN, SMOTE

from paper_tables.a_data import NAMES, in_order, load, preparation, splits
from paper_tables.core import Table
from paper_tables.render import markdown
from sktraffic.over_sampling import GuardedADASYN

PAPER = [7199, 7200, 7199, 7181, 7295, 7215, 7231, 7167, 7197, 7203, 7183, 7197]
METHODS = {"ADASYN": "ADASYN", "GuardedADASYN": "guarded ADASYN", "SMOTE": "SMOTE"}
SETTINGS = {
    "tiny": {"caps": [60], "devices": 2, "captures": 3, "sets": ["stand-in", "iot"]},
    # with at most 500 a class, some classes are nearly as large as the largest
    "cpu": {"caps": [None, 500], "sets": list(NAMES)},
    "gpu": {"caps": [None, 500], "sets": list(NAMES)},
}


def units(settings, seeds):
    """Return one unit a data set, the first seed: counts hardly depend on it."""
    return [
        {"data": data, "cap": cap, "seed": 0}
        for data in settings["sets"]
        for cap in (settings["caps"] if data == "stand-in" else [None])
    ]


def run(unit, settings, folder):
    """Over-sample the training side of a random split; one row a class and method."""
    data = load(unit["data"], settings | {"cap": unit["cap"]}, folder, unit["seed"])
    train, _ = splits(data, unit["seed"])["naive"]
    X, y = preparation().fit_transform(data.X.iloc[train]), data.y[train]
    before = pd.Series(y).value_counts()
    few = max(1, min(5, int(before.min()) - 1))
    samplers = {
        "ADASYN": ADASYN(random_state=unit["seed"]),
        "GuardedADASYN": GuardedADASYN(random_state=unit["seed"]),
        "SMOTE": SMOTE(random_state=unit["seed"], k_neighbors=few),
    }
    rows = []
    for name, sampler in samplers.items():
        error, after = None, {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                after = pd.Series(sampler.fit_resample(X, y)[1]).value_counts().to_dict()
        except (ValueError, RuntimeError) as problem:
            error = f"{type(problem).__name__}: {str(problem).split('.')[0]}"
        report = getattr(sampler, "report_", None)
        if report is not None:
            made_by = dict(zip(report["class"], report["method"], strict=True))
        for label, count in before.items():
            row = {"class": str(label), "before": int(count), "method": name, "error": error}
            row["after"] = int(after[label]) if label in after else None
            if report is not None:
                row["made_by"] = str(made_by[label])
            rows.append(row)
    return rows


def section(result, images):
    """Write the counts beside the paper's evenness."""
    rows = in_order(result.rows)
    rows["set"] = [title(*pair) for pair in zip(rows["data"], rows["cap"], strict=True)]
    parts = [words(rows)]
    for name, part in rows.groupby("set", sort=False):
        wide = part.pivot(index="class", columns="method", values="after")
        table = part.drop_duplicates("class").set_index("class")[["before"]]
        for method, label in METHODS.items():
            column = wide[method].reindex(table.index)
            table[label] = [None if pd.isna(v) else int(v) for v in column]
            table[label] = table[label].astype("Int64")
        made = part[part["method"] == "GuardedADASYN"].set_index("class")["made_by"]
        table["guarded: made by"] = made.reindex(table.index)
        table = table.sort_values("before", ascending=False)
        parts.append(f"*{name}*, training side of a random split:\n\n{markdown(table)}")
    parts.append(figure(rows, images))
    return "\n\n".join(parts)


def title(data, cap):
    """Name a set, with its cap where it has one."""
    return NAMES[data] + ("" if pd.isna(cap) else f" (at most {cap:.0f} a class)")


def deviation(counts):
    """Largest distance of a count from the median, in per cent of it."""
    middle = np.median(counts)
    return float(100 * np.max(np.abs(np.asarray(counts) - middle)) / middle)


def words(rows):
    """Say how even the classes become, and what fails."""
    sentences = [
        f"The paper's ADASYN levels twelve classes to {min(PAPER):,} to {max(PAPER):,} sessions, "
        f"at most {deviation(PAPER):.1f} % from the middle."
    ]
    for name, part in rows.groupby("set", sort=False):
        guarded = part[part["method"] == "GuardedADASYN"].set_index("class")
        plain = part[part["method"] == "ADASYN"].set_index("class")
        ratio = guarded["before"].max() / guarded["before"].min()
        error = plain["error"].iloc[0]
        if isinstance(error, str):
            helped = int((~guarded["made_by"].isin(["ADASYN", "none"])).sum())
            found = f"raises `{error}`; the guarded one makes {helped} classes another way"
        else:
            equal = (plain["after"] == guarded["after"]).all()
            found = "works, and the guarded one gives " + ("the same" if equal else "other counts")
        sentences.append(
            f"On the {name}, largest class {ratio:.0f} times the smallest, imbalanced-learn's "
            f"ADASYN {found} (at most {deviation(guarded['after']):.1f} % from the middle)."
        )
    guarded = rows[rows["method"] == "GuardedADASYN"]
    same = all(deviation(part["after"]) < 5 for _, part in guarded.groupby("set"))
    sentences.append(
        "Table 6 is reproduced in kind: such counts are what ADASYN gives wherever it runs."
        if same
        else "Table 6 is reproduced where no class is too small for ADASYN's rounding."
    )
    return " ".join(sentences)


def claims(result):
    """List how even ADASYN makes the classes."""
    rows = result.rows[result.rows["method"] == "GuardedADASYN"]
    worst = max(deviation(part["after"]) for _, part in rows.groupby(["data", "cap"], dropna=False))
    return [
        (
            "ADASYN levels the classes",
            f"within {deviation(PAPER):.1f} % of the middle",
            f"within {worst:.1f} %",
            bool(worst < 5),
        )
    ]


def figure(rows, images):
    """Draw counts before and after, logarithmic."""
    import matplotlib.pyplot as plt

    sets = list(rows["set"].unique())
    fig, axes = plt.subplots(
        1, len(sets), figsize=(3.6 * len(sets), 3.6), layout="constrained", squeeze=False
    )
    for ax, name in zip(axes[0], sets, strict=True):
        part = rows[(rows["set"] == name) & (rows["method"] == "GuardedADASYN")]
        part = part.sort_values("before", ascending=False)
        place = np.arange(len(part))
        ax.barh(place, part["after"], color="tab:orange", label="after guarded ADASYN")
        ax.barh(place, part["before"], color="tab:blue", label="before")
        ax.set_yticks(place, part["class"], fontsize=7)
        ax.invert_yaxis()
        ax.set(xscale="log", xlabel="sessions", title=name.replace(" (", "\n("))
        ax.set_xlim(left=1)
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
               frameon=False)  # fmt: skip
    return images.save(fig, "a6-adasyn", "Sessions a class before and after over-sampling")


TABLE = Table(
    "a6-adasyn", "Qi et al., table 6: sessions a class after ADASYN",
    SETTINGS, units, run, section, claims,
)  # fmt: skip
