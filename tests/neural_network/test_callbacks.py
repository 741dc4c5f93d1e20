"""scikit-learn's callbacks, and Ctrl-C."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sktraffic.neural_network import MaskedByteModel, MLPClassifier, TransformerEnsemble

ProgressBar = pytest.importorskip(
    "sklearn.callback", reason="scikit-learn has callbacks from 1.9 on"
).ProgressBar
SMALL = {"max_epochs": 4, "random_state": 0, "device": "cpu", "early_stopping": False}
TINY = {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8}
X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.repeat([0, 1, 2], 20)


class Spy:
    """A callback that records each task, and does something at the end of one."""

    max_propagation_depth = None

    def __init__(self, at=None, action=None):
        self.at, self.action, self.ended, self.estimators = at, action, [], []

    def setup(self, estimator, context):
        """Begin with nothing on record."""
        self.ended = []

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Record the task; act when the wanted one ends."""
        self.ended.append((context.estimator_name, context.task_name))
        if context.task_name == "epoch":
            self.estimators.append(fitted_estimator)
            if len(self.estimators) == self.at:
                return self.action()
        return False

    def teardown(self, estimator, context):
        """Nothing to do."""


def interrupt():
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def mlp(**params):
    """Return a small MLP."""
    return MLPClassifier(hidden_sizes=(8,), **{**SMALL, **params})


def test_tasks_of_a_fit():
    """An epoch is a subtask of fit."""
    spy = Spy()
    mlp().set_callbacks(spy).fit(X, Y)
    assert spy.ended == [("MLPClassifier", "epoch")] * 4 + [("MLPClassifier", "fit")]


def test_tasks_of_an_ensemble():
    """A member is a subtask of the ensemble's fit, and its epochs are the member's."""
    spy = Spy()
    TransformerEnsemble(2, **TINY, **SMALL).set_callbacks(spy).fit(X, Y)
    epochs = [("TransformerMember", "epoch")] * 4
    member = [*epochs, ("TransformerMember", "fit")]
    assert spy.ended == [*member, *member, ("TransformerEnsemble", "fit")]


def test_callback_gets_the_estimator_of_each_epoch():
    """``fitted_estimator`` predicts with the weights of its epoch, while training goes on."""
    spy = Spy()
    params = {"lr": 0.05, "warmup_ratio": 0.0}
    clf = mlp(**params).set_callbacks(spy).fit(X, Y)
    probas = [fitted.predict_proba(X) for fitted in spy.estimators]
    np.testing.assert_array_equal(probas[-1], clf.predict_proba(X))
    np.testing.assert_array_equal(probas[1], mlp(**params, max_epochs=2).fit(X, Y).predict_proba(X))


def test_callback_can_stop_the_fit():
    """A true result at the end of an epoch ends the fit, without a warning."""
    clf = mlp().set_callbacks(Spy(at=2, action=lambda: True)).fit(X, Y)
    assert clf.n_epochs_ == 2


def test_masked_model_tells_of_its_epochs_and_can_be_stopped():
    """The same without labels: the estimator of each epoch encodes, and looking changes nothing."""
    tokens = np.random.default_rng(0).integers(1, 9, (20, 6))
    spy = Spy(at=2, action=lambda: True)
    model = MaskedByteModel(10, hidden_size=8, n_layers=1, n_heads=1, max_epochs=3, random_state=0)
    plain = clone(model).fit(tokens)
    model.set_callbacks(spy).fit(tokens)
    assert [task for _, task in spy.ended] == ["epoch", "epoch", "fit"]
    first, second = (fitted.transform(tokens) for fitted in spy.estimators)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(second, model.transform(tokens))
    np.testing.assert_array_equal(plain.history_["train_loss"][:2], model.history_["train_loss"])


def test_interrupt_leaves_a_usable_estimator():
    """Ctrl-C in the third epoch: a warning with the count, and the weights can be used."""
    clf = mlp().set_callbacks(Spy(at=3, action=interrupt))
    with pytest.warns(UserWarning, match="MLPClassifier.fit was interrupted after 3 of 4 epochs"):
        clf.fit(X, Y)
    assert clf.n_epochs_ == 3 and clf.predict(X).shape == (60,)
    clf.set_callbacks().set_params(warm_start=True).fit(X, Y)
    assert clf.n_epochs_ == 7


def test_interrupt_restores_the_best_epoch():
    """With early stopping the best epoch so far is kept."""
    clf = mlp(early_stopping=True, lr=0.5, max_epochs=20).set_callbacks(Spy(at=8, action=interrupt))
    with pytest.warns(UserWarning, match="keeps the weights of epoch"):
        clf.fit(X, Y)
    assert clf.best_epoch_ == clf.history_["f1_weighted"].argmax() + 1


def test_interrupt_within_an_epoch():
    """Ctrl-C between two batches: the unfinished epoch is not on record."""

    class Hit(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match=r"after 1 of 4 epochs.*weights as they were then"):
        clf = mlp(batch_size=10, net_params={"callbacks": [Hit()]}).fit(X, Y)
    assert len(clf.history_) == 1 and clf.predict_proba(X).shape == (60, 3)


@pytest.mark.filterwarnings("ignore:TransformerMember.fit was interrupted:UserWarning")
def test_interrupt_keeps_the_members_so_far():
    """Ctrl-C in the second member: two members are averaged, the third is not begun."""
    clf = TransformerEnsemble(3, **TINY, **SMALL).set_callbacks(Spy(at=6, action=interrupt))
    with pytest.warns(UserWarning, match="interrupted with 2 of 3 members"):
        clf.fit(X, Y)
    assert clf.n_epochs_.tolist() == [4, 2] and clf.predict(X).shape == (60,)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_on_a_search_shows_folds_and_epochs(capsys, n_jobs):
    """Bars for the search, each candidate's folds, the pipeline and the network's epochs."""
    pipe = make_pipeline(StandardScaler(), mlp())
    search = GridSearchCV(pipe, {"mlpclassifier__lr": [0.01, 0.1]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out and "MLPClassifier - fit" in out
    assert "Pipeline - fit" in out and "100%" in out


def test_silent_by_default(capsys):
    """A fit prints nothing."""
    mlp().fit(X, Y)
    TransformerEnsemble(2, **TINY, **SMALL).fit(X, Y)
    assert capsys.readouterr() == ("", "")
