"""Pipelines on session tables, by name."""

from sktraffic.pipeline._defaults import default_estimator

MODELS = ("forest", "best", "sequences", "knn", "mlp", "transformer", "bert")


def make_estimator(model="forest", random_state=0):
    """Make a pipeline for session tables that needs no tuning to begin with.

    Parameters
    ----------
    model : {"forest", "best", "sequences", "knn", "mlp", "transformer", "bert"}, default="forest"
        ``"forest"`` is :func:`default_estimator`. ``"best"`` is a
        :class:`~sktraffic.ensemble.SelectionEnsemble` of a forest, extremely randomised trees and
        gradient boosting, on statistics, frequent packet sizes and the first packets, on messages
        and (not the extremely randomised trees) payload bytes where the table has them, and of
        ``"sequences"``, :class:`~sktraffic.neural_network.PacketSequenceClassifier`; three fits
        of each, none of which sees all captures, so that a fit takes minutes where a forest takes
        seconds.
        ``"knn"`` is the baseline that a network has to
        beat: the nearest training sessions by the sizes, directions and intervals of the first
        packets (arXiv 2506.08655). ``"mlp"`` and ``"transformer"`` are networks on standardised
        statistics and messages, with the focal loss and the over-sampling of Qi et al. (2025):
        perceptrons on the bins of all features, and the paper's transformers on the best features
        of each class only.
        ``"bert"`` is BiGRU-DA-BERT on the first bytes, small enough to train from nothing on a CPU:
        the paper's sizes are the defaults of
        :class:`~sktraffic.neural_network.BiGRUDABert` itself.
    random_state : int, default=0
        ``"knn"`` has nothing random.

    Returns
    -------
    sklearn.pipeline.Pipeline, SelectionEnsemble or PacketSequenceClassifier
        Unfitted; the last step of a Pipeline is ``clf``.

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> from sktraffic.pipeline import CaptureClassifier, make_estimator
    >>> list(make_estimator("mlp").named_steps)
    ['features', 'impute', 'scale', 'clf']
    >>> clf = CaptureClassifier(make_estimator("mlp")).set_params(estimator__clf__gamma=1.0)
    """
    if model == "forest":
        return default_estimator().set_params(clf__random_state=random_state)
    if model == "best":
        return _ensemble(random_state)
    if model == "sequences":
        return _sequences(random_state)
    if model == "knn":
        return _neighbours_pipeline()
    if model == "bert":
        return _bytes_pipeline(random_state)
    if model not in MODELS:
        raise ValueError(f"model is {model!r}; it must be one of {', '.join(MODELS)}.")
    return _feature_pipeline(model, random_state)


def _sequences(random_state):
    from sktraffic.neural_network import PacketSequenceClassifier  # torch

    return PacketSequenceClassifier(random_state=random_state)


def _ensemble(random_state):
    """Three fits of each member, on two thirds of the captures, averaged."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    from sktraffic.ensemble import SelectionEnsemble
    from sktraffic.feature_selection import ForestSelector
    from sktraffic.pipeline._features import KnownFeatures

    def on_features(clf, *between, n_bytes=64):
        impute = SimpleImputer(strategy="median", keep_empty_features=True)
        first = [("features", KnownFeatures(n_bytes=n_bytes)), ("impute", impute)]
        return Pipeline([*first, *between, ("clf", clf)])

    seed = {"random_state": random_state}
    # without l2_regularization the leaves of small classes grow without bound
    boosting = HistGradientBoostingClassifier(
        max_iter=100, max_features=0.3, l2_regularization=1.0, early_stopping=False, **seed
    )
    # its time grows with the columns, of which forests bear any number
    select = ("select", ForestSelector(4, n_estimators=30, **seed))
    # payload bytes say much of devices and mislead where captures are few: one member has none
    extra_trees = ExtraTreesClassifier(100, max_features=0.3, **seed)
    members = [
        ("forest", on_features(RandomForestClassifier(100, max_features=0.1, **seed))),
        ("extra_trees", on_features(extra_trees, n_bytes=None)),
        ("boosting", on_features(boosting, select)),
        ("sequences", _sequences(random_state)),
    ]
    return SelectionEnsemble(members, cv=3, refit=False)


def _feature_pipeline(model, random_state):
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    from sktraffic.feature_extraction import SessionFeatures
    from sktraffic.feature_selection import ForestSelector
    from sktraffic.neural_network import MLPClassifier, TransformerEnsemble  # torch
    from sktraffic.over_sampling import GuardedADASYN

    steps = [
        ("features", SessionFeatures(features="extended")),
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
    ]
    common = {"resampler": GuardedADASYN(), "random_state": random_state}
    if model == "mlp":
        clf = MLPClassifier(gamma=2.0, **common)
    else:
        select = ForestSelector(3, class_weight="balanced", random_state=random_state)
        steps.append(("select", select))
        clf = TransformerEnsemble(d_token=64, d_hidden=64, max_epochs=40, patience=8, **common)
    return Pipeline([*steps, ("scale", StandardScaler()), ("clf", clf)])


def _neighbours_pipeline():
    """Neighbours in city-block distance, a second as far as ten bytes.

    The settings are those that are best, or nearly so, on the training captures of two quite
    different sets, IoT devices and Android apps (inner splits by capture; docs/results.md).
    """
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import FeatureUnion, Pipeline

    from sktraffic.feature_extraction import PacketSequences

    sequences = FeatureUnion(
        [
            ("sizes", PacketSequences(8, fields=["signed_size"])),
            ("intervals", PacketSequences(8, fields=["iat"])),
        ],
        transformer_weights={"sizes": 1.0, "intervals": 10.0},
        verbose_feature_names_out=False,
    )
    clf = KNeighborsClassifier(3, weights="distance", metric="manhattan")
    return Pipeline([("sequences", sequences), ("clf", clf)])


def _bytes_pipeline(random_state):
    from sklearn.pipeline import Pipeline

    from sktraffic.feature_extraction import ByteTokens
    from sktraffic.neural_network import BiGRUDABert  # torch

    tokens = ByteTokens(n_bytes=31, n_packets=4, start="ip")
    clf = BiGRUDABert(
        hidden_size=64,
        n_layers=2,
        n_heads=4,
        gru_hidden_size=64,
        lr=1e-3,
        max_epochs=15,
        class_weight="balanced",
        random_state=random_state,
    )
    return Pipeline([("tokens", tokens), ("clf", clf)])
