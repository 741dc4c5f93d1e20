"""Parameters declared once: signature, docstring, representation, and none without effect."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from sktraffic.neural_network import (
    CNNLSTM,
    BaseTorchClassifier,
    BiGRUDABert,
    DeepPacketCNN,
    DeepPacketSAE,
    MaskedByteModel,
    MLPClassifier,
    PacketSequenceClassifier,
    TransformerEnsemble,
)

CLASSIFIERS = [
    MLPClassifier, TransformerEnsemble, BiGRUDABert, DeepPacketCNN, DeepPacketSAE, CNNLSTM,
    PacketSequenceClassifier,
]  # fmt: skip
ALL = [*CLASSIFIERS, MaskedByteModel]
X = np.random.default_rng(0).normal(size=(40, 4))
Y = np.repeat(["vpn", "web"], 20)
every = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)


@every
def test_signature_is_one_name_by_position_and_the_rest_by_keyword(cls):
    """A new parameter can stand anywhere without breaking a call."""
    kinds = [p.kind for p in inspect.signature(cls).parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) == 1
    assert set(kinds[1:]) == {inspect.Parameter.KEYWORD_ONLY}


@every
def test_docstring_names_each_parameter_once_with_its_default(cls):
    """What is explained once for all stands in every class, with that class's default."""
    doc = inspect.cleandoc(cls.__doc__).split("Attributes\n---")[0]
    for name, parameter in inspect.signature(cls).parameters.items():
        entries = re.findall(rf"^{name} : .*?(?:default=(.*))$", doc, re.MULTILINE)
        assert len(entries) == 1, name
        assert ast.literal_eval(entries[0]) == parameter.default, name
    assert "{shared" not in cls.__doc__


@every
def test_shared_parameters_agree(cls):
    """A parameter that several classes have is of the same type and has the same constraint."""
    for other in ALL:
        shared = cls._parameter_constraints.keys() & other._parameter_constraints.keys()
        fields = {c: {f.name: f.type for f in dataclasses.fields(c)} for c in (cls, other)}
        for name in shared:
            assert fields[cls][name] == fields[other][name], name


@every
def test_representation_and_clone(cls):
    """Text and HTML tell what differs from the defaults, and a clone keeps it."""
    estimator = cls(lr=0.5, weight_decay=0.25)
    assert repr(estimator) == f"{cls.__name__}(lr=0.5, weight_decay=0.25)"
    html = estimator._repr_html_()
    assert "weight_decay" in html and "0.25" in html
    assert clone(estimator).get_params() == estimator.get_params()
    assert estimator != clone(estimator)  # equality stays identity


def test_gamma_alone_says_the_loss():
    """Cross-entropy for the baselines, the focal loss where a paper has it."""
    gammas = {cls.__name__: cls().gamma for cls in CLASSIFIERS}
    assert gammas == {
        "MLPClassifier": 0.0, "TransformerEnsemble": 2.0, "BiGRUDABert": 2.0,
        "DeepPacketCNN": 0.0, "DeepPacketSAE": 0.0, "CNNLSTM": 0.0,
        "PacketSequenceClassifier": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (MLPClassifier(patience=3), r"patience=3 .*early_stopping=False"),
        (
            MLPClassifier(validation_fraction=0.2),
            r"validation_fraction=0.2 has no effect with early_stopping=False.*default, 0.1",
        ),
        (BiGRUDABert(patience=3), "patience=3 has no effect with early_stopping=False"),
        (
            MLPClassifier(gamma=2.0, net_params={"criterion": "mine"}),
            "gamma=2.0 has no effect with a criterion in net_params",
        ),
        (
            MLPClassifier(weight_decay=0.1, net_params={"optimizer": "mine"}),
            "weight_decay=0.1 has no effect .*optimizer__weight_decay",
        ),
        (
            BiGRUDABert(shared_value=True, attention="softmax"),
            "shared_value=True has no effect with attention='softmax'",
        ),
        (BiGRUDABert(gru_layers=1, gru_dropout=0.3), "gru_dropout=0.3 .*gru_layers=1"),
        (BiGRUDABert(vocab_size=99), "vocab_size=99 has no effect with a feature table"),
        (
            DeepPacketSAE(pretrain_epochs=0, pretrain_lr=0.1),
            "pretrain_lr=0.1 has no effect with pretrain_epochs=0",
        ),
    ],
)
def test_parameter_without_effect_is_an_error(estimator, message):
    """It is said before any training, with the reason and the default."""
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, Y)


def test_parameter_that_does_nothing_at_its_default_is_no_error():
    """Defaults state nothing."""
    MLPClassifier((4,), early_stopping=False, max_epochs=1).fit(X, Y)


def test_subclass_of_a_user_is_as_short_as_its_own_part():
    """Fields of one's own join the shared ones; constraints, annotated or not, are no field."""
    from torch import nn

    class Linear(BaseTorchClassifier):
        """A linear model.

        Parameters
        ----------
        bias : bool, default=True
            Whether there is one.
        {shared parameters}
        """

        lr: float = 0.1
        bias: bool = True
        _parameter_constraints: dict = {
            **BaseTorchClassifier._parameter_constraints,
            "bias": ["boolean"],
        }

        def _build_module(self, n_features, n_classes):
            return nn.Linear(n_features, n_classes, self.bias)

    assert "lr : float, default=0.1\n" in Linear.__doc__
    clf = clone(Linear(bias=False, max_epochs=2)).fit(X, Y)
    assert clf.net_.module_.bias is None and "_parameter_constraints" not in clf.get_params()
    with pytest.raises(ValueError, match="'bias' parameter of Linear must be"):
        Linear(bias=3).fit(X, Y)


@every
def test_every_parameter_is_named_by_a_test(cls):
    """A parameter that no test of the neural estimators names is one that no one has tried."""
    tests = "".join(
        path.read_text("utf-8")
        for folder in ("neural_network", "nn")
        for path in sorted((Path(__file__).parents[1] / folder).glob("test_*.py"))
    )
    counts = {
        name: len(re.findall(rf"\b{name}\b", tests)) for name in inspect.signature(cls).parameters
    }
    assert [name for name, count in counts.items() if count == 0] == []
