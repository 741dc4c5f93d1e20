"""The validation cut, resampling and weights, as functions and through an estimator."""

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import BaseEstimator
from sklearn.utils.class_weight import compute_class_weight
from skorch.callbacks import Callback

from sktraffic.neural_network import MLPClassifier
from sktraffic.neural_network._callbacks import warmup_decay
from sktraffic.neural_network._validation import (
    class_weight_array,
    resample,
    training_weights,
    validation_cut,
)

SMALL = {
    "hidden_sizes": (8,), "max_epochs": 2, "lr": 0.01, "random_state": 0, "device": "cpu",
    "early_stopping": True,
}  # fmt: skip


def mlp(**params):
    return MLPClassifier(**{**SMALL, **params})


class Recorder(BaseEstimator):
    """A sampler that keeps what it is given and doubles it."""

    seen: list = []

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit_resample(self, X, y):
        """Record the rows and the seed; return every row twice."""
        self.seen.append((X.copy(), y.copy(), self.random_state))
        self.sample_indices_ = np.tile(np.arange(len(X)), 2)
        return np.concatenate([X, X]), np.concatenate([y, y])


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_cut_is_a_stratified_partition(rng, fraction):
    """Both parts together are all rows once; each class gives its share, rounded."""
    target = np.repeat([0, 1, 2], [40, 100, 17])
    train, valid = validation_cut(target, fraction, seed=1)
    assert np.array_equal(np.sort(np.concatenate([train, valid])), np.arange(157))
    shares = np.bincount(target[valid]) / np.array([40, 100, 17])
    np.testing.assert_allclose(shares, fraction, atol=0.5 / 17)


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.999])
def test_every_class_of_two_is_on_both_sides(fraction):
    """However small or large the fraction, no part is without a class that has two rows."""
    target = np.repeat([0, 1, 2], [2, 50, 3])
    for part in validation_cut(target, fraction, seed=0):
        assert set(target[part]) == {0, 1, 2}


def test_single_member_stays_in_training():
    """A class with one row cannot be split: it is trained on, and a warning says so."""
    target = np.repeat([0, 1, 2], [1, 30, 30])
    with pytest.warns(UserWarning, match="1 of 3 classes have too few samples"):
        train, _ = validation_cut(target, 0.2, seed=0)
    assert 0 in train


def test_empty_cut_is_an_error():
    """No class has two rows: there is nothing to watch."""
    with pytest.raises(ValueError, match=r"cut of 3 samples is empty.*early_stopping=False"):
        validation_cut(np.arange(3), 0.5, seed=0)


def test_groups_stay_whole(rng):
    """No group is on both sides, all classes stay in training, the share is near the wanted."""
    groups = np.repeat(np.arange(40), rng.integers(1, 12, size=40))
    target = groups % 3
    train, valid = validation_cut(target, 0.2, 0, np.array([f"g{g}" for g in groups]))
    assert not set(groups[train]) & set(groups[valid])
    assert set(target[train]) == set(target[valid]) == {0, 1, 2}
    assert abs(len(valid) / len(target) - 0.2) < 0.1


def test_group_that_owns_a_class_is_not_cut():
    """A class all of whose rows are in one group stays in training, with a warning."""
    groups = np.repeat(np.arange(6), 10)
    target = np.where(groups == 0, 2, groups % 2)
    with pytest.warns(UserWarning, match="1 of 3 classes"):
        train, _ = validation_cut(target, 0.3, 0, groups)
    assert set(target[train]) == {0, 1, 2}


@pytest.mark.parametrize("groups", [np.zeros(10), np.arange(10) % 2])
def test_groups_that_cannot_be_cut(groups):
    """One group, or one group a class, leaves no validation part."""
    with pytest.raises(ValueError, match="no group can be spared"):
        validation_cut(np.arange(10) % 2, 0.3, 0, groups)


def test_sampler_sees_the_training_part_only(rng):
    """The rows that the sampler gets are real ones, without any of the validation part."""
    X, y = rng.normal(size=(60, 2)).astype(np.float32), np.repeat([0, 1, 2], [10, 20, 30])
    Recorder.seen.clear()
    clf = mlp(resampler=Recorder(), validation_fraction=0.2).fit(X, y)
    ((given, labels, seed),) = Recorder.seen
    assert np.bincount(labels).tolist() == [8, 16, 24] and seed is not None
    assert all((row == X).all(axis=1).any() for row in given)
    assert clf.resampler.random_state is None  # the caller's sampler is cloned, not seeded


def test_sampler_sees_all_rows_without_early_stopping(rng):
    """Nothing is cut, so nothing is held back from the sampler."""
    X, y = rng.normal(size=(20, 2)), np.repeat([0, 1], 10)
    Recorder.seen.clear()
    mlp(resampler=Recorder(), early_stopping=False).fit(X, y)
    assert len(Recorder.seen[0][0]) == 20


@pytest.mark.parametrize(
    "sampler", [ADASYN(n_neighbors=3), SMOTE(), RandomOverSampler(), RandomUnderSampler()]
)
def test_imbalanced_learn_samplers(rng, sampler):
    """Samplers of imbalanced-learn balance the training part, repeatably for a seed."""
    target = np.repeat([0, 1], [12, 60])
    X = (rng.normal(size=(72, 3)) + target[:, None]).astype(np.float32)
    X1, y1, weight = resample(sampler, X, target, None, 3, np.arange(2))
    X2, y2, _ = resample(sampler, X, target, None, 3, np.arange(2))
    assert np.array_equal(X1, X2) and np.array_equal(y1, y2) and weight is None
    counts = np.bincount(y1)
    assert X1.dtype == np.float32 and counts.max() <= 1.3 * counts.min()


