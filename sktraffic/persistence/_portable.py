"""What of a fitted estimator goes into its file."""

import copy

from imblearn.base import SamplerMixin
from sklearn.base import clone

from sktraffic.pipeline import CaptureClassifier


def portable(value, seen=None):
    """Return an estimator without what only its training, or the machine of that, needs.

    Fitted samplers hold search trees over their training data, which nothing needs after `fit`:
    clones of them take their place, whatever holds them. A `CaptureClassifier` goes without its
    `cache` folder, and requests of metadata name their estimator instead of holding it. Where
    there is none of these, the estimator itself is returned, and nothing is copied but what leads
    to one. ``seen`` holds what was made of each object so far, by its `id`.
    """
    seen = {} if seen is None else seen
    if id(value) not in seen:
        seen[id(value)] = value  # what refers to itself stays as it is
        seen[id(value)] = _portable(value, seen)
    return seen[id(value)]


def _portable(value, seen):
    if isinstance(value, SamplerMixin):
        return clone(value)
    if isinstance(value, dict):
        parts = {key: portable(part, seen) for key, part in value.items()}
        if all(parts[key] is value[key] for key in value):
            return value
        return type(value)(parts)
    if type(value) in (list, tuple):
        parts = [portable(part, seen) for part in value]
        same = all(new is old for new, old in zip(parts, value, strict=True))
        return value if same else type(value)(parts)
    if not hasattr(value, "get_params") or isinstance(value, type):
        return value
    attributes = vars(value)
    parts = {name: portable(part, seen) for name, part in attributes.items()}
    if isinstance(value, CaptureClassifier):
        parts["cache"] = None
    if "_metadata_request" in parts:
        parts["_metadata_request"] = _with_owner(parts["_metadata_request"], type(value).__name__)
    if all(parts[name] is attributes[name] for name in attributes):
        return value
    copied = type(value).__new__(type(value))
    vars(copied).update(parts)
    return copied


def _with_owner(request, owner):
    """Return a request of metadata whose owner, for error messages only, is a name."""
    copied = copy.copy(request)
    for name, value in vars(request).items():
        if name == "owner":
            copied.owner = owner
        elif hasattr(value, "owner"):
            setattr(copied, name, _with_owner(value, owner))
    return copied
