"""Training in pieces for pipelines, which scikit-learn's own Pipeline leaves out."""


def can_partial_fit(estimator):
    """Say whether an estimator, or the last step of a Pipeline, learns in pieces."""
    return hasattr(_steps(estimator)[-1][1], "partial_fit")


def partial_fit(estimator, X, y, classes, first):
    """Teach an estimator, or a Pipeline, some more rows.

    A step of a Pipeline that has `partial_fit` (StandardScaler, say) goes on learning; another one
    learns from the rows of the first call and stays as it is.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Changed in place.
    X, y : the rows and their labels
    classes : ndarray
        All labels that will ever come.
    first : bool
        Whether nothing has been learned yet.

    Raises
    ------
    TypeError
        If a step resamples: over-sampling needs all rows of a class at once.
    """
    *before, (_, last) = _steps(estimator)
    for name, step in before:
        if step is None or step == "passthrough":
            continue
        if hasattr(step, "fit_resample"):
            raise TypeError(
                f"Step {name!r} ({type(step).__name__}) resamples, which needs all rows at once; "
                "partial_fit cannot. Leave the step out, or call fit."
            )
        if hasattr(step, "partial_fit"):
            step.partial_fit(X)
        elif first:
            step.fit(X, y)
        X = step.transform(X)
    last.partial_fit(X, y, **({"classes": classes} if first else {}))


def _steps(estimator):
    return list(getattr(estimator, "steps", [(None, estimator)]))
