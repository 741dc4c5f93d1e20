"""Writing a model file."""

import json
import warnings
import zipfile
from io import BytesIO

from sklearn.utils.validation import check_is_fitted

from sktraffic.persistence._archive import write_archive
from sktraffic.persistence._card import check_told, render
from sktraffic.persistence._errors import ModelFileError, UntrustedTypeError
from sktraffic.persistence._portable import portable
from sktraffic.persistence._provenance import describe


def save(estimator, path, *, X=None, y=None, scores=None, extractor=None, card=None, trusted=()):
    """Write a fitted estimator to a file that is safe to load.

    The file is a zip archive: arrays as ``.npy``, the structure and the parameters as JSON (skops'
    format), and the model's provenance. It holds no pickle and no code. Weights of neural networks
    are arrays, so a file loads on a machine without the GPU that they were trained on. Fitted
    samplers, which nothing needs for prediction, are stored unfitted.

    Parameters
    ----------
    estimator : estimator
        Fitted; of this package, scikit-learn or imbalanced-learn, Pipelines and searches included.
    path : path-like
        Replaced when the new file is whole.
    X, y : training data, default=None
        Only their hash and class counts are stored. A `CaptureClassifier` knows its own.
    scores : dict of str to float or Interval, default=None
        What the model reached, and where: ``{"f1_macro, 5 captures out": 0.93}``; with its
        interval as :func:`sktraffic.metrics.bootstrap_interval` gives it.
    extractor : SessionExtractor, default=None
        How the sessions of `X` were extracted. A `CaptureClassifier` knows its own.
    card : dict of str to str, default=None
        What the model card says besides what is known anyway, in Markdown: ``"intended_use"``,
        ``"limitations"``, ``"split"`` (how the scored data were kept apart) and ``"shortcuts"`` (a
        text, or a :class:`sktraffic.inspection.ShortcutReport`). The card says so where one is
        not told.
    trusted : sequence of str, type or function, default=()
        Classes and functions of your own that may be in the file besides those that always may:
        themselves or their names, ``"mypackage.transformers.MyTransformer"``. `load` must be
        told of them again.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If `card` has a section that no card has.
    UntrustedTypeError
        If it holds a type that `load` would refuse and `trusted` does not name: a function, an
        estimator of another package.
    ModelFileError
        If it holds something that no file can: a method, a partial function, an open file.
    OSError
        If the file cannot be written; what was there is as it was.

    See Also
    --------
    load : Reads the file.
    read_provenance : Says what a file holds.

    Examples
    --------
    >>> import tempfile, os
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sktraffic.persistence import load, save
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["web", "web", "vpn", "vpn"]
    >>> forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "forest.skt")
    ...     save(forest, path, X=X, y=y, scores={"accuracy": 1.0})
    ...     load(path).predict([[3.0]])
    array(['vpn'], dtype='<U3')
    """
    check_is_fitted(estimator)
    told = check_told(card)
    # late: skops imports every module of scikit-learn, and with them torch where it is installed
    from skops.io import dumps

    from sktraffic.persistence._trust import audit, type_names

    admitted = type_names(trusted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            payload = dumps(portable(estimator))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{type(estimator).__name__} cannot be saved: {error} Only data, parameters and "
            "estimators can; replace functions and objects of your own among the parameters."
        ) from error
    with zipfile.ZipFile(BytesIO(payload)) as archive:
        schema = json.loads(archive.read("schema.json"))
    names, foreign = audit(schema, admitted)
    if foreign:
        raise UntrustedTypeError(
            *foreign,
            source=type(estimator).__name__,
            remedy="A file with them cannot be loaded without trusting them. Replace them by "
            "estimators of sktraffic, scikit-learn or imbalanced-learn, or name those that you "
            f"know: save(..., trusted={sorted(foreign)[:1]}).",
        )
    note = describe(estimator, X, y, scores, extractor)
    note["trusted"] = sorted(admitted & names)
    write_archive(path, payload, {**note, "card": render(note, told, repr(estimator))})
