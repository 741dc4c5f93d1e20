"""The ladder of Qi et al., what it should be compared with, and the scores."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.neighbors import KNeighborsClassifier

from sktraffic.metrics import sparse_class_f1_score, sparse_classes
from sktraffic.neural_network import MLPClassifier, TransformerEnsemble
from sktraffic.over_sampling import GuardedADASYN

ENSEMBLE = "+ ensemble of three"
LADDER = ("MLP", "+ class weights", "+ focal loss", "+ ADASYN", "+ transformer", ENSEMBLE)
# the small networks have the paper's shape at a size that two busy cores train in minutes
SMALL = {
    "common": {"batch_size": 256, "lr": 0.003, "patience": 8},
    "mlp": {"hidden_sizes": [128, 256, 128], "max_epochs": 25},
    "transformer": {"d_token": 32, "n_heads": 4, "n_layers": 1, "d_hidden": 64, "max_epochs": 10},
    "trees": 100,
    "boosting": 30,
}
FULL = {"common": {}, "mlp": {}, "transformer": {}, "trees": 100, "boosting": 100}
TINY = {
    "common": {"batch_size": 256, "lr": 0.003},
    "mlp": {"hidden_sizes": [16, 16], "max_epochs": 2},
    "transformer": {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8, "max_epochs": 1},
    "trees": 5,
    "boosting": 3,
}
# longer than in the first table of docs/user_guide/sparse_classes.md, which is short of training
LONGER = SMALL | {
    "common": {"batch_size": 256, "lr": 0.003, "patience": 12},
    "mlp": {"hidden_sizes": [128, 256, 128], "max_epochs": 50},
    "transformer": SMALL["transformer"] | {"max_epochs": 12},
}


def models(seed, sizes):
    """Name -> classifier, in the paper's order, then what it should be compared with."""
    net = {"random_state": seed, "device": "auto", "validation_fraction": 0.15}
    mlp = net | sizes["common"] | sizes["mlp"]
    token = net | sizes["common"] | sizes["transformer"]
    weights = {"class_weight": "balanced"}
    focal = weights | {"gamma": 2.0}
    adasyn = focal | {"resampler": GuardedADASYN()}
    weighted = {"random_state": seed, "class_weight": "balanced"}
    trees, rounds = sizes["trees"], sizes["boosting"]
    return {
        "MLP": MLPClassifier(**mlp),
        "+ class weights": MLPClassifier(**mlp, **weights),
        "+ focal loss": MLPClassifier(**mlp, **focal),
        "+ ADASYN": MLPClassifier(**mlp, **adasyn),
        ENSEMBLE: TransformerEnsemble(3, **token, **adasyn),
        "random forest": RandomForestClassifier(trees, random_state=seed),
        "random forest, class weights": RandomForestClassifier(trees, **weighted),
        "boosting": HistGradientBoostingClassifier(max_iter=rounds, random_state=seed),
        "boosting, class weights": HistGradientBoostingClassifier(max_iter=rounds, **weighted),
        "1-nearest-neighbour": KNeighborsClassifier(1),
    }


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


def class_scores(y, predicted):
    """F1 of each class of the test part."""
    labels = np.unique(y)
    values = f1_score(y, predicted, labels=labels, average=None, zero_division=0)
    return dict(zip(map(str, labels), map(float, values), strict=True))
