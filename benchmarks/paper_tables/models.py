"""The models of both papers and what they should be compared with, all by name."""

import importlib
import importlib.util

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import VarianceThreshold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktraffic.feature_extraction import (
    ByteTokens,
    PacketSequences,
    PacketSizeMatrix,
    SessionFeatures,
    SessionStatistics,
)
from sktraffic.neural_network import (
    CNNLSTM,
    BiGRUDABert,
    DeepPacketCNN,
    DeepPacketSAE,
    MLPClassifier,
    TransformerEnsemble,
)
from sktraffic.over_sampling import GuardedADASYN
from sktraffic.pipeline import make_estimator

# -- Qi et al.: the ladder ----------------------------------------------------------------------

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
# the perceptron of the paper: reads numbers as they are, at a constant rate, and stops early
PAPER_MLP = {
    "hidden_sizes": (256, 512, 256), "embedding": "linear", "dropout": 0.3, "lr": 0.005,
    "batch_size": 4096, "max_epochs": 100, "warmup_ratio": 0.0, "early_stopping": True,
}  # fmt: skip


def ladder(seed, sizes):
    """Name -> classifier, in the paper's order, then what it should be compared with."""
    net = {"random_state": seed, "device": "auto", "validation_fraction": 0.15}
    mlp = PAPER_MLP | net | sizes["common"] | sizes["mlp"]
    token = net | sizes["common"] | sizes["transformer"]
    weights = {"class_weight": "balanced"}
    focal = weights | {"gamma": 2.0}
    adasyn = focal | {"resampler": GuardedADASYN(level="majority")}
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


def family(name, settings, seed, smote):
    """Return a classifier of a family and the values to draw from, as many draws for each."""
    sizes = settings["sizes"]
    net = {"random_state": seed, "device": "auto", "validation_fraction": 0.15} | sizes["common"]
    if name == "random forest":
        return RandomForestClassifier(sizes["trees"], random_state=seed), {
            "max_depth": [None, 10, 20],
            "min_samples_leaf": [1, 2, 5],
            "max_features": ["sqrt", 0.5, None],
            "class_weight": [None, "balanced", "balanced_subsample"],
        }
    if name == "boosting":
        return HistGradientBoostingClassifier(random_state=seed), {
            "max_iter": [sizes["boosting"], 3 * sizes["boosting"]],
            "learning_rate": [0.03, 0.1, 0.3],
            "max_leaf_nodes": [7, 15, 31],
            "l2_regularization": [0.0, 1.0],
            "class_weight": [None, "balanced"],
        }
    own = sizes["transformer" if name == "ensemble" else "mlp"]
    epochs = own.get("max_epochs", 100)  # networks are slow to learn: how long is drawn too
    values = {
        "resampler": [None, GuardedADASYN(level="majority"), smote],
        "class_weight": [None, "balanced"],
        "gamma": [0.0, 0.0, 0.0, 1.0, 2.0, 3.0],  # cross-entropy half of the time
        "max_epochs": [epochs, 4 * epochs],
        "lr": [0.001, 0.003, 0.01],
    }
    if name == "MLP":
        return MLPClassifier(**PAPER_MLP | net | own), values | {"dropout": [0.1, 0.3]}
    # one member while searching; the winner is refitted with three
    return TransformerEnsemble(1, **net | own), values | {"dropout": [0.0, 0.1]}


# -- Liang et al.: models of bytes ----------------------------------------------------------------

BERT, FOREST = "BiGRU-DA-BERT", "random forest"
# name -> changes of the full model: the paper's ablations, and BERT's start, which it leaves open
VARIANTS = {
    BERT: {},
    "without differential attention": {"attention": None},
    "cross-entropy": {"gamma": 0.0},
    "pre-trained": {},
}
NETWORKS = {
    "Deep Packet CNN": DeepPacketCNN,
    "Deep Packet SAE": DeepPacketSAE,
    "CNN + LSTM": CNNLSTM,
}
SIMPLE = (FOREST, "HistGradientBoosting", "1-nearest neighbour")
RAW_BYTES = "random forest, raw bytes"
# the best setting of each family is searched; the first candidate is its default in the tables
SPACES = {
    BERT: {
        "attention": ["differential", "softmax", None],
        "gamma": [0.0, 0.0, 1.0, 2.0],  # cross-entropy half of the time
        "class_weight": [None, "balanced"],
        "lr": [0.5, 1.0, 2.0],  # of the tables' learning rate
        "epochs": [1, 2],  # of the tables' epochs
        "start": ["pre-trained", "scratch"],
    },
    "trees": {
        "kind": ["random forest", "extra trees"],
        "max_features": ["sqrt", 0.2, 0.4],
        "min_samples_leaf": [1, 2, 4],
        "class_weight": [None, "balanced"],
    },
    "HistGradientBoosting": {
        "learning_rate": [0.05, 0.1, 0.2],
        "max_leaf_nodes": [7, 15, 31],
        "min_samples_leaf": [5, 20],
        "class_weight": [None, "balanced"],
    },
}
DEFAULTS = {
    BERT: {
        "attention": "differential", "gamma": 2.0, "class_weight": None, "lr": 1.0, "epochs": 1,
        "start": "scratch",
    },
    "trees": {
        "kind": FOREST, "max_features": "sqrt", "min_samples_leaf": 1, "class_weight": None,
    },
    "HistGradientBoosting": {
        "learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20, "class_weight": None,
    },
}  # fmt: skip


