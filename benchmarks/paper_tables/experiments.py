"""The experiments: which data sets, splits and models, with which settings at each scale."""

from paper_tables import byte_measures, measures, models, sequence_measures
from paper_tables.runner import SCALES, Experiment
from paper_tables.session_measures import TRUTH, drift, learning, predictions, transfer

SETS = ["stand-in", "bundled", "iot"]

# -- Qi et al. ----------------------------------------------------------------------------------

CLUSTERED = [
    [data, features, log]
    for data in SETS
    for features, log in (("basic", False), ("basic", True), ("all", True))
    if (data, features) != ("stand-in", "all")  # flow tables hold no messages
]
CLUSTERINGS = {"cap": 1000, "max_samples": 10_000, "sets": CLUSTERED}
FEW_DEVICES = {"devices": 2, "captures": 3, "sets": ["stand-in", "iot"]}
MLP = {"hidden_sizes": [256, 512, 256], "dropout": 0.3, "lr": 0.005, "validation_fraction": 0.2}
SMALL_MLP = MLP | {"cap": 40, "hidden_sizes": [16, 16]}
BATCHES = [[128, 50], [256, 50], [512, 50], [1024, 50], [2048, 50], [4096, 50], [4096, 100]]
ACTIVATIONS = [
    *((name, "masked") for name in ("tanh", "relu", "leaky_relu", "elu", "gelu")),
    *(("relu", "unmasked"), ("forest", "masked"), ("forest", "unmasked")),
]
TWO_SETS = {"sets": ["stand-in", "bundled"]}
TINY = {"sizes": models.TINY, "sets": ["stand-in"]}
BRIEF = models.FULL | {"mlp": {"max_epochs": 1}, "transformer": {"max_epochs": 1}}
LADDER_SPLITS = [
    *(("masked", split) for split in ("naive", "honest", "leaky")),
    *(("unmasked", split) for split in ("naive", "honest")),
]


def sparse_cells(settings, _):
    """List a ladder for each split and view, then the searches."""
    for data in settings["sets"]:
        for columns, split in LADDER_SPLITS:
            yield {"part": "ladder", "data": data, "columns": columns, "split": split}
    for data in settings["sets"]:
        for family in ("ensemble", "MLP", "random forest", "boosting"):
            cell = {"part": "search", "data": data, "family": family}
            most = settings.get("search_seeds")
            yield cell | ({"most_seeds": most} if most else {})


def noise_cells(settings, _):
    """List the three kinds of split; few seeds where settings say so."""
    most = {"most_seeds": settings["most_seeds"]} if "most_seeds" in settings else {}
    for data in settings["sets"]:
        for columns, split in LADDER_SPLITS:
            if split != "leaky" and (columns, split) != ("unmasked", "honest"):
                yield {"data": data, "columns": columns, "split": split} | most


# -- Liang et al. -------------------------------------------------------------------------------

SMALL_BERT = {"hidden_size": 64, "n_layers": 2, "n_heads": 4}
TINY_BERT = {"hidden_size": 8, "n_layers": 1, "n_heads": 2}
PAPER_BERT = {"hidden_size": 768, "n_layers": 12, "n_heads": 8, "precision": "bfloat16"}


def on_bytes(n_bytes, bert, train, baselines, trees, boosting, every, sessions, pretrain):
    """Give the settings of models of bytes; the paper's 128 positions hold two packets."""
    size = {"n_bytes": n_bytes, "n_packets": 2}
    corpus = {"every_capture": every, "sessions": sessions}
    return size | {
        "bert": bert,
        "train": train,
        "baselines": baselines,
        "trees": trees,
        "boosting": boosting,
        "pretraining": size | corpus | {"bert": bert, "pretrain": pretrain},
    }


def epochs(n, batch_size, **more):
    """Training settings of a network."""
    return more | {"max_epochs": n, "batch_size": batch_size}


