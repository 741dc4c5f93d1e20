"""Checks of a loaded model: what it would index memory by, and what other versions lack."""

import numpy as np
from sklearn.base import BaseEstimator

from sktraffic._compat import Tree


def trees_are_sound(model):
    """Say whether no decision tree inside a model points outside of itself.

    scikit-learn follows the children and feature numbers of a tree without looking, so a crafted
    tree could read foreign memory or walk in circles.
    """
    return all(
        sound(tree, getattr(owner, "n_features_in_", tree.n_features))
        for owner, tree in _reachable(model)
        if isinstance(tree, Tree)
    )


def sound(tree, n_features):
    """Say whether every child lies behind its parent, and every feature exists.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree
    n_features : int
        Columns that the estimator will be given.
    """
    nodes = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    leaf = left == -1
    inside = (left > nodes) & (right > nodes)
    inside &= (left < tree.node_count) & (right < tree.node_count)
    inside &= (feature >= 0) & (feature < min(tree.n_features, n_features))
    values = tree.value.shape[0] == tree.node_count
    return bool(tree.node_count and values and (leaf | inside).all())


def lacking_parameters(model, packages):
    """Return the parameters that estimators inside a model do not hold, by class name.

    A release of scikit-learn may add a parameter or drop one; an estimator that was saved with
    another release then lacks it, and fails only when it is used.

    Parameters
    ----------
    model : object
    packages : sequence of str
        Top-level packages whose estimators are looked at.

    Returns
    -------
    dict of str to list of str
    """
    lacking = {}
    for _, value in _reachable(model):
        kind = type(value)
        if isinstance(value, BaseEstimator) and kind.__module__.partition(".")[0] in packages:
            names = [name for name in kind._get_param_names() if not hasattr(value, name)]
            if names:
                lacking[kind.__name__] = names
    return lacking


def _reachable(model):
    """Yield (owner, value) for all that is reached through attributes and containers."""
    seen, waiting = set(), [(None, model)]
    while waiting:
        owner, value = waiting.pop()
        if isinstance(value, Tree):  # once for each owner: each has columns of its own
            yield owner, value
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield owner, value
        if isinstance(value, dict):
            inside = value.values()
        elif isinstance(value, list | tuple | set):
            inside = value
        elif isinstance(value, np.ndarray):
            inside = value.ravel() if value.dtype == object else ()
        elif hasattr(value, "__dict__") and not isinstance(value, type):
            owner, inside = value, vars(value).values()
        else:
            continue
        waiting.extend((owner, part) for part in inside)
