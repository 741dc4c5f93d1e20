"""The validation cut, resampling and class weights: pure functions over arrays.

The order matters. The validation part is cut from real rows first; a sampler then sees the
training part only, so that early stopping never watches synthetic neighbours of training rows.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from sktraffic.neural_network._runtime import derive_seed
from sktraffic.nn import balanced_alpha


def validation_cut(target, fraction, seed, groups=None):
    """Choose the rows of a training and a validation part: sorted indices into target (n,).

    ``fraction`` is the wanted share of the validation part; rows of one group stay on one side.
    Every class is in the training part. A class that has too few rows or groups for the validation
    part is warned of; a part that would be empty is a ValueError.
    """
    if groups is None:
        valid = _stratified(target, fraction, np.random.default_rng(seed))
        remedy = "no class has two samples"
    else:
        valid = _stratified_groups(target, fraction, seed, np.asarray(groups))
        remedy = "no group can be spared without losing a class"
    if not valid.any():
        raise ValueError(
            f"The validation cut of {len(target)} samples is empty: {remedy}. Pass "
            "early_stopping=False to train on all of them."
        )
    missing = np.setdiff1d(target, target[valid])
    if missing.size:
        warnings.warn(
            f"{missing.size} of {np.unique(target).size} classes have too few samples or groups "
            "for the validation part and are trained on without being watched; early stopping "
            "sees the other classes only.",
            UserWarning,
            stacklevel=2,
        )
    return np.flatnonzero(~valid), np.flatnonzero(valid)


def _stratified(target, fraction, rng):
    """Mask of the validation rows: the same share of each class, at least one of two or more."""
    valid = np.zeros(len(target), dtype=bool)
    for label in np.unique(target):
        rows = rng.permutation(np.flatnonzero(target == label))
        count = min(max(1, int(fraction * rows.size + 0.5)), rows.size - 1)
        valid[rows[:count]] = True
    return valid


def _stratified_groups(target, fraction, seed, groups):
    """Mask of the validation rows, whole groups; of all folds that with the best class shares."""
    _, groups = np.unique(groups, return_inverse=True)
    n_groups = groups.max() + 1
    best, best_cost = np.zeros(len(target), dtype=bool), np.inf
    n_splits = min(max(2, round(1 / fraction)), n_groups)
    if n_groups < 2:
        return best
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed % 2**32)
    n_classes = target.max() + 1
    wanted = fraction * np.bincount(target, minlength=n_classes)
    with warnings.catch_warnings():
        # its "least populated class" warning is about n_splits, which is ours
        warnings.simplefilter("ignore", UserWarning)
        folds = list(splitter.split(target, target, groups))
    for train, valid in folds:
        if np.bincount(target[train], minlength=n_classes).min() == 0:
            continue  # a class must not leave the training part
        counts = np.bincount(target[valid], minlength=n_classes)
        cost = np.abs(counts - wanted).sum() + len(target) * (counts == 0).mean()
        if cost < best_cost:
            best = np.isin(np.arange(len(target)), valid)
            best_cost = cost
    return best


def resample(resampler, X, target, weight, seed, classes):
    """Apply a clone of an imbalanced-learn sampler, seeded, to the training part.

    The sampler sees labels, ``classes[target]``: those are what its ``sampling_strategy`` names.
    Returns X, target and weight of the new rows; weights follow where the sampler only picks rows.
    A class in place of a sampler is a TypeError; a sampler that fails, loses a class, changes the
    columns or makes rows that no sample weight belongs to, a ValueError.
    """
    if isinstance(resampler, type):
        raise TypeError(
            f"resampler is the class {resampler.__name__}, not a sampler. Pass an instance: "
            f"resampler={resampler.__name__}()."
        )
    sampler = seeded_clone(resampler, seed)
    drop_absent_labels(sampler, classes[np.unique(target)])
    name = type(resampler).__name__
    try:
        X_new, y_new = sampler.fit_resample(X, classes[target])
    except (ValueError, RuntimeError) as error:
        counts = np.bincount(target, minlength=len(classes)).tolist()
        raise ValueError(
            f"resampler {name} failed on the training part with the class counts "
            f"{dict(zip(classes.tolist(), counts, strict=True))}: "
            f"{error} Choose fewer neighbours or another sampler, or pass resampler=None."
        ) from error
    X_new, target_new = np.asarray(X_new), np.searchsorted(classes, np.asarray(y_new))
    lost = np.setdiff1d(target, target_new)
    if X_new.shape[1:] != X.shape[1:] or len(X_new) != len(target_new) or lost.size:
        raise ValueError(
            f"resampler {name} made X of shape {X_new.shape} with {len(target_new)} labels, "
            f"{lost.size} classes lost, from X of shape {X.shape}. It must keep the columns "
            "and all classes."
        )
    if weight is None:
        return X_new.astype(X.dtype, copy=False), target_new, None
    picked = getattr(sampler, "sample_indices_", None)
    if picked is None:
        raise ValueError(
            f"sample_weight cannot follow the synthetic rows of resampler {name}. Leave one of "
            "them out, or use a sampler that picks rows, such as RandomOverSampler."
        )
    return X_new.astype(X.dtype, copy=False), target_new, weight[picked]


def seeded_clone(estimator, seed):
    """Clone with every ``random_state`` parameter, nested ones too, set from the seed."""
    cloned = clone(estimator)
    names = [n for n in sorted(cloned.get_params()) if n.split("__")[-1] == "random_state"]
    cloned.set_params(**{n: derive_seed(seed, i) % 2**31 for i, n in enumerate(names)})
    return cloned


def drop_absent_labels(sampler, labels):
    """Take labels that the data lack, as a fold may, out of a sampler's strategies."""
    labels = set(labels.tolist())
    for name, value in sampler.get_params().items():
        if name.split("__")[-1] != "sampling_strategy":
            continue
        if isinstance(value, dict):
            sampler.set_params(**{name: {k: v for k, v in value.items() if k in labels}})
        elif isinstance(value, list):
            sampler.set_params(**{name: [k for k in value if k in labels]})


def training_weights(target, n_classes, class_weight, sample_weight):
    """Factor of each training row in the loss, of mean one; None where all are equal.

    ``class_weight`` is "balanced" or an array with one weight for each class.
    """
    if class_weight is None and sample_weight is None:
        return None
    weight = np.ones(len(target)) if sample_weight is None else np.asarray(sample_weight, float)
    if class_weight is not None:
        if isinstance(class_weight, str):
            class_weight = balanced_alpha(target, n_classes, sample_weight)
        weight = weight * np.asarray(class_weight)[target]
    return weight * (len(weight) / weight.sum())


def class_weight_array(class_weight, classes):
    """Parameter ``class_weight`` as "balanced", None or an array in the order of ``classes``.

    Labels that y lacks, as a fold may, are passed over, but one at least must be there.
    """
    if not isinstance(class_weight, dict):
        return class_weight
    labels = classes.tolist()
    if class_weight and not set(class_weight) & set(labels):
        raise ValueError(
            f"class_weight names the classes {list(class_weight)}, none of which is in y. The "
            f"classes are {labels}."
        )
    return np.array([class_weight.get(label, 1.0) for label in labels])