BYTES = {
    "tiny": on_bytes(
        12, TINY_BERT, epochs(1, 64, gru_hidden_size=8, lr=5e-3), epochs(1, 64), 10, 2,
        60, 200, epochs(1, 64, lr=5e-3),
    ),
    "cpu": on_bytes(
        48, SMALL_BERT, epochs(8, 64, gru_hidden_size=64, lr=2e-3), epochs(25, 64), 200, 60,
        1, 8000, epochs(6, 64, lr=2e-3),
    ),
    "gpu": on_bytes(
        63, PAPER_BERT, epochs(50, 32, gru_hidden_size=768, lr=2e-5), epochs(300, 256), 300, 200,
        1, 100_000, epochs(20, 128, lr=1e-4),
    ),
}  # fmt: skip
# shares of all sessions; at scale cpu about 2,600 of either set
SHARES = {
    "tiny": {"USTC": 0.03, "ISCX": 0.03},
    "cpu": {"USTC": 0.3, "ISCX": 0.13},
    "gpu": {"USTC": 1.0, "ISCX": 1.0},
}
CANDIDATES = {"tiny": 2, "cpu": 4, "gpu": 24}
# sessions a class -> rows that the network sees in a whole training, repeats included
PASSES = {
    "tiny": {"2": 100, "all": 100},
    "cpu": {"10": 6000, "50": 7500, "200": 9000, "all": 9000},
    "gpu": {"10": 60_000, "50": 120_000, "200": 240_000, "all": 480_000},
}


def without(scale, *names):
    """Give the settings of models of bytes without those that an experiment does not use."""
    return {key: value for key, value in BYTES[scale].items() if key not in names}


def contenders(data, names):
    """Models on both inputs and splits, ablations on two of the four places.

    The two are the one where nothing leaks, which comes first in case that the time does not
    suffice for all, and the one that the paper most likely used.
    """
    places = [(masked, split) for masked in (True, False) for split in ("time", "random")]
    cells = [
        {"data": data, "model": name, "masked": masked, "split": split}
        for name in names
        for masked, split in places
        if not (name in list(models.VARIANTS)[1:] and masked != (split == "time"))
        and not (name == models.RAW_BYTES and masked)
    ]
    return sorted(cells, key=lambda cell: (cell["masked"], cell["split"]) != (True, "time"))


def bytes_of(data):
    """Make the experiment of Liang et al.'s models on one of its data sets."""
    return Experiment(
        f"b-{data.lower()}",
        {scale: {"share": SHARES[scale][data]} | BYTES[scale] for scale in BYTES},
        lambda settings, names: contenders(data, names),
        byte_measures.scores,
        (*models.VARIANTS, *models.NETWORKS, *models.SIMPLE, models.RAW_BYTES),
    )


# -- session tables: honest groups --------------------------------------------------------------

GROUPS = {
    "inner_splits": 3, "trees": 100, "search_trees": 30,
    "lightgbm_rounds": 150, "packets": [6, 8, 10],
}  # fmt: skip
TINY_GROUPS = {
    "n_splits": 2, "inner_splits": 2, "trees": 10, "search_trees": 5,
    "lightgbm_rounds": 3, "packets": [8],
    "sequences": {"max_epochs": 1, "n_channels": 8},
    "best": {
        "cv": 2, "forest__clf__n_estimators": 5, "extra_trees__clf__n_estimators": 5,
        "boosting__clf__max_iter": 3, "sequences__max_epochs": 1, "sequences__n_channels": 8,
    },
}  # fmt: skip
IOT = GROUPS | {"n_splits": 3, "folds": 1, "devices": None, "runs": None}
BUNDLED = GROUPS | {"n_splits": 3, "folds": 1}
ANDROID = GROUPS | {"n_splits": 5, "folds": 1, "apps": None, "traces": None}


SEQUENCES = {
    scale: {"n_splits": 5, "apps": None, "traces": None, "devices": None, "runs": None}
    | {"network": {}, "trees": 100}
    for scale in SCALES
}
SEQUENCES["tiny"] |= {"n_splits": 2, "apps": 3, "traces": 8, "devices": 2, "runs": 2, "trees": 5}
SEQUENCES["tiny"]["network"] = {"max_epochs": 1, "n_channels": 8, "n_blocks": 1}
RUNS = {"shares": [0.25, 0.5, 0.75, 1]}
# labels a class -> epochs
LABELS = {"5": 60, "10": 60, "50": 30, "all": 16}
LABELS = {"tiny": {"5": 1, "all": 1}, "cpu": LABELS, "gpu": LABELS}
LATER = {"blocks": 4, "train_share": 0.4}


def group_cells(data, elsewhere=True):
    """Return the cells: all models on unseen groups, those of `ON_SESSIONS` elsewhere too.

    Elsewhere is a random split, and columns that name hosts and moments; one seed each.
    """

    def cells(settings, names):
        features = [name for name in names if name.endswith("features")]
        # the peer is named where it has results, whether or not it is installed
        own = [name for name in names if name in (*models.ON_SESSIONS, models.LIGHTGBM)]
        places = {
            ("grouped", "masked"): [TRUTH, *names],
            ("random", "masked"): [TRUTH, *own],
            ("grouped", "unmasked"): features,
            ("random", "unmasked"): features,
        }
        for fold in range(settings["folds"]):
            for (split, view), chosen in list(places.items())[: None if elsewhere else 1]:
                most = {} if (split, view) == ("grouped", "masked") else {"most_seeds": 1}
                for name in chosen:
                    cell = {"data": data, "model": name, "split": split, "view": view}
                    yield cell | {"fold": fold} | most

    return cells


