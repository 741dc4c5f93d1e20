"""What is measured of Qi et al.: the rows of one unit of each kind of experiment."""

import math
import time
import warnings

import numpy as np
import pandas as pd
from clusterings import FEATURES, clusterers
from imblearn.over_sampling import ADASYN, SMOTE
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from paper_tables.data import (
    EXTRA,
    categories,
    honest_folds,
    iot_sessions,
    lab_sessions,
    load,
    preparation,
    splits,
)
from paper_tables.models import ENSEMBLE, PAPER_MLP, family, ladder
from sktraffic.cluster import ElbowKMeans, compare_clusterings
from sktraffic.feature_selection import ForestSelector
from sktraffic.inspection import robustness_curve
from sktraffic.metrics import sparse_class_f1_score, sparse_classes
from sktraffic.neural_network import MLPClassifier
from sktraffic.over_sampling import GuardedADASYN
from sktraffic.preprocessing import make_preprocessor


def clusterings(unit, settings, folder):
    """Table 2: cluster one feature table all ways."""
    name, seed = unit["data"], unit["seed"]
    if unit["features"] == "all":
        known = (settings.get("devices"), settings.get("captures"))
        table, y, _ = iot_sessions(folder, *known) if name == "iot" else lab_sessions()
        X = FEATURES["all"]().set_output(transform="pandas").fit_transform(table)
    else:
        data = load(name, settings, folder, seed)
        X, y = data.X.drop(columns=EXTRA, errors="ignore"), data.y  # the paper's nine: no maxima
    log = FunctionTransformer(np.log1p, feature_names_out="one-to-one")
    Z = make_pipeline(*([log] if unit["log"] else []), make_preprocessor()).fit_transform(X)
    models = clusterers(seed, settings["max_samples"])
    scores = compare_clusterings(Z, y, clusterers=models, random_state=seed)
    facts = {"sessions": len(Z), "columns": Z.shape[1], "classes": len(np.unique(y))}
    return [
        facts | {"model": model} | {k: float(v) for k, v in row.items()}
        for model, row in scores.iterrows()
    ]


def contributions(unit, settings, folder):
    """Sections 2.3, 2.4: score features for clusters, classes, each class, on held-out sessions."""
    seed = unit["seed"]
    data = load(unit["data"], settings, folder, seed)
    X = data.X.drop(columns=EXTRA, errors="ignore")
    forest = {"n_estimators": settings["trees"], "top_k": 5, "random_state": seed}
    Z = make_preprocessor().set_output(transform="pandas").fit_transform(X)
    Z.columns = [name.split("__")[-1] for name in Z.columns]
    kmeans = ElbowKMeans(scale="linear", random_state=seed)  # the rule of the paper
    clusters = ForestSelector(clusterer=kmeans, **forest).fit(Z)
    classes = ForestSelector(**forest).fit(X, data.y)
    train, test = splits(data, seed)["honest"]
    deep = RandomForestClassifier(settings["trees"], random_state=seed)
    deep.fit(X.iloc[train], data.y[train])
    found = permutation_importance(
        deep, X.iloc[test], data.y[test], n_repeats=settings["repeats"], random_state=seed,
        scoring="balanced_accuracy",
    )  # fmt: skip
    scored = [
        ("clusters", None, Z.columns, clusters.feature_importances_),
        ("classes", None, X.columns, classes.feature_importances_),
        *(
            ("class", str(name), X.columns, values)
            for name, values in zip(classes.classes_, classes.class_importances_, strict=True)
        ),
        ("impurity", None, X.columns, deep.feature_importances_),
        ("permutation", None, X.columns, found.importances_mean),
    ]
    return [
        {"kind": kind, "class": label, "feature": str(name), "importance": float(value)}
        for kind, label, names, values in scored
        for name, value in zip(names, values, strict=True)
    ]