def of_bytes(name, settings, seed, weights=None):
    """Unfitted classifier of byte tokens; `weights` are those that BERT starts from, if any."""
    if name in VARIANTS:
        options = settings["bert"] | settings["train"] | VARIANTS[name]
        return BiGRUDABert(**options, pretrained=weights, random_state=seed)
    if name in NETWORKS:
        return NETWORKS[name](**settings["baselines"], random_state=seed)
    if name in (FOREST, RAW_BYTES):
        return RandomForestClassifier(settings["trees"], random_state=seed)
    if name == "HistGradientBoosting":
        return HistGradientBoostingClassifier(max_iter=settings["boosting"], random_state=seed)
    # bytes have no distance but equal or not
    return KNeighborsClassifier(1, metric="hamming", algorithm="brute")


def candidate(name, given, settings, seed, weights):
    """Unfitted classifier of one setting of a family of `SPACES`."""
    given = dict(given)
    if name == BERT:
        start = given.pop("start")
        given["lr"] *= settings["train"]["lr"]
        given["max_epochs"] = given.pop("epochs") * settings["train"]["max_epochs"]
        model = of_bytes(BERT, settings, seed, weights if start == "pre-trained" else None)
        return model.set_params(**given)
    if name == "HistGradientBoosting":
        return of_bytes(name, settings, seed).set_params(**given)
    kind = {FOREST: RandomForestClassifier, "extra trees": ExtraTreesClassifier}[given.pop("kind")]
    return kind(settings["trees"], random_state=seed, **given)


def inputs(name, X):
    """Tokens as the model reads them: ids for BERT, bytes for Deep Packet, values for trees.

    Padding, mask and separator are ids of their own for BERT; Deep Packet's networks divide bytes
    by 255, so the three become 0, as its authors fill and mask.
    """
    if name in NETWORKS:
        return np.maximum(X - 3, 0).astype(np.uint8)
    return X if name in VARIANTS else X.astype(np.float32)


# -- session tables: (model, values to search) by name --------------------------------------------

NINE = (
    "most frequent class",
    "1-nearest neighbour, nine features",
    "random forest, nine features",
    "boosting, nine features",
)
ALL_FEATURES, SEQUENCES = "random forest, all features", "k nearest neighbours, packet sequences"
LIGHTGBM = "LightGBM, all features"
# a peer from outside, where it is installed: the package does not need it
PEERS = (LIGHTGBM,) if importlib.util.find_spec("lightgbm") else ()
ON_SESSIONS = (*NINE, SEQUENCES, ALL_FEATURES, *PEERS, "forest", "sequences", "best")


def everything(data, settings):
    """All features of the sessions of a set."""
    if data == "android":
        sequences = PacketSequences(30, fields=("signed_size", "iat"))
        return make_union(SessionStatistics("extended"), sequences, PacketSizeMatrix())
    return make_union(
        SessionFeatures(features="extended"),
        PacketSizeMatrix(),
        PacketSequences(20, fields=("signed_size", "iat", "signed_payload_size")),
        ByteTokens(n_bytes=64, n_packets=4, start="payload"),
    )


def on_sessions(name, data, settings, seed, leaks=()):
    """Unfitted classifier of session tables, and a grid to search where it has one.

    A name is one of `ON_SESSIONS`, one that `make_estimator` knows, or the path of a class, such as
    "sktraffic.neural_network.PacketSequenceClassifier", which is made with its defaults. `leaks`
    are columns that a model of features is given as they are.
    """
    first = SessionStatistics() if name in NINE else everything(data, settings)
    features = make_pipeline(first, VarianceThreshold())
    if len(leaks):
        features = make_union(features, make_column_transformer(("passthrough", list(leaks))))
    trees, grid = settings["trees"], {}
    if name == NINE[0]:
        model = DummyClassifier()
    elif name == NINE[1]:
        model = make_pipeline(signed_log(), StandardScaler(), KNeighborsClassifier(1))
    elif name == NINE[3]:
        model = HistGradientBoostingClassifier(random_state=seed, early_stopping=True, max_iter=60)
    elif name in (NINE[2], ALL_FEATURES):
        model = RandomForestClassifier(trees, random_state=seed, n_jobs=settings.get("jobs"))
        if name == ALL_FEATURES:
            grid = {"max_features": ["sqrt", 0.2], "class_weight": [None, "balanced_subsample"]}
            grid["n_estimators"] = [settings["search_trees"]]
            grid = {f"randomforestclassifier__{key}": values for key, values in grid.items()}
    elif name == LIGHTGBM:
        # imported here: the other models do not need it
        from lightgbm import LGBMClassifier

        model = LGBMClassifier(
            n_estimators=settings["lightgbm_rounds"], learning_rate=0.1, colsample_bytree=0.3,
            subsample=0.8, subsample_freq=1, random_state=seed, n_jobs=1, verbose=-1,
        )  # fmt: skip
        grid = {"num_leaves": [15, 31], "min_child_samples": [5, 20]}
        grid = {f"lgbmclassifier__{key}": values for key, values in grid.items()}
    elif name == SEQUENCES:
        both = ("sequences__sizes__n_packets", "sequences__intervals__n_packets")
        values = {
            "clf__n_neighbors": [1, 3, 5],
            # bytes that are as far as a second
            "sequences__transformer_weights": [{"intervals": bytes_} for bytes_ in (0, 10, 100)],
        }
        return make_estimator("knn"), [
            values | {key: [n] for key in both} for n in settings["packets"]
        ]
    elif "." in name:
        module, _, cls = name.rpartition(".")
        return getattr(importlib.import_module(module), cls)(random_state=seed), {}
    else:
        changes = settings.get(name, {})
        return make_estimator(name, random_state=seed).set_params(**changes), {}
    return make_pipeline(features, model), grid


def signed_log():
    """Make the step x -> sign(x) log(1 + |x|): sizes and times span decades."""
    return FunctionTransformer(_signed_log)


def _signed_log(x):
    return np.sign(x) * np.log1p(np.abs(x))
