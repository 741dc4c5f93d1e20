"""Two claims of Qi et al. (2025): accuracy under feature noise, milliseconds a session."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from paper_tables.a_data import NAMES, in_order, load, preparation, splits
from paper_tables.a_models import ENSEMBLE, FULL, LONGER, TINY, models
from paper_tables.core import Table
from paper_tables.render import markdown
from sktraffic.inspection import robustness_curve

CLAIM = (0.3, 0.9)  # noise, accuracy
CLAIM_MS = 1.0
CHOSEN = ("MLP", ENSEMBLE, "random forest", "boosting", "1-nearest-neighbour")
KINDS = {
    ("masked", "naive"): "random split",
    ("masked", "honest"): "honest split",
    ("unmasked", "naive"): "random split, unmasked",
}
STRENGTHS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
SETTINGS_NOISE = {
    "tiny": {"cap": 40, "sizes": TINY, "sets": ["stand-in"], "repeats": 1},
    "cpu": {
        "cap": 500,
        "sizes": LONGER,
        "sets": ["stand-in", "bundled"],
        "repeats": 3,
        "most_seeds": 1,
    },
    "gpu": {"cap": None, "sizes": FULL, "sets": ["stand-in", "bundled"], "repeats": 5},
}
BRIEF = {"mlp": {"max_epochs": 1}, "transformer": {"max_epochs": 1}}
SETTINGS_LATENCY = {
    "tiny": {"cap": 30, "sizes": TINY, "batches": [1, 10], "calls": 5},
    # the paper's sizes; one epoch, as the time of an answer does not depend on the weights
    "cpu": {"cap": 500, "sizes": FULL | BRIEF, "batches": [1, 10, 100, 1000], "calls": 200},
    "gpu": {"cap": None, "sizes": FULL | BRIEF, "batches": [1, 10, 100, 1000], "calls": 1000},
}


def units_noise(settings, seeds):
    """Return one unit a set, kind of split and seed."""
    return [
        {"data": data, "columns": columns, "split": split, "seed": seed}
        for data in settings["sets"]
        for columns, split in KINDS
        for seed in range(min(seeds, settings.get("most_seeds", seeds)))
    ]


def run_noise(unit, settings, folder):
    """Fit on clean sessions, score ever noisier ones."""
    seed = unit["seed"]
    data = load(unit["data"], settings, folder, seed)
    train, test = splits(data, seed)[unit["split"]]
    table = data.columns(unit["columns"])
    prepare = preparation().fit(table.iloc[train])
    X, X_test = (prepare.transform(table.iloc[part]) for part in (train, test))
    available, rows = models(seed, settings["sizes"]), []
    for name in CHOSEN:
        model = available[name].fit(X, data.y[train])
        curve = robustness_curve(
            model, X_test, data.y[test], noise=STRENGTHS, n_repeats=settings["repeats"],
            random_state=seed,
        )  # fmt: skip
        for strength, value in curve.groupby("strength")["score"].mean().items():
            rows.append({"model": name, "noise": float(strength), "accuracy": float(value)})
    return rows


def section_noise(result, images):
    """Write accuracies at every strength, and hold the claim against them."""
    rows = in_order(result.rows, "columns")
    parts = [
        f"The paper claims an accuracy above {CLAIM[1]} at a noise of {CLAIM[0]}; here Gaussian "
        "noise in units of each feature's standard deviation is added to the prepared test "
        "sessions, models are fitted on clean ones. " + words_noise(rows)
    ]
    for (data, columns, split), part in rows.groupby(["data", "columns", "split"], sort=False):
        table = part.pivot_table(index="model", columns="noise", values="accuracy", sort=False)
        at = part[part["noise"] == CLAIM[0]].groupby("model")["accuracy"].mean()
        table["kept at 0.3"] = at / table[0.0]
        table.columns = [c if isinstance(c, str) else f"noise {c}" for c in table.columns]
        title = f"*{NAMES[data]}, {KINDS[columns, split]}*"
        parts.append(f"{title}\n\n{markdown(table.round(3))}")
    parts.append(figure_noise(rows, images))
    return "\n\n".join(parts)


def words_noise(rows):
    """Decide the claim by absolute accuracy and by what is kept."""
    mean = rows.groupby(["data", "columns", "split", "model", "noise"])["accuracy"].mean()
    wide = mean.unstack("noise")
    holds = wide[wide[CLAIM[0]] > CLAIM[1]]
    start = wide[wide[0.0] > CLAIM[1]]
    kept = wide[CLAIM[0]] / wide[0.0]
    by_model = kept.groupby("model").mean()
    if len(holds):
        names = "; ".join(
            f"{model} ({NAMES[data]}, {KINDS[columns, split]}: {row[CLAIM[0]]:.3f})"
            for (data, columns, split, model), row in holds.iterrows()
        )
        verdict = f"It holds for {len(holds)} of {len(wide)} fits: {names}."
    else:
        data, columns, split, model = wide[CLAIM[0]].idxmax()
        verdict = (
            f"It holds for none of our {len(wide)} fits; {len(start) or 'none'} of them "
            f"{'have' if len(start) > 1 else 'has'} more than {CLAIM[1]} even without noise. The "
            f"best at {CLAIM[0]} is {wide[CLAIM[0]].max():.3f} ({model}, {NAMES[data]}, "
            f"{KINDS[columns, split]})."
        )
    return (
        f"{verdict} On average {by_model.idxmax()} keeps the largest share of its accuracy "
        f"({by_model.max():.2f}), {by_model.idxmin()} the smallest ({by_model.min():.2f})."
    )


def figure_noise(rows, images):
    """Draw accuracy against noise, a panel a set and split."""
    import matplotlib.pyplot as plt

    sets = list(rows["data"].unique())
    kinds = [
        kind for kind in KINDS if kind in set(zip(rows["columns"], rows["split"], strict=True))
    ]
    fig, axes = plt.subplots(
        len(sets), len(kinds), figsize=(3.4 * len(kinds), 2.9 * len(sets)), squeeze=False,
        sharex=True, sharey=True, layout="constrained",
    )  # fmt: skip
    for data, line in zip(sets, axes, strict=True):
        for (columns, split), ax in zip(kinds, line, strict=True):
            part = rows[
                (rows["data"] == data) & (rows["columns"] == columns) & (rows["split"] == split)
            ]
            for model in CHOSEN:
                mean = part[part["model"] == model].groupby("noise")["accuracy"].mean()
                ax.plot(mean.index, mean, marker="o", markersize=3, label=model)
            ax.plot(*CLAIM, "kx", label="paper: more than this")
            ax.set_title(f"{NAMES[data]},\n{KINDS[columns, split]}", fontsize=9)
            ax.set(ylim=(0, 1.02))
            ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("noise (standard deviations)")
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
               frameon=False, fontsize=9)  # fmt: skip
    return images.save(fig, "a-noise", "Accuracy against feature noise by model")


def claims_noise(result):
    """List the claim on noise."""
    mean = result.rows.groupby(["data", "columns", "split", "model", "noise"])["accuracy"].mean()
    wide = mean.unstack("noise")
    data, columns, split, model = wide[CLAIM[0]].idxmax()
    masked = wide.xs("masked", level="columns")[CLAIM[0]].max()
    return [
        (
            f"Accuracy at a noise of {CLAIM[0]}",
            f"above {CLAIM[1]}",
            f"at best {masked:.3f} masked; {wide[CLAIM[0]].max():.3f} in all ({model}, "
            f"{NAMES[data]}, {KINDS[columns, split]})",
            bool(masked > CLAIM[1]),
        )
    ]


def units_latency(settings, seeds):
    """Return a single unit: times are taken alone, one model after the other."""
    return [{"data": "stand-in", "seed": 0}]


def run_latency(unit, settings, folder):
    """Time single calls; arrays ready for the model, and a DataFrame through the whole pipeline."""
    data = load(unit["data"], settings, folder, unit["seed"])
    train, test = splits(data, unit["seed"])["naive"]
    prepare = preparation().fit(data.X.iloc[train])
    X, X_test = (prepare.transform(data.X.iloc[part]) for part in (train, test))
    available = models(unit["seed"], settings["sizes"])
    available["logistic regression"] = LogisticRegression(max_iter=2000)
    names = ["MLP", ENSEMBLE, "random forest", "boosting", "1-nearest-neighbour"]
    rows = []
    for name in [*names, "logistic regression"]:
        model = available[name].fit(X, data.y[train])
        pipe = make_pipeline(prepare, model)
        for size in settings["batches"]:
            row = {"model": name, "batch_size": size, "training_rows": len(train)}
            times = timed(model.predict, X_test, size, settings["calls"])
            rows.append(row | {"input": "array"} | times)
        times = timed(pipe.predict, data.X.iloc[test], 1, settings["calls"])
        row = {"model": name, "batch_size": 1, "training_rows": len(train)}
        rows.append(row | {"input": "pipeline"} | times)
    return rows


def timed(call, X, size, calls):
    """Milliseconds a session of repeated calls on different rows: median, 1st, 99th percentile."""
    rng = np.random.default_rng(0)
    calls = max(5, calls // max(1, size // 10))
    seconds = []
    for number in range(calls + 2):
        rows = rng.integers(0, len(X), size)
        batch = X[rows] if isinstance(X, np.ndarray) else X.iloc[rows]
        begin = time.perf_counter()
        call(batch)
        if number > 1:  # the first calls warm up
            seconds.append(1e3 * (time.perf_counter() - begin) / size)
    low, median, high = np.percentile(seconds, [1, 50, 99])
    return {"ms": float(median), "ms_p01": float(low), "ms_p99": float(high), "calls": calls}


def section_latency(result, images):
    """Write milliseconds a session, and who holds the claim."""
    rows = result.rows
    array = rows[rows["input"] == "array"]
    table = array.pivot_table(index="model", columns="batch_size", values="ms", sort=False)
    single = rows[(rows["batch_size"] == 1)].set_index(["input", "model"])
    table.columns = [f"{size} a call" for size in table.columns]
    table.insert(1, "1 a call, 1st percentile", single.loc["array", "ms_p01"])
    table.insert(2, "1 a call, with preparation", single.loc["pipeline", "ms"])
    alone, best = single.loc["array", "ms"], single.loc["array", "ms_p01"]
    whole = single.loc["pipeline", "ms"]

    def below(series):
        return ", ".join(series[series < CLAIM_MS].index) or "no model"

    largest = array["batch_size"].max()
    batch = array[array["batch_size"] == largest].set_index("model")["ms"]
    networks = "holds" if alone[["MLP", ENSEMBLE]].max() < CLAIM_MS else (
        "holds for the MLP only" if alone["MLP"] < CLAIM_MS else "does not hold"
    )  # fmt: skip
    return (
        "Milliseconds a session, median, features computed already; measured with the machine as "
        "it was, other work beside, so the 1st percentile is what the model can do. Networks have "
        f"the paper's sizes; {rows['training_rows'].iloc[0]:,} training sessions (which matters "
        f"to 1-nearest-neighbour).\n\n{markdown(table.round(4))}\n\n"
        f"The paper's claim, a single session in less than {CLAIM_MS:g} ms, {networks} for its two "
        f"classifiers. Alone in a call it holds for: {below(alone)} (median); {below(best)} (1st "
        f"percentile); {below(whole)} (median with standardisation and a DataFrame). In calls of "
        f"{largest:,}: {below(batch)}.\n\n{figure_latency(array, images)}"
    )


def claims_latency(result):
    """List the claim on latency."""
    rows = result.rows
    single = rows[(rows["batch_size"] == 1) & (rows["input"] == "array")].set_index("model")
    return [
        (
            "Milliseconds for a single session",
            f"less than {CLAIM_MS:g}",
            f"MLP {single.loc['MLP', 'ms']:.2f}, ensemble {single.loc[ENSEMBLE, 'ms']:.2f}, forest "
            f"{single.loc['random forest', 'ms']:.1f}",
            bool(single.loc[["MLP", ENSEMBLE], "ms"].max() < CLAIM_MS),
        )
    ]


def figure_latency(array, images):
    """Draw milliseconds a session against sessions a call."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for model, part in array.groupby("model", sort=False):
        ax.plot(part["batch_size"], part["ms"], marker="o", label=model)
    ax.axhline(CLAIM_MS, color="black", linestyle=":", label="paper: less than 1 ms")
    ax.set(xscale="log", yscale="log", xlabel="sessions a call", ylabel="ms a session (median)")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return images.save(fig, "a-latency", "Milliseconds a session against sessions a call")


NOISE = Table(
    "a-noise",
    "Qi et al., abstract: noise",
    SETTINGS_NOISE,
    units_noise,
    run_noise,
    section_noise,
    claims_noise,
)
LATENCY = Table(
    "a-latency", "Qi et al., abstract: milliseconds a session",
    SETTINGS_LATENCY, units_latency, run_latency, section_latency, claims_latency,
)  # fmt: skip