def learning_curve(unit, settings, folder):
    """Tables 3 and 4: train without stopping early, five categories; or a forest beside it.

    The validation part is a stratified random fifth, as in the paper. One row: the last epoch's
    losses, as means and as sums over batches.
    """
    seed, share = unit["seed"], settings["validation_fraction"]
    data = categories(load("stand-in", settings, folder, seed))
    X, y = preparation().fit_transform(data.columns(unit.get("columns", "masked"))), data.y
    if unit.get("activation") == "forest":
        parts = train_test_split(X, y, test_size=share, stratify=y, random_state=seed)
        forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=seed)
        probability = forest.fit(parts[0], parts[2]).predict_proba(parts[1])
        right = forest.classes_[probability.argmax(axis=1)] == parts[3]
        loss = log_loss(parts[3], probability, labels=forest.classes_)
        return [{"rows": len(parts[0]), "valid_loss": float(loss), "accuracy": float(right.mean())}]
    batch = unit.get("batch_size", settings.get("batch_size"))
    epochs = unit.get("epochs", settings.get("epochs"))
    common = {name: settings[name] for name in ("hidden_sizes", "dropout", "lr")}
    own = {"validation_fraction": share, "batch_size": batch, "max_epochs": epochs}
    own |= {"patience": epochs, "monitor": "valid_loss", "random_state": seed}
    own["activation"] = unit.get("activation", "relu")
    model = MLPClassifier(**PAPER_MLP | common | own)
    history = model.fit(X, y).history_
    kept = training_rows(y, share)
    batches = math.ceil(kept / min(batch, kept))
    last, best = history.iloc[-1], history["valid_loss"].idxmin()
    return [
        {
            "rows": kept,
            "batches": batches,
            "epochs_run": len(history),
            "train_loss": float(last["train_loss"]),
            "train_loss_sum": float(last["train_loss"]) * batches,
            "valid_loss": float(last["valid_loss"]),
            "best_valid_loss": float(history["valid_loss"].min()),
            "best_epoch": int(history["epoch"].iloc[best]),
            "accuracy": float(last["accuracy"]),
            "epoch_seconds": float(history["dur"].median()),
        }
    ]


def training_rows(y, fraction):
    """Count what the classifier's stratified cut leaves for training, class by class."""
    counts = np.unique(y, return_counts=True)[1]
    return sum(int(n) - min(max(1, int(fraction * n + 0.5)), int(n) - 1) for n in counts)


