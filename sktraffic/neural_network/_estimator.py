"""Training, prediction and state that every neural estimator has, behind its scikit-learn face."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping, EpochTimer
from skorch.helper import predefined_split

from sktraffic.neural_network import _inputs
from sktraffic.neural_network._callbacks import FitTasks, WarmupDecay
from sktraffic.neural_network._net import TensorBatches, TensorData, TensorNet, batch_rows
from sktraffic.neural_network._params import TrainingParams
from sktraffic.neural_network._random import FitRandom
from sktraffic.neural_network._runtime import (
    DTYPES,
    autocast,
    derive_seed,
    load_numpy_state,
    resolve_device,
    to_numpy_state,
    usable_device,
)

# net_params must not say a second time what a plain parameter says
_OWN_NET_PARAMS = {
    "module", "lr", "batch_size", "max_epochs", "device", "verbose", "warm_start", "classes",
    "train_split", "dataset", "iterator_train", "iterator_valid", "predict_nonlinearity", "random",
    "precision",
}  # fmt: skip


class TorchEstimator(TrainingParams):
    """An estimator around a skorch net.

    A subclass gives ``_new_module``, the module that its fitted parameters describe, and
    ``_criterion``. After a fit the net is in ``_net``, after unpickling its weights are in
    ``_weights`` until it is needed.
    """

    _predict_rows = 4096

    # ------------------------------------------------------------------- hooks

    def _new_module(self):
        """Untrained module, with the parameters of the time of ``fit``: set_params may follow."""
        raise NotImplementedError

    def _criterion(self):
        """Loss of logits and targets."""
        raise NotImplementedError

    def _encode(self, X):
        """Array -> tensor on the CPU."""
        return _inputs.as_tensor(X)

    def _optimizer_params(self):
        """Skorch's optimiser and its settings."""
        if "optimizer" in (self.net_params or {}):
            return {}
        return {
            "optimizer": torch.optim.AdamW,  # Adam where weight_decay is 0
            "optimizer__weight_decay": self.weight_decay,
            "optimizer__fused": True,
        }

    # ---------------------------------------------------------------- training

    def _run(
        self, data, seed, epochs, *, valid=None, batches=TensorBatches, callbacks=(), hook=None,
        context=None, with_end=True, classes=None,
    ):  # fmt: skip
        """Train the net on data; a first call builds it.

        Parameters
        ----------
        data, valid : TensorData
            ``valid`` may be None.
        seed : int
            Of the fit.
        epochs : int
        batches : callable
            Data, batch size and generator -> iterable of batches.
        callbacks : sequence of (name, skorch callback)
        hook, context : dict, CallbackContext
            What scikit-learn's callbacks are told.
        with_end : bool
            Whether the learning rate may fall towards the end.
        classes : ndarray
            Of the targets, for skorch's scores.
        """
        done = len(self._history)
        device = resolve_device(self.device)
        order = torch.Generator().manual_seed(derive_seed(seed, 3, done))
        size = batch_rows(self.batch_size, len(data))
        own = [*callbacks, ("epoch_timer", EpochTimer())]
        own.append(("fit_tasks", FitTasks(context, hook, epochs)))
        n_batches = len(TensorBatches(data, size))
        own += self._watchers(n_batches, epochs)
        if self.warmup_ratio and with_end:
            own.append(("warmup_decay", WarmupDecay(self.warmup_ratio, epochs, n_batches)))
        previous = self.net_ if self.__sklearn_is_fitted__() else None
        net = self._net = self._build_net(
            device,
            previous,
            FitRandom(derive_seed(seed, 2, done)),
            own,
            classes=classes,
            train_split=None if valid is None else predefined_split(valid),
            iterator_train=partial(batches, generator=order),
            batch_size=size,
        )
        try:
            net.partial_fit(data, epochs=epochs)
            if net.interrupted_ and not net.history and previous is None:
                raise KeyboardInterrupt  # nothing is learned that could be used
        except BaseException:
            self._forget()  # a fit that failed must not pass for a fitted estimator
            raise
        self._finish(net, done, epochs)

    def _watchers(self, n_batches, epochs):
        """Return further callbacks of a training: pairs of a name and a callback."""
        return []

    def _build_net(self, device, previous=None, random=None, own=(), **training):
        """Return a skorch net around a new module, or around that of an earlier net."""
        given = _inputs.check_net_params(self.net_params, _OWN_NET_PARAMS)
        if previous is None:
            with random or FitRandom(0):  # what is drawn at loading is thrown away
                module = self._new_module()
        else:
            module = previous.module_
        module = module.to(device=device)
        if self._fit_params["precision"] == "float64":
            module = module.double()
        callbacks = [*own, *(given.pop("callbacks", None) or [])]
        net = TensorNet(
            module,
            **{"criterion": self._criterion(), **self._optimizer_params(), **given, **training},
            callbacks=callbacks,
            lr=self.lr,
            max_epochs=self.max_epochs,
            device=device,
            verbose=int(self.verbose),
            random=random,
            precision=self._fit_params["precision"],
            iterator_valid__batch_size=self._predict_rows,
        )
        net.initialize()
        if previous is not None:
            _carry_optimizer(previous.optimizer_, net.optimizer_)
        return net

    def _finish(self, net, done, epochs):
        """Keep the history; release the data; tell of divergence and of an interruption."""
        net.module_.eval()
        rows = [_plain_row(row, done) for row in net.history]
        self._history = self._history + rows
        best = [
            cb.best_epoch_
            for _, cb in net.callbacks_
            if isinstance(cb, EarlyStopping) and cb.load_best and cb.best_epoch_
        ]
        self.best_epoch_ = done + (best[-1] if best else len(rows))
        self._interrupted = net.interrupted_
        for name in ("class_scores", "best_epoch", "fit_tasks", "warmup_decay", "slow_fit"):
            net.callbacks_ = [pair for pair in net.callbacks_ if pair[0] != name]
        net.callbacks = None
        net.train_split, net.iterator_train, net.random = None, TensorBatches, None
        if rows and not np.isfinite(rows[-1]["train_loss"]):
            warnings.warn(
                f"The training loss of {type(self).__name__} is {rows[-1]['train_loss']} after "
                f"{len(rows)} epochs: it diverged. Lower lr or standardise the features.",
                ConvergenceWarning,
                stacklevel=5,
            )
        if net.interrupted_:
            kept = f"of epoch {self.best_epoch_}" if best else "as they were then"
            warnings.warn(
                f"{type(self).__name__}.fit was interrupted after {len(rows)} of {epochs} epochs. "
                f"It keeps the weights {kept} and can be used.",
                UserWarning,
                stacklevel=5,
            )

    def _to_device(self, x, device):
        """Move to the device, floats in the network's precision."""
        dtype = DTYPES[self._fit_params["precision"]] if x.is_floating_point() else None
        return x.to(device=device, dtype=dtype)

    def _tensors(self, X, target, weight=None, epoch_rows=None):
        """Parts as tensors on the device."""
        device = resolve_device(self.device)
        if weight is not None:
            weight = self._to_device(torch.from_numpy(weight), device)
        target = torch.from_numpy(np.asarray(target, dtype=np.int64)).to(device)
        return TensorData(self._to_device(self._encode(X), device), target, weight, epoch_rows)

    def _forward(self, function, x, device):
        """Run a function over slices of a tensor: (n, ...) -> (..., n, K) on the CPU."""
        with torch.inference_mode(), autocast(self._fit_params["precision"], device):
            parts = [
                function(self._to_device(x[i : i + self._predict_rows], device))
                for i in range(0, len(x), self._predict_rows)
            ]
            result = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
            return result.float().cpu() if result.dtype is torch.bfloat16 else result.cpu()

    # ------------------------------------------------------------------- state

    @property
    def net_(self):
        """The skorch net, built from the stored weights where a pickle was loaded."""
        if "_net" not in self.__dict__:
            check_is_fitted(self)
            net = self._build_net(usable_device(self.device))
            load_numpy_state(net.module_, self._weights)
            net.module_.eval()
            self._net = net
            del self._weights
        return self._net

    @property
    def history_(self):
        """One row an epoch: epoch, losses, scores of the validation part, seconds (``dur``)."""
        check_is_fitted(self)
        return pd.DataFrame(self._history)

    @property
    def n_epochs_(self):
        """Number of epochs trained."""
        check_is_fitted(self)
        return len(self._history)

    def _forget(self):
        """Drop what an earlier fit left."""
        for name in ("_net", "_weights"):
            self.__dict__.pop(name, None)

    def _as_fitted(self):
        """Return a copy with the parameters of the time of ``fit``."""
        fitted = object.__new__(type(self))
        fitted.__dict__.update(self.__dict__)
        fitted.__dict__.update(self._fit_params)
        return fitted

    def __sklearn_is_fitted__(self):
        """Whether there are weights."""
        return "_net" in self.__dict__ or "_weights" in self.__dict__

    def __getstate__(self):
        """State for pickling: the net as NumPy arrays, so that no torch object is stored."""
        state = dict(super().__getstate__())
        net = state.pop("_net", None)
        if net is not None:
            state["_weights"] = to_numpy_state(net.module_)
        return state


def _plain_row(row, done):
    """Epoch of skorch's history without its batches, numbered on from earlier fits."""
    row = {k: v for k, v in row.items() if k != "batches" and not k.endswith("_batch_count")}
    return {**row, "epoch": done + row["epoch"]}


def _carry_optimizer(old, new):
    """Give a new optimiser the moments of an old one over the same parameters."""
    if type(old) is type(new) and len(old.param_groups) == len(new.param_groups):
        groups = new.state_dict()["param_groups"]
        new.load_state_dict({"state": old.state_dict()["state"], "param_groups": groups})
