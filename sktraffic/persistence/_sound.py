"""Checks of a loaded model: what it would index memory by, and what other versions lack."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from sktraffic._compat import BOOSTED_NODE, TREE_ENSEMBLES, Tree

HISTOGRAM_BOOSTING = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


def trees_are_sound(model):
    """Say whether no decision tree inside a model points outside of itself or of its input.

    scikit-learn follows the children and feature numbers of a tree without looking, so a crafted
    tree could read foreign memory or walk in circles. An ensemble checks its input once, for all
    of its trees: each must do with the columns of the ensemble.
    """
    return all(_is_sound(owner, value) for owner, value in _reachable(model))


def _is_sound(owner, value):
    """Say it of one tree, or of an ensemble's trees as the ensemble uses them."""
    if isinstance(value, Tree):
        return sound(value, getattr(owner, "n_features_in_", 0))
    n_features = getattr(value, "n_features_in_", 0)
    if isinstance(value, HISTOGRAM_BOOSTING) and hasattr(value, "_predictors"):
        trees = [tree for round_ in value._predictors for tree in round_]
        whole = getattr(value, "_preprocessor", None) is None  # nothing takes columns away
        return whole and all(boosted_tree_is_sound(tree, n_features) for tree in trees)
    if isinstance(value, TREE_ENSEMBLES) and hasattr(value, "estimators_"):
        members = np.ravel(np.asarray(value.estimators_, dtype=object))
        trees = [member.tree_ for member in members if hasattr(member, "tree_")]
        return all(sound(tree, n_features) for tree in trees)
    return True


def sound(tree, n_features):
    """Say whether every child lies behind its parent, and every feature is one of n_features."""
    nodes = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    leaf = left == -1
    inside = (left > nodes) & (right > nodes)
    inside &= (left < tree.node_count) & (right < tree.node_count)
    inside &= (feature >= 0) & (feature < min(tree.n_features, n_features))
    values = tree.value.shape[0] == tree.node_count
    return bool(tree.node_count and values and (leaf | inside).all())


def boosted_tree_is_sound(tree, n_features):
    """Say the same of a tree of histogram gradient boosting, which may have no categories."""
    nodes = getattr(tree, "nodes", None)
    if not isinstance(nodes, np.ndarray) or nodes.dtype != BOOSTED_NODE:
        return False
    if nodes.ndim != 1 or not len(nodes) or not isinstance(n_features, Integral):
        return False
    place, left, right = np.arange(len(nodes)), nodes["left"], nodes["right"]
    inside = (left > place) & (right > place) & (left < len(nodes)) & (right < len(nodes))
    inside &= (nodes["feature_idx"] >= 0) & (nodes["feature_idx"] < n_features)
    inside &= nodes["is_categorical"] == 0  # else bits are looked up that nothing here checks
    return bool((nodes["is_leaf"].astype(bool) | inside).all())


def lacking_parameters(model, packages):
    """Return the parameters that estimators of some packages do not hold: lists by class name.

    A release of scikit-learn may add a parameter or drop one; an estimator that was saved with
    another release then lacks it, and fails only when it is used.
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