EXPERIMENTS = [
    Experiment(
        "a2-clusterings",
        {
            "tiny": {
                "cap": 25, "devices": 2, "captures": 2, "max_samples": 500,
                "sets": [["stand-in", "basic", False], ["iot", "basic", True]],
            },
            "cpu": CLUSTERINGS,
            "gpu": CLUSTERINGS | {"cap": None, "max_samples": 20_000},
        },
        lambda settings, _: [
            {"data": data, "features": features, "log": log}
            for data, features, log in settings["sets"]
        ],
        measures.clusterings,
    ),
    Experiment(
        "a-features",
        {
            "tiny": {"cap": 30, "trees": 5, "repeats": 2} | FEW_DEVICES,
            "cpu": {"cap": 500, "sets": SETS, "trees": 100, "repeats": 5},
            "gpu": {"cap": None, "sets": SETS, "trees": 100, "repeats": 20},
        },
        lambda settings, _: [{"data": data} for data in settings["sets"]],
        measures.contributions,
    ),
    Experiment(
        "a3-batch-size",
        {
            "tiny": SMALL_MLP | {"runs": [[32, 2], [64, 2], [64, 4]]},
            "cpu": MLP | {"cap": 600, "runs": BATCHES},
            "gpu": MLP | {"cap": None, "runs": BATCHES},
        },
        lambda settings, _: [{"batch_size": b, "epochs": n} for b, n in settings["runs"]],
        measures.learning_curve,
    ),
    Experiment(
        "a4-activations",
        {
            "tiny": SMALL_MLP | {"batch_size": 64, "epochs": 3},
            "cpu": MLP | {"cap": 600, "batch_size": 4096, "epochs": 50},
            "gpu": MLP | {"cap": None, "batch_size": 4096, "epochs": 50},
        },
        lambda *_: [{"activation": name, "columns": columns} for name, columns in ACTIVATIONS],
        measures.learning_curve,
    ),
    Experiment(
        "a6-adasyn",
        {
            "tiny": {"caps": [60]} | FEW_DEVICES,
            # with at most 500 a class, some classes are nearly as large as the largest
            "cpu": {"caps": [None, 500], "sets": SETS},
            "gpu": {"caps": [None, 500], "sets": SETS},
        },
        lambda settings, _: [
            {"data": data, "cap": cap, "most_seeds": 1}  # counts hardly depend on the seed
            for data in settings["sets"]
            for cap in (settings["caps"] if data == "stand-in" else [None])
        ],
        measures.over_sampling,
    ),
    Experiment(
        "a-sparse",
        {
            "tiny": {"cap": 40, "candidates": 2, "inner_folds": 1} | TINY,
            "cpu": {"cap": 500, "sizes": models.LONGER, "candidates": 6, "inner_folds": 2,
                    "search_seeds": 1} | TWO_SETS,
            "gpu": {"cap": None, "sizes": models.FULL, "candidates": 30, "inner_folds": 3}
            | TWO_SETS,
        },
        sparse_cells,
        measures.sparse_traffic,
    ),
    Experiment(
        "a-noise",
        {
            "tiny": {"cap": 40, "repeats": 1} | TINY,
            "cpu": {"cap": 500, "sizes": models.LONGER, "repeats": 3, "most_seeds": 1} | TWO_SETS,
            "gpu": {"cap": None, "sizes": models.FULL, "repeats": 5} | TWO_SETS,
        },
        noise_cells,
        measures.noise,
    ),
    Experiment(
        "a-latency",
        {
            "tiny": {"cap": 30, "sizes": models.TINY, "batches": [1, 10], "calls": 5},
            # the paper's sizes; one epoch, as the time of an answer does not depend on the weights
            "cpu": {"cap": 500, "sizes": BRIEF, "batches": [1, 10, 100, 1000], "calls": 200},
            "gpu": {"cap": None, "sizes": BRIEF, "batches": [1, 10, 100, 1000], "calls": 1000},
        },
        lambda *_: [{"data": "stand-in", "most_seeds": 1}],  # times are taken alone
        measures.latency,
    ),
    bytes_of("USTC"),
    bytes_of("ISCX"),
    Experiment(
        "b-search",
        {
            scale: without(scale, "baselines") | {"candidates": n, "share": SHARES[scale]}
            for scale, n in CANDIDATES.items()
        },
        lambda _, names: [
            {"data": data, "family": family} for family in names for data in ("USTC", "ISCX")
        ],
        byte_measures.search,
        tuple(models.SPACES),
    ),
    Experiment(
        "x-pretraining",
        {scale: given["pretraining"] for scale, given in BYTES.items()},
        lambda *_: [{"masked": masked, "most_seeds": 1} for masked in (True, False)],
        byte_measures.pretraining,
    ),
    Experiment(
        "x-few-labels",
        {
            scale: {
                "labels": labels,
                "share": 0.05 if scale == "tiny" else 1.0,
                "test_rows": 2000 if scale == "cpu" else None,
            }
            | without(scale, "baselines", "boosting")
            for scale, labels in PASSES.items()
        },
        lambda settings, names: [
            {"data": data, "labels": labels, "start": start}
            for data in ("USTC", "ISCX")
            for labels in reversed(settings["labels"])
            for start in names
        ],
        byte_measures.few_labels,
        (*byte_measures.STARTS, models.FOREST),
    ),
    Experiment(
        "g-iot-devices",
        {
            "tiny": IOT | TINY_GROUPS | {"folds": 2, "devices": 3, "runs": 4},
            "cpu": IOT,
            "gpu": IOT | {"n_splits": 5, "folds": 5, "trees": 300, "jobs": -1},
        },
        group_cells("iot"),
        predictions,
        models.ON_SESSIONS,
    ),
    Experiment(
        "g-android-apps",
        {
            "tiny": ANDROID | TINY_GROUPS | {"apps": 3, "traces": 8},
            "cpu": ANDROID,
            "gpu": ANDROID | {"folds": 5, "trees": 300, "jobs": -1},
        },
        group_cells("android", elsewhere=False),
        predictions,
        models.ON_SESSIONS,
    ),
    Experiment(
        "g-bundled-captures",
        {
            "tiny": BUNDLED | TINY_GROUPS,
            "cpu": BUNDLED,
            "gpu": BUNDLED | {"folds": 3, "trees": 300, "jobs": -1},
        },
        group_cells("bundled", elsewhere=False),
        predictions,
        models.ON_SESSIONS,
    ),
    Experiment(
        "x-learning-curve",
        {
            "tiny": IOT | TINY_GROUPS | {"devices": 3, "runs": 4, "shares": [0.5, 1]},
            "cpu": IOT | RUNS,
            "gpu": IOT | RUNS | {"trees": 300, "jobs": -1},
        },
        lambda *_: [{"model": models.ALL_FEATURES}],
        learning,
    ),
    Experiment(
        "x-early",
        {
            "tiny": SEQUENCES["tiny"] | {"packets": [3, 10], "alone": [3]},
            "cpu": SEQUENCES["cpu"] | {"packets": [3, 5, 10, 20, 30], "alone": [3, 5, 10]},
            "gpu": SEQUENCES["gpu"] | {"packets": [3, 5, 10, 20, 30], "alone": [3, 5, 10, 20]},
        },
        lambda settings, _: [
            {"model": model}
            for model in (sequence_measures.CUTS, sequence_measures.WHOLE, *settings["alone"])
        ],
        sequence_measures.early,
    ),
    Experiment(
        "x-sequence-labels",
        {scale: SEQUENCES[scale] | {"labels": LABELS[scale]} for scale in SCALES},
        lambda *_: [{"data": data} for data in ("Android", "ISCX")],
        sequence_measures.few_labels,
    ),
    Experiment(
        "x-drift",
        {
            "tiny": ANDROID | TINY_GROUPS | LATER | {"apps": 3, "traces": 8},
            "cpu": ANDROID | LATER,
            "gpu": ANDROID | LATER | {"trees": 300},
        },
        lambda _, names: [{"model": name} for name in names],
        drift,
        (models.SEQUENCES, models.NINE[2], models.ALL_FEATURES),
    ),
    Experiment(
        "x-other-network",
        {
            "tiny": GROUPS | TINY_GROUPS | {"folds": 2},
            "cpu": GROUPS | {"folds": 3},
            "gpu": GROUPS | {"folds": 3, "trees": 300},
        },
        lambda _, names: [{"model": name} for name in names],
        transfer,
        (models.SEQUENCES, models.NINE[2], models.ALL_FEATURES),
    ),
]  # fmt: skip
