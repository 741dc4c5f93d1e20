"""Equal searches for the ensemble, the MLP, a forest and boosting, inside the training part."""

import time

import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline

from paper_tables.a_data import NAMES, honest_folds, preparation, splits
from paper_tables.a_models import ENSEMBLE, rare_classes, score
from paper_tables.render import markdown, spread
from sktraffic.neural_network import MLPClassifier, TransformerEnsemble
from sktraffic.over_sampling import GuardedADASYN

FAMILIES = ("ensemble", "MLP", "random forest", "boosting")
SEARCH = {
    "tiny": {"candidates": 2, "inner_folds": 1},
    "cpu": {"candidates": 6, "inner_folds": 2, "search_seeds": 1},
    "gpu": {"candidates": 30, "inner_folds": 3},
}


def search_units(settings, seeds):
    """Return one unit a family, set and seed."""
    return [
        {"part": "search", "data": data, "family": family, "seed": seed}
        for data in settings["sets"]
        for family in FAMILIES
        for seed in range(min(seeds, settings.get("search_seeds", seeds)))
    ]


def family(name, settings, seed):
    """Return a classifier and the values to draw from; the same number of draws for each."""
    sizes = settings["sizes"]
    net = {"random_state": seed, "device": "auto", "validation_fraction": 0.15}
    net |= sizes["common"]
    balance = {
        "resampler": [None, GuardedADASYN(), "smote"],
        "class_weight": [None, "balanced"],
        "gamma": [0.0, 0.0, 0.0, 1.0, 2.0, 3.0],  # cross-entropy half of the time
    }
    networks = {"ensemble": "transformer", "MLP": "mlp"}
    if name in networks:
        # an ensemble is slow to learn: how long is part of the search
        epochs = sizes[networks[name]].get("max_epochs", 100)
        balance["max_epochs"] = [epochs, 4 * epochs]
    if name == "ensemble":
        # one member while searching; the winner is refitted with three
        model = TransformerEnsemble(1, **net | sizes["transformer"])
        return model, balance | {"lr": [0.001, 0.003, 0.01], "dropout": [0.0, 0.1]}
    if name == "MLP":
        model = MLPClassifier(**net | sizes["mlp"])
        return model, balance | {"lr": [0.001, 0.003, 0.01], "dropout": [0.1, 0.3]}
    if name == "random forest":
        return RandomForestClassifier(sizes["trees"], random_state=seed), {
            "max_depth": [None, 10, 20],
            "min_samples_leaf": [1, 2, 5],
            "max_features": ["sqrt", 0.5, None],
            "class_weight": [None, "balanced", "balanced_subsample"],
        }
    return HistGradientBoostingClassifier(random_state=seed), {
        "max_iter": [sizes["boosting"], 3 * sizes["boosting"]],
        "learning_rate": [0.03, 0.1, 0.3],
        "max_leaf_nodes": [7, 15, 31],
        "l2_regularization": [0.0, 1.0],
        "class_weight": [None, "balanced"],
    }


def run_search(unit, settings, data):
    """Search on honest folds inside the honest training part, refit, test once."""
    seed = unit["seed"]
    train, test = splits(data, seed)["honest"]
    folds = honest_folds(data, train, seed + 1, folds=settings["inner_folds"])
    where = {row: place for place, row in enumerate(train)}
    inner = [tuple(np.array([where[r] for r in part]) for part in fold) for fold in folds]
    model, grid = family(unit["family"], settings, seed)
    if "resampler" in grid:
        few = min(np.unique(data.y[fold[0]], return_counts=True)[1].min() for fold in folds)
        # a part of it is cut off for early stopping before over-sampling
        smote = SMOTE(k_neighbors=max(1, min(5, int(few * 0.8) - 1)))
        grid["resampler"] = [smote if value == "smote" else value for value in grid["resampler"]]
    pipe = make_pipeline(preparation(), model)
    grid = {f"{pipe.steps[-1][0]}__{name}": values for name, values in grid.items()}
    search = RandomizedSearchCV(
        pipe, grid, n_iter=settings["candidates"], scoring="f1_macro", cv=inner, refit=False,
        random_state=seed, error_score="raise",
    )  # fmt: skip
    begin = time.process_time()
    search.fit(data.X.iloc[train], data.y[train])
    seconds = time.process_time() - begin
    best = pipe.set_params(**search.best_params_)
    if unit["family"] == "ensemble":
        best.set_params(transformerensemble__n_members=3)
    predicted = best.fit(data.X.iloc[train], data.y[train]).predict(data.X.iloc[test])
    row = score(data.y[test], predicted, data, rare_classes(data))
    row["f1_macro"] = f1_score(data.y[test], predicted, average="macro", zero_division=0)
    setting = {k.split("__")[-1]: _text(v) for k, v in sorted(search.best_params_.items())}
    row |= {"inner_f1_macro": float(search.best_score_), "search_seconds": seconds}
    return [row | {"setting": ", ".join(f"{k} {v}" for k, v in setting.items())}]