def test_weights_follow_picked_rows(rng):
    """A sampler that picks rows takes their weights along."""
    X, target, weight = rng.normal(size=(9, 2)), np.repeat([0, 1], [3, 6]), np.arange(9.0)
    X_new, _, w_new = resample(RandomOverSampler(), X, target, weight, 0, np.arange(2))
    for row, value in zip(X_new, w_new, strict=True):
        assert np.array_equal(X[int(value)], row)


def test_weights_cannot_follow_synthetic_rows(rng):
    """Synthetic rows have no weight: an error, not a guess."""
    X, y = rng.normal(size=(40, 2)), np.repeat([0, 1], [12, 28])
    with pytest.raises(ValueError, match="cannot follow the synthetic rows of resampler SMOTE"):
        mlp(resampler=SMOTE()).fit(X, y, sample_weight=np.arange(40) + 1)


def test_failing_sampler_names_itself(rng):
    """A sampler's own error is kept, with the counts that it failed on and what to do."""
    X, y = rng.normal(size=(30, 2)), np.repeat([0, 1], [3, 27])
    with pytest.raises(ValueError, match=r"resampler SMOTE failed .*\{0: 2, 1: 24\}.*resampler="):
        mlp(resampler=SMOTE(k_neighbors=5)).fit(X, y)


class Broken(Recorder):
    """A sampler that loses a class."""

    def fit_resample(self, X, y):
        """Return class 0 only."""
        return X[y == 0], y[y == 0]


def test_sampler_that_loses_a_class(rng):
    """Every class must come back."""
    X, y = rng.normal(size=(30, 2)), np.repeat([0, 1], 15)
    with pytest.raises(ValueError, match=r"resampler Broken made .* 1 classes lost"):
        mlp(resampler=Broken()).fit(X, y)


def test_balanced_class_weight_is_scikit_learns():
    """Weights are of mean one, and in proportion to scikit-learn's balanced ones."""
    target = np.repeat([0, 1, 2], [2, 5, 13])
    weight = training_weights(target, 3, "balanced", None)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=target)[target]
    np.testing.assert_allclose(weight, expected)
    np.testing.assert_allclose(weight.mean(), 1.0)
    assert training_weights(target, 3, None, None) is None


def test_class_weight_by_label():
    """A dict names labels; others weigh one; one that a fold lacks is passed over, not all."""
    classes = np.array(["vpn", "web"])
    assert class_weight_array({"web": 3.0, "ftp": 9.0}, classes).tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match=r"class_weight names the classes \['ftp'\], none of"):
        class_weight_array({"ftp": 1.0}, classes)


def test_scale_of_sample_weights_does_not_matter(rng):
    """A factor common to all weights leaves the fit as it is."""
    X, y = rng.normal(size=(40, 2)), np.repeat([0, 1], 20)
    weight = rng.random(40) + 0.1
    fits = [mlp().fit(X, y, sample_weight=w) for w in (weight, 8 * weight)]
    np.testing.assert_allclose(*(fit.predict_proba(X) for fit in fits), rtol=1e-6)


def test_weighted_sampling_balances_the_batches():
    """Drawn by weight, a class of 2 % comes as often as the other."""
    import torch

    from sktraffic.neural_network._net import TensorBatches, TensorData

    target = torch.tensor([0] * 980 + [1] * 20)
    data = TensorData(torch.arange(1000.0)[:, None], target)
    probability = 1.0 / torch.bincount(target)[target]
    batches = TensorBatches(data, 100, torch.Generator().manual_seed(0), probability)
    drawn = torch.cat([y for _, y in batches])
    assert len(drawn) == 1000 and abs(drawn.double().mean().item() - 0.5) < 5 * 0.5 / 1000**0.5


def test_batches_cover_every_row_once():
    """An epoch is a permutation, in another order the next time, and in order when not shuffled."""
    import torch

    from sktraffic.neural_network._net import TensorBatches, TensorData

    data = TensorData(torch.arange(10)[:, None], torch.arange(10))
    shuffled = TensorBatches(data, 4, torch.Generator().manual_seed(0))
    orders = [torch.cat([y for _, y in shuffled]).tolist() for _ in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10)) and orders[0] != orders[1]
    assert [len(x) for x, _ in shuffled] == [4, 4, 2] and len(shuffled) == 3
    weighted = TensorData(data.X, data.y, torch.arange(10.0))
    for x, y in TensorBatches(weighted, 4):
        assert torch.equal(x["X"][:, 0], y) and torch.equal(x["sample_weight"].long(), y)


class Copies(BaseEstimator):
    """A sampler that makes nine copies of every row."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit_resample(self, X, y):
        """Copy."""
        return np.repeat(X, 9, axis=0), np.repeat(y, 9)


@pytest.mark.parametrize("weighted_sampling", [False, True])
def test_an_epoch_is_no_longer_for_synthetic_rows(weighted_sampling):
    """It draws as many rows as there were, anew each time, and the schedule counts those steps."""
    sizes, rates = [], []

    class Spy(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            sizes.append(len(batch[1]))
            rates.append(net.optimizer_.param_groups[0]["lr"])

    X = np.arange(100.0)[:, None]
    params = {"early_stopping": False, "batch_size": 40, "warmup_ratio": 0.5}
    params |= {"resampler": Copies(), "weighted_sampling": weighted_sampling}
    mlp(**params, net_params={"callbacks": [Spy()]}).fit(X, np.arange(100) % 2)
    assert sizes == [40, 40, 20] * 2
    np.testing.assert_allclose(rates, [0.01 * warmup_decay(i, 6, 0.5) for i in range(6)])
