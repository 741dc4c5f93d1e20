"""What a CaptureClassifier uses where nothing is said."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from sktraffic.feature_extraction import SessionFeatures
from sktraffic.pipeline._features import side_by_side


def default_estimator():
    """Return the Pipeline that stands in for ``CaptureClassifier(estimator=None)``.

    Extended session statistics and the protocol matrix, how often each frequent packet size occurs,
    signed sizes and intervals of the first 30 packets; missing values filled with medians, and a
    random forest whose class weights are balanced in every tree. Ports, addresses and payload bytes
    are not among the features. It needs no GPU and no scaling, and trains in seconds.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``features``, ``impute`` and ``clf``, unfitted; the forest has ``random_state=0``.

    Examples
    --------
    >>> from sktraffic.pipeline import default_estimator
    >>> list(default_estimator().named_steps)
    ['features', 'impute', 'clf']
    """
    forest = RandomForestClassifier(
        n_estimators=200,
        min_samples_leaf=2,
        class_weight="balanced_subsample",
        random_state=0,
    )
    return Pipeline(
        [
            ("features", side_by_side(SessionFeatures("extended"))),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("clf", forest),
        ]
    )
