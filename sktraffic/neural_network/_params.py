"""The parameters that neural estimators share: declared once, explained once, checked once."""

import dataclasses
import inspect
import re
import textwrap
from collections import ChainMap
from numbers import Integral, Real
from typing import Any, dataclass_transform

from sktraffic._compat import HasMethods, Interval, StrOptions
from sktraffic.neural_network._runtime import DTYPES
from sktraffic.neural_network._scores import MONITORS

COUNT = Interval(Integral, 1, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
NATURAL = Interval(Integral, 0, None, closed="left")
AT_LEAST_TWO = Interval(Integral, 2, None, closed="left")

#: Parameter -> (type, what it means).
PARAMETER_DOCS = {
    "lr": ("float", "Learning rate of Adam."),
    "batch_size": (
        "int or None",
        "Rows of one step; None is a hundredth of the training rows, from 8 to 128.",
    ),
    "max_epochs": ("int", "Passes over the training part, at most."),
    "weight_decay": ("float", "Decoupled decay (AdamW); 0 is Adam."),
    "warmup_ratio": (
        "float",
        "Share of a fit's steps in which the learning rate climbs from 0, after which it falls to "
        "0 linearly; 0 keeps it constant. ``partial_fit``, which has no end, keeps it constant.",
    ),
    "gamma": (
        "float",
        "Focusing exponent of the focal loss (Lin et al., 2017, eq. 5): 0 is the cross-entropy, "
        "larger values play down rows that are already right.",
    ),
    "class_weight": (
        'dict, "balanced" or None',
        "Factor of each class's rows in the loss, the alpha of the focal loss. A dict goes from "
        "labels to weights: labels without one weigh 1, and those that y lacks, as a fold may, "
        'are passed over. "balanced" is computed from the training part, after resampling.',
    ),
    "weighted_sampling": (
        "bool",
        "Draw batches with replacement so that all classes come equally often.",
    ),
    "resampler": (
        "imbalanced-learn sampler",
        "Cloned, seeded and applied to the training part, after the validation part is cut. It "
        "sees the labels of y; of a ``sampling_strategy`` that names labels, those that y lacks "
        "are passed over. An epoch draws as many rows as there were before: synthetic ones make it "
        "no longer.",
    ),
    "validation_fraction": (
        "float",
        "Share of real rows to watch with ``early_stopping``; stratified, groups kept whole.",
    ),
    "early_stopping": (
        "bool",
        "Cut a validation part, or take that given to ``fit``; stop when ``monitor`` no longer "
        "improves and keep the best epoch's weights.",
    ),
    "patience": ("int", "Epochs without improvement after which to stop."),
    "monitor": (
        '{"f1_weighted", "f1_macro", "accuracy", "balanced_accuracy", "valid_loss"}',
        "What early stopping watches.",
    ),
    "device": (
        "str",
        '"cpu", "cuda", "cuda:1", or "auto" for a GPU where there is one that the process can use.',
    ),
    "precision": ('{"float32", "bfloat16", "float64"}', "bfloat16 keeps float32 weights."),
    "random_state": (
        "int, RandomState or None",
        "Seed of everything random in a fit, which draws from generators of its own: NumPy's and "
        "torch's global ones are neither read nor moved. None takes a fresh seed.",
    ),
    "verbose": ("int", "1 prints a line an epoch."),
    "warm_start": ("bool", "Go on from the last fit's weights."),
    "net_params": ("dict", "Further parameters of the skorch net: ``callbacks``, ``optimizer``."),
    "dropout": ("float", "Probability of zeroing a unit."),
    "embedding": (
        '{"linear", "piecewise"}',
        'How a number is read. "linear" is the number itself, of which a scaler in front should '
        'take the unit. "piecewise" is one value between 0 and 1 for each bin of its column, bins '
        "between quantiles of the training part (Gorishniy et al., 2022): its scale is of no "
        "account, and what lies beyond the training part's range counts as its end.",
    ),
    "n_bins": (
        "int",
        'Quantiles of each column, with ``embedding="piecewise"``; half as many of its distinct '
        "values join them. A column has no more edges than values.",
    ),
    "vocab_size": ("int", "Number of token ids, padding (0) included."),
    "hidden_size": ("int", "Width of BERT; a multiple of ``n_heads``."),
    "n_layers": ("int", "BERT's layers."),
    "n_heads": ("int", "BERT's attention heads."),
    "intermediate_size": (
        "int",
        "Width of BERT's feed-forward part; 4 ``hidden_size`` without it.",
    ),
    "max_length": ("int", "BERT's positions: the most tokens that a row may have."),
}

CLASSIFIER_ATTRIBUTES = """\
classes_ : ndarray of shape (n_classes,)
    Class labels.
n_features_in_ : int
    Columns seen in ``fit``.
feature_names_in_ : ndarray of str
    Their names, where X had any.
net_ : skorch.NeuralNetClassifier
    The trained net; ``net_.module_`` is the torch module. Built again from NumPy weights
    when first used after unpickling.
history_ : pandas.DataFrame
    One row an epoch: losses (means), scores of the validation part, seconds.
n_epochs_ : int
    Epochs trained.
best_epoch_ : int
    Epoch whose weights are kept, counted from 1.
"""


def parameter(default, *constraints, **options):
    """Field of a parameter, with scikit-learn's constraints on its value."""
    return dataclasses.field(default=default, metadata={"constraints": constraints}, **options)


@dataclass_transform(kw_only_default=True, field_specifiers=(parameter, dataclasses.field))
class KeywordParams:
    """Base whose subclasses declare their parameters as fields: keyword-only, with a default.

    A subclass is made a dataclass, which writes its ``__init__``; a field with ``kw_only=False``
    may be passed by position too. `parameter` states the constraints beside the default, and a
    subclass with another default keeps them; ``_parameter_constraints`` may hold more. In the
    docstring ``{shared parameters}`` stands for those that are not explained there, and
    ``{shared attributes}`` for those of every classifier.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        types = inspect.get_annotations(cls)
        cls.__annotations__ = {k: v for k, v in types.items() if not k.startswith("_")}
        dataclasses.dataclass(kw_only=True, eq=False, repr=False, match_args=False)(cls)
        stated = {
            name: [*cls.__dataclass_fields__[name].metadata["constraints"]]
            for name in cls.__annotations__
            if cls.__dataclass_fields__[name].metadata
        }
        own, *others = [vars(c).get("_parameter_constraints", {}) for c in cls.__mro__]
        cls._parameter_constraints = dict(ChainMap(own, stated, *others))
        if cls.__doc__:
            cls.__doc__ = _filled(cls.__doc__, cls)

    def _shared_with(self, module):
        """Return the parameters that a module takes by the same names."""
        names = inspect.signature(module).parameters.keys() & self.__dataclass_fields__.keys()
        return {name: getattr(self, name) for name in names}

    def _default(self, name):
        return type(self).__dataclass_fields__[name].default

    def _without_effect(self):
        """Yield parameters that do nothing, each with the reason: those beside this one's value."""
        return iter(())

    def _check_effects(self):
        """Raise where a parameter is set that would silently do nothing."""
        for name, reason in self._without_effect():
            self._check_no_effect(name, reason)

    def _check_no_effect(self, name, reason):
        """Raise unless a parameter that does nothing has its default."""
        value, default = getattr(self, name), self._default(name)
        if value != default:
            raise ValueError(
                f"{name}={value!r} has no effect with {reason}. Leave it at its default, "
                f"{default!r}, or change the other."
            )


def _filled(doc, cls):
    """Docstring of a class with the shared parts put in."""
    parts = {"attributes": lambda: CLASSIFIER_ATTRIBUTES, "parameters": lambda: _entries(doc, cls)}
    for name, text in parts.items():
        found = re.search(rf"^( *)\{{shared {name}\}}\n", doc, re.MULTILINE)
        if found:
            block = textwrap.indent(text(), found[1])
            doc = doc[: found.start()] + block + doc[found.end() :]
    return doc


def _entries(doc, cls):
    """Numpydoc entries of the fields that a docstring does not explain itself."""
    lines = []
    for field in dataclasses.fields(cls):
        if re.search(rf"^ *{field.name} : ", doc, re.MULTILINE):
            continue
        kind, text = PARAMETER_DOCS[field.name]
        default = str(field.default) if field.default is None else repr(field.default)
        default = f'"{field.default}"' if isinstance(field.default, str) else default
        lines.append(f"{field.name} : {kind}, default={default}")
        lines += textwrap.wrap(
            text, 88, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )
    return "\n".join(lines) + "\n"


class TrainingParams(KeywordParams):
    """What every training has."""

    lr: float = parameter(0.001, POSITIVE)
    batch_size: int | None = parameter(256, COUNT, None)
    max_epochs: int = parameter(100, COUNT)
    weight_decay: float = parameter(0.0, NOT_NEGATIVE)
    warmup_ratio: float = parameter(0.0, Interval(Real, 0, 1, closed="both"))
    device: str = parameter("auto", str)
    precision: str = parameter("float32", StrOptions(set(DTYPES)))
    random_state: Any = parameter(None, "random_state")
    verbose: int = parameter(0, "verbose")
    net_params: dict | None = parameter(None, dict, None)


class ClassifierParams(TrainingParams):
    """What every classifier has besides: loss, classes, validation."""

    gamma: float = parameter(0.0, NOT_NEGATIVE)
    class_weight: Any = parameter(None, dict, StrOptions({"balanced"}), None)
    weighted_sampling: bool = parameter(False, "boolean")
    resampler: Any = parameter(None, HasMethods(["fit_resample"]), None)
    validation_fraction: float = parameter(0.1, Interval(Real, 0, 1, closed="neither"))
    early_stopping: bool = parameter(True, "boolean")
    patience: int = parameter(15, COUNT)
    monitor: str = parameter("f1_weighted", StrOptions(set(MONITORS)))
    warm_start: bool = parameter(False, "boolean")

    def _without_effect(self):
        yield from super()._without_effect()
        if not self.early_stopping:
            for name in ("patience", "validation_fraction"):
                yield name, "early_stopping=False"
        if "criterion" in (self.net_params or {}):
            yield "gamma", "a criterion in net_params"
        if "optimizer" in (self.net_params or {}):
            yield "weight_decay", "an optimizer in net_params (pass optimizer__weight_decay there)"


class BertParams(KeywordParams):
    """What BERT is made of."""

    vocab_size: int = parameter(260, AT_LEAST_TWO, kw_only=False)
    hidden_size: int = parameter(768, COUNT)
    n_layers: int = parameter(12, COUNT)
    n_heads: int = parameter(8, COUNT)
    intermediate_size: int | None = parameter(None, COUNT, None)
    max_length: int = parameter(128, COUNT)
    dropout: float = parameter(0.1, SHARE)