def over_sampling(unit, settings, folder):
    """Table 6: over-sample the training side of a random split; one row a class and method."""
    seed = unit["seed"]
    data = load(unit["data"], settings | {"cap": unit["cap"]}, folder, seed)
    train, _ = splits(data, seed)["naive"]
    X, y = preparation().fit_transform(data.X.iloc[train]), data.y[train]
    before = pd.Series(y).value_counts()
    few = max(1, min(5, int(before.min()) - 1))
    samplers = {
        "ADASYN": ADASYN(random_state=seed),
        "GuardedADASYN": GuardedADASYN(level="majority", random_state=seed),
        "SMOTE": SMOTE(random_state=seed, k_neighbors=few),
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
        made_by = (
            {} if report is None else dict(zip(report["class"], report["method"], strict=True))
        )
        for label, count in before.items():
            row = {"class": str(label), "before": int(count), "method": name, "error": error}
            row["after"] = int(after[label]) if label in after else None
            rows.append(row | ({"made_by": str(made_by[label])} if made_by else {}))
    return rows


def prepared(data, unit):
    """Return prepared training and test side, labels, and which test rows are real."""
    table, seed = data.columns(unit["columns"]), unit["seed"]
    if unit["split"] == "leaky":
        X = preparation().fit_transform(table)
        X, y = GuardedADASYN(level="majority", random_state=seed).fit_resample(X, data.y)
        real = np.arange(len(y)) < len(data.y)  # samplers put what they make behind
        cut = train_test_split(X, y, real, test_size=0.3, stratify=y, random_state=seed)
        return *cut[:4], cut[5]
    train, test = splits(data, seed)[unit["split"]]
    prepare = preparation().fit(table.iloc[train])
    X, X_test = (prepare.transform(table.iloc[part]) for part in (train, test))
    return X, X_test, data.y[train], data.y[test], np.ones(len(test), dtype=bool)


def sparse_traffic(unit, settings, folder):
    """Sections 3 to 3.4: every rung of the ladder on one split, or one search."""
    data = load(unit["data"], settings, folder, unit["seed"])
    if unit["part"] == "search":
        return search(unit, settings, data)
    X, X_test, y, y_test, real = prepared(data, unit)
    rare, rows = rare_classes(data), []
    for name, model in ladder(unit["seed"], settings["sizes"]).items():
        begin = time.process_time()
        model.fit(X, y)
        seconds = time.process_time() - begin
        for rung, share, predicted in answers(name, model, X_test):
            row = {"rung": rung, "fit_seconds": seconds * share, "test": len(y_test)}
            row |= score(y_test, predicted, data, rare)
            row["accuracy_real"] = float(np.mean(predicted[real] == y_test[real]))
            row["sparse_test"] = int((y_test == data.sparse).sum())
            labels = np.unique(y_test)
            f1 = f1_score(y_test, predicted, labels=labels, average=None, zero_division=0)
            row["f1"] = dict(zip(map(str, labels), map(float, f1), strict=True))
            rows.append(row)
    return rows


def answers(name, model, X_test):
    """Predictions of a rung; the ensemble's first member is the rung before it."""
    if name == ENSEMBLE:
        yield "+ transformer", 1 / len(model.members_), model.members_[0].predict(X_test)
    yield name, 1.0, model.predict(X_test)


def rare_classes(data):
    """Classes below 5 % of the sessions, or the smallest."""
    rare = sparse_classes(data.y, 0.05)
    return rare if len(rare) else np.array([data.sparse])


def score(y, predicted, data, rare):
    """Return the numbers of a row: two overall, two of the sparse classes."""
    return {
        "accuracy": accuracy_score(y, predicted),
        "f1_weighted": f1_score(y, predicted, average="weighted", zero_division=0),
        "sparse_recall": recall_score(
            y, predicted, labels=[data.sparse], average="macro", zero_division=0
        ),
        "sparse_f1": sparse_class_f1_score(y, predicted, classes=rare),
    }


def search(unit, settings, data):
    """Search on honest folds inside the honest training part, refit, test once."""
    seed = unit["seed"]
    train, test = splits(data, seed)["honest"]
    folds = honest_folds(data, train, seed + 1, folds=settings["inner_folds"])
    where = {row: place for place, row in enumerate(train)}
    inner = [tuple(np.array([where[r] for r in part]) for part in fold) for fold in folds]
    few = min(np.unique(data.y[fold[0]], return_counts=True)[1].min() for fold in folds)
    # a part of it is cut off for early stopping before over-sampling
    smote = SMOTE(k_neighbors=max(1, min(5, int(few * 0.8) - 1)))
    model, grid = family(unit["family"], settings, seed, smote)
    pipe = make_pipeline(preparation(), model)
    grid = {f"{pipe.steps[-1][0]}__{name}": values for name, values in grid.items()}
    found = RandomizedSearchCV(
        pipe, grid, n_iter=settings["candidates"], scoring="f1_macro", cv=inner, refit=False,
        random_state=seed, error_score="raise",
    )  # fmt: skip
    begin = time.process_time()
    found.fit(data.X.iloc[train], data.y[train])
    seconds = time.process_time() - begin
    best = pipe.set_params(**found.best_params_)
    if unit["family"] == "ensemble":
        best.set_params(transformerensemble__n_members=3)
    predicted = best.fit(data.X.iloc[train], data.y[train]).predict(data.X.iloc[test])
    row = score(data.y[test], predicted, data, rare_classes(data))
    row["f1_macro"] = f1_score(data.y[test], predicted, average="macro", zero_division=0)
    row |= {"inner_f1_macro": float(found.best_score_), "search_seconds": seconds}
    chosen = {key.split("__")[-1]: value for key, value in sorted(found.best_params_.items())}
    return [row | {"setting": ", ".join(f"{key} {_text(v)}" for key, v in chosen.items())}]


def _text(value):
    """Name a value of the grid."""
    return value if isinstance(value, (int, float, str, type(None))) else type(value).__name__


def noise(unit, settings, folder):
    """Fit on clean sessions, score ever noisier ones."""
    seed, rows = unit["seed"], []
    X, X_test, y, y_test, _ = prepared(load(unit["data"], settings, folder, seed), unit)
    available = ladder(seed, settings["sizes"])
    for name in ("MLP", ENSEMBLE, "random forest", "boosting", "1-nearest-neighbour"):
        curve = robustness_curve(
            available[name].fit(X, y), X_test, y_test, noise=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
            n_repeats=settings["repeats"], random_state=seed,
        )  # fmt: skip
        for strength, value in curve.groupby("strength")["score"].mean().items():
            rows.append({"model": name, "noise": float(strength), "accuracy": float(value)})
    return rows


def latency(unit, settings, folder):
    """Time single calls; arrays ready for the model, and a DataFrame through the whole pipeline."""
    data = load(unit["data"], settings, folder, unit["seed"])
    train, test = splits(data, unit["seed"])["naive"]
    prepare = preparation().fit(data.X.iloc[train])
    X, X_test = (prepare.transform(data.X.iloc[part]) for part in (train, test))
    available = ladder(unit["seed"], settings["sizes"])
    available["logistic regression"] = LogisticRegression(max_iter=2000)
    rows = []
    for name, model in available.items():
        if "weights" in name or name in ("+ focal loss", "+ ADASYN"):
            continue  # as fast as what they vary
        model.fit(X, data.y[train])
        pipe = make_pipeline(prepare, model)
        calls = [("array", model, X_test, size) for size in settings["batches"]]
        for kind, caller, rows_in, size in [*calls, ("pipeline", pipe, data.X.iloc[test], 1)]:
            row = {"model": name, "batch_size": size, "training_rows": len(train), "input": kind}
            rows.append(row | timed(caller.predict, rows_in, size, settings["calls"]))
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