def _text(value):
    """Name a value of the grid."""
    return value if isinstance(value, (int, float, str, type(None))) else type(value).__name__


def search_section(found, ladder):
    """Write what each family reached, and who wins."""
    parts = [
        "Each family gets the same number of random draws, is compared by macro F1 on honest "
        "folds inside the honest training part (in time, or by capture), and its best draw is "
        "refitted and tested once. Features masked; the ensemble is searched with one member. "
        "Networks may train four times as long as in the ladder."
    ]
    columns = ["inner_f1_macro", "f1_macro", "accuracy", "sparse_recall", "sparse_f1"]
    for data, part in found.groupby("data", sort=False):
        table = spread(part, "family", columns)
        table.columns = [
            "macro F1 inside", "macro F1 tested", "accuracy", "sparse recall", "sparse F1",
        ]  # fmt: skip
        table["seconds of search"] = (
            part.groupby("family")["search_seconds"].mean().round().astype(int)
        )
        first = part[part["seed"] == part["seed"].min()].set_index("family")
        table["found (first seed)"] = first["setting"]
        parts.append(f"*{NAMES[data]}*\n\n{markdown(table)}")
        if part["family"].nunique() == len(FAMILIES):
            parts.append(words(part, data, ladder))
        else:
            there = ", ".join(part["family"].unique())
            parts.append(f"The table is not complete: of the searches only {there} have been run.")
    return "\n\n".join(parts)


def words(part, data, ladder):
    """Say which family wins after the search, and what the ensemble gained."""
    mean = part.groupby("family")[["f1_macro", "sparse_f1", "sparse_recall", "accuracy"]].mean()
    std = part.groupby("family")["f1_macro"].std().fillna(0.0)
    first, second = mean["f1_macro"].nlargest(2).index
    lead = mean.loc[first, "f1_macro"] - mean.loc[second, "f1_macro"]
    clear = ", no more than the deviations over the seeds"
    if lead > std[first] + std[second]:
        clear = ", more than the deviations over the seeds"
    if part["seed"].nunique() == 1:
        clear = " (one seed)"
    chosen = ladder[(ladder["data"] == data) & (ladder["rung"] == ENSEMBLE)]
    chosen = chosen[(chosen["split"] == "honest") & (chosen["columns"] == "masked")]
    before, after = chosen["accuracy"].mean(), mean.loc["ensemble", "accuracy"]
    recall = chosen["sparse_recall"].mean(), mean.loc["ensemble", "sparse_recall"]
    focal = part[part["family"].isin(["ensemble", "MLP"])]["setting"].str.contains("gamma [1-9]")
    return (
        f"After the search **{first}** leads in macro F1 ({mean.loc[first, 'f1_macro']:.3f}), "
        f"{lead:.3f} ahead of {second}{clear}. The search "
        f"takes the ensemble from an accuracy of {before:.3f} to {after:.3f} and from a sparse "
        f"recall of {recall[0]:.3f} to {recall[1]:.3f}; focal loss was chosen in {focal.sum()} of "
        f"{len(focal)} searches of the networks."
    )
