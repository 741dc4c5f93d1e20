"""Bad input gets an error that says what, got and remedy, or a documented, warned fallback."""

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTE
from sklearn.exceptions import NotFittedError

from sktraffic.neural_network import BaseTorchClassifier, MLPClassifier, TransformerEnsemble

MLP = MLPClassifier((4,), max_epochs=2, random_state=0, device="cpu", early_stopping=True)
ENSEMBLE = TransformerEnsemble(
    2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, max_epochs=2, random_state=0, device="cpu"
)
X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.repeat(["vpn", "web"], 20)


@pytest.fixture(params=["MLPClassifier", "TransformerEnsemble"])
def clf(request):
    """Return a clone of each estimator."""
    from sklearn.base import clone

    return clone(MLP if request.param == "MLPClassifier" else ENSEMBLE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba"])
def test_not_finite(clf, bad, method):
    """NaN and infinity, also a number beyond float32, are refused by fit and predict alike."""
    broken = X.copy()
    broken[3, 1] = bad
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        if method == "fit":
            clf.fit(broken, Y)
        else:
            getattr(clf.fit(X, Y), method)(broken)


@pytest.mark.parametrize("width", [2, 4])
def test_unseen_feature_count(clf, width):
    """Another number of columns than in fit."""
    with pytest.raises(ValueError, match=f"X has {width} features, but .* is expecting 3"):
        clf.fit(X, Y).predict(np.zeros((2, width)))


def test_renamed_columns(clf):
    """Other column names than in fit."""
    clf.fit(pd.DataFrame(X, columns=list("abc")), Y)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(pd.DataFrame(X, columns=list("abd")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X)


def test_single_class(clf):
    """One class cannot be told from another."""
    with pytest.raises(ValueError, match=r"at least 2 classes, got 1 class: \['web'\]. Add rows"):
        clf.fit(X, np.repeat("web", 40))


def test_class_with_one_member_and_early_stopping(clf):
    """It stays in training with a warning; the estimator knows the class."""
    y = Y.copy()
    y[0] = "ftp"
    with pytest.warns(UserWarning, match="1 of 3 classes have too few samples"):
        clf.fit(X, y)
    assert clf.classes_.tolist() == ["ftp", "vpn", "web"]


def test_empty_validation_cut(clf):
    """Each class has one member: nothing can be watched."""
    with pytest.raises(ValueError, match=r"cut of 2 samples is empty.*early_stopping=False"):
        clf.fit(X[:2], ["vpn", "web"])


def test_unknown_activation():
    """The error names the parameter and the choices."""
    with pytest.raises(ValueError, match=r"'activation' parameter .* must be a str among"):
        MLPClassifier(activation="swish").fit(X, Y)


@pytest.mark.parametrize("sizes", [(0,), (4, -1), (2.5,)])
def test_bad_hidden_sizes(sizes):
    """Widths are positive integers."""
    with pytest.raises(ValueError, match="hidden_sizes must hold positive integers"):
        MLPClassifier(hidden_sizes=sizes).fit(X, Y)


def test_token_that_heads_do_not_divide():
    """The module's error reaches the user of the ensemble."""
    with pytest.raises(ValueError, match="d_token must be a multiple of n_heads"):
        TransformerEnsemble(d_token=10, n_heads=4).fit(X, Y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_asked_for_and_absent(clf):
    """A missing GPU is an error before any work, not a silent fall-back."""
    with pytest.raises(ValueError, match=r"device='cuda' was asked for.*device='auto'"):
        clf.set_params(device="cuda").fit(X, Y)


def test_auto_is_the_cpu_where_cuda_cannot_begin(clf, monkeypatch):
    """So in a child that was forked from a process that uses a GPU."""

    def refuse():
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "init", refuse)
    fitted = clf.set_params(device="auto").fit(X, Y)
    nets = [member.net_ for member in getattr(fitted, "members_", [fitted])]
    assert {net.device.type for net in nets} == {"cpu"}


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "tpu:0"])
def test_unknown_device(clf, device):
    """Names that torch does not know, and a device that is not there."""
    with pytest.raises(ValueError, match=f"device.*{device}"):
        clf.set_params(device=device).fit(X, Y)


@pytest.mark.parametrize("resampler", ["smote", SMOTE, object()])
def test_resampler_of_the_wrong_kind(clf, resampler):
    """Something without fit_resample, or a class in place of an object."""
    with pytest.raises((ValueError, TypeError), match="resampler"):
        clf.set_params(resampler=resampler).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", 0), ("lr", -1.0), ("batch_size", 0), ("max_epochs", 0), ("gamma", -1),
     ("validation_fraction", 0.0),
     ("validation_fraction", 1.0), ("patience", 0), ("monitor", "f2"), ("precision", "float16"),
     ("warmup_ratio", 1.5), ("class_weight", "even"), ("net_params", "sgd"), ("dropout", 1.0)],
)  # fmt: skip
def test_parameters_out_of_range(clf, name, value):
    """Each parameter's range is checked in fit, with its name in the message."""
    with pytest.raises(ValueError, match=f"The {name!r} parameter of"):
        clf.set_params(**{name: value}).fit(X, Y)


@pytest.mark.parametrize("name", ["lr", "module", "iterator_train__shuffle", "device"])
def test_net_params_that_say_something_twice(name):
    """What the estimator has a parameter for, or does itself, is no business of net_params."""
    with pytest.raises(ValueError, match=f"net_params holds .*{name}.*Use its own parameters"):
        MLPClassifier(net_params={name: 1}).fit(X, Y)


def test_net_params_unknown_to_skorch():
    """A typo is not swallowed."""
    with pytest.raises(ValueError, match=r"unexpected.*optimzer"):
        MLPClassifier(net_params={"optimzer__momentum": 0.9}).fit(X, Y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [(np.zeros(40), "not all zero"), (np.full(40, -1.0), "no negative"), (np.ones(39), "shape"),
     (np.ones((40, 1)), "shape"), (np.full(40, np.nan), "NaN")],
)  # fmt: skip
def test_bad_sample_weight(clf, weight, message):
    """Weights are finite, not negative, one a row, and not all zero."""
    with pytest.raises(ValueError, match=message):
        clf.fit(X, Y, sample_weight=weight)


def test_groups_of_another_length(clf):
    """One group a row."""
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, Y, groups=np.arange(39))


def test_partial_fit_with_a_new_label(clf):
    """All classes are named in the first call."""
    clf.partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"labels \['ftp'\], which .* does not know"):
        clf.partial_fit(X, np.where(Y == "web", "ftp", Y))


def test_not_fitted(clf):
    """Everything that needs a fit says so."""
    for ask in (lambda: clf.predict(X), lambda: clf.history_, lambda: clf.n_epochs_):
        with pytest.raises(NotFittedError):
            ask()


def test_base_without_a_module():
    """A subclass that forgets _build_module is told so."""
    with pytest.raises(TypeError, match="has no _build_module"):
        BaseTorchClassifier()._build_module(3, 2)
