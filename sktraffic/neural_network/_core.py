"""What a classifier's fit does between checked arrays and a trained net."""

from functools import partial

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from sktraffic.neural_network import _inputs
from sktraffic.neural_network._callbacks import BestEpoch, ClassScores
from sktraffic.neural_network._estimator import TorchEstimator
from sktraffic.neural_network._net import TensorBatches
from sktraffic.neural_network._params import ClassifierParams
from sktraffic.neural_network._runtime import derive_seed, draw_seed, resolve_device
from sktraffic.neural_network._validation import (
    class_weight_array,
    resample,
    training_weights,
    validation_cut,
)
from sktraffic.nn import FocalLoss, balanced_alpha


class ClassifierCore(ClassifierParams, TorchEstimator):
    """Hooks and machinery of `BaseTorchClassifier`, which documents them."""

    # ------------------------------------------------------------------- hooks

    def _build_module(self, n_features, n_classes):
        """Untrained torch module, (B, ...) -> (B, K) logits: each subclass's own."""
        raise TypeError(
            f"{type(self).__name__} has no _build_module(n_features, n_classes), which a "
            "subclass of BaseTorchClassifier must define."
        )

    def _initialize_module(self, module):
        """Change a new module in place before training."""

    def _learn_inputs(self, X, weight, seed):
        """Learn of the training rows what a new module is built with, before it is built."""

    def _validate_X(self, X, **options):
        """Check X and give it this estimator's dtype; with y among the options, (X, y)."""
        fitted = not options.get("reset")
        precision = self._fit_params["precision"] if fitted else self.precision
        dtype = np.float64 if precision == "float64" else np.float32
        if fitted and "y" not in options and not hasattr(self, "feature_names_in_"):
            checked = _inputs.quick_array(X, self.n_features_in_, dtype)
            if checked is not None:
                return checked
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            checked = validate_data(self, X, dtype=dtype, accept_sparse="csr", **options)
        X, *rest = checked if isinstance(checked, tuple) else (checked,)
        return (_inputs.dense(X), *rest) if rest else _inputs.dense(X)

    def _check_resampled(self, X, X_new):
        """Raise where a network cannot read the rows that a sampler made of others."""

    def _n_subtasks(self):
        """Subtasks that a fit reports to callbacks."""
        return self.max_epochs

    # ---------------------------------------------------------------- training

    def _fit_arrays(self, X, target, weight, groups, context, valid=None):
        """Cut the validation part, resample the rest, train.

        ``valid`` are rows and class indices of a validation part that the user gave.
        """
        resolve_device(self.device)  # a missing device is an error before any work
        seed = draw_seed(self.random_state)
        hook = {"estimator": self, "X": X, "y": self.classes_[target]}
        X, target, weight, groups = _inputs.drop_zero_weights(X, target, weight, groups)
        train = X, target, weight
        if valid is not None:
            valid = (*valid, None)
        elif self.early_stopping:
            rows, held = validation_cut(
                target, self.validation_fraction, derive_seed(seed, 0), groups
            )
            train, valid = (_inputs.take((X, target, weight), part) for part in (rows, held))
        before = train[0]
        if self.resampler is not None:
            train = resample(self.resampler, *train, derive_seed(seed, 1), self.classes_)
            self._check_resampled(before, train[0])
        # an epoch is as long with synthetic rows as without them
        rows = len(before)
        self._train(train, valid, seed, self.max_epochs, context, hook, epoch_rows=rows)

    def _train(
        self, train, valid, seed, epochs, context=None, hook=None, with_end=True, epoch_rows=None
    ):
        """Train the net on (X, target, weight) parts; an epoch draws so many rows, None all."""
        X, target, weight = train
        if not self.__sklearn_is_fitted__():
            self._learn_inputs(X, weight, seed)
        n_classes = len(self.classes_)
        batches = TensorBatches
        if self.weighted_sampling:
            probability = torch.from_numpy(balanced_alpha(target, n_classes)[target])
            batches = partial(TensorBatches, probability=probability)
        callbacks = []
        if valid is not None:
            held = training_weights(valid[1], n_classes, None, valid[2])
            valid = self._tensors(*valid[:2], held)
            callbacks.append(("class_scores", ClassScores(n_classes, self.monitor)))
            if self.early_stopping:
                callbacks.append(("best_epoch", BestEpoch(self.monitor, self.patience)))
        weights = class_weight_array(self.class_weight, self.classes_)
        weight = training_weights(target, n_classes, weights, weight)
        self._run(
            self._tensors(X, target, weight, epoch_rows),
            seed,
            epochs,
            valid=valid,
            batches=batches,
            callbacks=callbacks,
            hook=hook,
            context=context,
            with_end=with_end,
            classes=np.arange(n_classes),
        )

    def _criterion(self):
        return FocalLoss(self.gamma)

    def _new_module(self):
        builder = self._as_fitted()
        module = builder._build_module(self.n_features_in_, len(self.classes_))
        if "_weights" not in self.__dict__:
            builder._initialize_module(module)
        return module

    # -------------------------------------------------------------- prediction

    def _logits(self, X):
        """Check rows and return logits (n, K) on the CPU, without skorch's loop around it."""
        net = self.net_
        x = self._encode(self._validate_X(X, reset=False))
        return self._forward(net.module_, x, net.device)
