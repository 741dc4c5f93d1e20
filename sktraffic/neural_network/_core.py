"""Training, prediction and state of the neural estimators, behind their scikit-learn face."""

import warnings
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from sktraffic.neural_network import _inputs
from sktraffic.neural_network._net import EpochWatch, TensorData, TensorNet
from sktraffic.neural_network._runtime import (
    DTYPES,
    autocast,
    derive_seed,
    draw_seed,
    isolated_rng,
    resolve_device,
    to_numpy_state,
)
from sktraffic.neural_network._schedule import warmup_decay
from sktraffic.neural_network._validation import (
    class_weight_array,
    resample,
    training_weights,
    validation_cut,
)
from sktraffic.nn import FocalLoss, balanced_alpha

# net_params must not say a second time what a plain parameter says
_OWN_NET_PARAMS = {
    "module", "lr", "batch_size", "max_epochs", "device", "verbose", "warm_start", "classes",
    "train_split", "dataset", "iterator_train", "iterator_valid", "predict_nonlinearity",
}  # fmt: skip


class TorchCore:
    """Hooks and machinery of `BaseTorchClassifier`, which documents them."""

    _predict_rows = 4096

    # ------------------------------------------------------------------- hooks

    def _build_module(self, n_features, n_classes):
        """Untrained torch module, (B, ...) -> (B, K) logits: each subclass's own."""
        raise TypeError(
            f"{type(self).__name__} has no _build_module(n_features, n_classes), which a "
            "subclass of BaseTorchClassifier must define."
        )

    def _initialize_module(self, module):
        """Change a new module in place before training."""

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
            return validate_data(self, X, dtype=dtype, **options)

    def _encode(self, X):
        """Array -> tensor on the CPU."""
        return _inputs.as_tensor(X)

    def _optimizer_params(self):
        """Skorch's optimiser and its settings."""
        return {
            "optimizer": torch.optim.AdamW,  # Adam where weight_decay is 0
            "optimizer__weight_decay": self.weight_decay,
            "optimizer__fused": True,
        }

    def _schedule(self):
        """Factor of the learning rate at a step; None keeps it constant."""
        if not self.warmup_ratio:
            return None
        return partial(warmup_decay, warmup_ratio=self.warmup_ratio)

    def _n_subtasks(self):
        """Subtasks that a fit reports to callbacks."""
        return self.max_epochs

    def _forget(self):
        """Drop what an earlier fit left."""
        for name in ("_net", "_weights"):
            self.__dict__.pop(name, None)

    # ---------------------------------------------------------------- training

    def _fit_arrays(self, X, target, weight, groups, context):
        """Cut the validation part, resample the rest, train."""
        resolve_device(self.device)  # a missing device is an error before any work
        seed = draw_seed(self.random_state)
        train, valid = (X, target, weight), None
        if self.early_stopping:
            rows, held = validation_cut(
                target, self.validation_fraction, derive_seed(seed, 0), groups
            )
            take = partial(_inputs.take, (X, target, weight))
            train, valid = take(rows), take(held)
        if self.resampler is not None:
            train = resample(self.resampler, *train, derive_seed(seed, 1))
        hook_data = X, self.classes_[target]
        self._train(train, valid, seed, self.max_epochs, context, hook_data)

    def _train(self, train, valid, seed, epochs, context=None, hook_data=(None, None)):
        """Train the net on (X, target, weight) parts; a first call builds it."""
        device = resolve_device(self.device)
        done = len(self._history)
        X, target, weight = train
        n_classes = len(self.classes_)
        previous = self.net_ if self.__sklearn_is_fitted__() else None
        self._alpha = self._loss_alpha(target, n_classes)
        with isolated_rng(derive_seed(seed, 2, done), device):
            net = self._build_net(device, previous)
            self._net = net
            net.generator = torch.Generator().manual_seed(derive_seed(seed, 3, done))
            if self.weighted_sampling:
                net.probability = torch.from_numpy(balanced_alpha(target, n_classes)[target])
            weights = class_weight_array(self.class_weight, self.classes_)
            weight = training_weights(target, n_classes, weights, weight)
            if valid is not None:
                held = training_weights(valid[1], n_classes, None, valid[2])
                net.valid_data = self._tensors(*valid[:2], held, device)
            net.watch = EpochWatch(
                net.valid_data, n_classes, self.monitor, self.patience,
                *self._epoch_hooks(context, hook_data),
            )  # fmt: skip
            net.lr_factor = self._schedule() if epochs > 1 else None
            try:
                net.partial_fit(self._tensors(X, target, weight, device), epochs=epochs)
            except BaseException:
                self._forget()  # a fit that failed must not pass for a fitted estimator
                raise
            self._finish(net, done, epochs)

    def _finish(self, net, done, epochs):
        """Keep the best weights and the history; release the data; tell of an interruption."""
        net.watch.restore(net)
        net.module_.eval()
        best = net.watch.best_epoch
        rows = [row for row in net.history if "train_loss" in row]
        self._history = self._history + [
            {**{k: v for k, v in row.items() if k != "batches"}, "epoch": done + i}
            for i, row in enumerate(rows, start=1)
        ]
        self.best_epoch_ = done + (len(rows) if best is None else best)
        self._interrupted = net.interrupted_
        net.watch = net.valid_data = net.generator = net.probability = net.lr_factor = None
        if rows and not np.isfinite(rows[-1]["train_loss"]):
            warnings.warn(
                f"The training loss of {type(self).__name__} is {rows[-1]['train_loss']} after "
                f"{len(rows)} epochs: it diverged. Lower lr or standardise the features.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if net.interrupted_:
            kept = "as they were then" if best is None else f"of epoch {self.best_epoch_}"
            warnings.warn(
                f"{type(self).__name__}.fit was interrupted after {len(rows)} of {epochs} epochs. "
                f"The estimator keeps the weights {kept} and can be used, or trained further "
                "with warm_start=True.",
                UserWarning,
                stacklevel=4,
            )

    def _epoch_hooks(self, context, data):
        """Functions that tell scikit-learn's callbacks of an epoch's begin and end."""
        if context is None:
            return (lambda: None), (lambda: False)
        X, y = data
        running = []

        def begin():
            running[:] = [context.subcontext(task_name="epoch")]
            running[0].call_on_fit_task_begin(estimator=self, X=X, y=y)

        def end():
            # an estimator fitted so far is self, copied with its weights
            return running[0].call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=dict
            )

        return begin, end

    def _tensors(self, X, target, weight, device):
        """Parts as tensors on the device."""
        dtype = DTYPES[self._fit_params["precision"]]
        weight = None if weight is None else torch.from_numpy(weight).to(device, dtype)
        return TensorData(
            self._to_device(self._encode(X), device),
            torch.from_numpy(np.asarray(target, dtype=np.int64)).to(device),
            weight,
        )

    def _to_device(self, x, device):
        """Move to the device, floats in the network's precision."""
        dtype = DTYPES[self._fit_params["precision"]] if x.is_floating_point() else None
        return x.to(device=device, dtype=dtype)

    def _loss_alpha(self, target, n_classes):
        """Parameter ``alpha`` as numbers; one for each class or one for all."""
        if self.loss != "focal" or self.alpha is None:
            return None
        if isinstance(self.alpha, str):
            return balanced_alpha(target, n_classes)
        alpha = np.asarray(self.alpha, dtype=np.float64)
        if alpha.ndim and alpha.shape != (n_classes,):
            raise ValueError(
                f"alpha has shape {alpha.shape}, but y has {n_classes} classes. Pass one weight "
                "for each class in the order of classes_, one number, 'balanced' or None."
            )
        return alpha

    def _build_net(self, device, previous=None):
        """Return a skorch net around a new module, or around that of an earlier net."""
        module = self._new_module() if previous is None else previous.module_
        module = module.to(device=device)
        if self._fit_params["precision"] == "float64":
            module = module.double()
        gamma = self.gamma if self.loss == "focal" else 0.0
        net = TensorNet(
            module,
            **{
                "criterion": FocalLoss(gamma, self._alpha),
                **self._optimizer_params(),
                **_inputs.check_net_params(self.net_params, _OWN_NET_PARAMS),
            },
            lr=self.lr,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            device=device,
            verbose=int(self.verbose),
        )
        net.precision, net.valid_rows = self._fit_params["precision"], self._predict_rows
        net.initialize()
        if previous is not None:
            _carry_optimizer(previous.optimizer_, net.optimizer_)
        return net

    def _new_module(self):
        """Build the module with the parameters of fit's time: set_params may have followed."""
        builder = object.__new__(type(self))
        builder.__dict__.update(self.__dict__)
        builder.__dict__.update(self._fit_params)
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

    def _forward(self, function, x, device):
        """Run a function over slices of a tensor: (n, ...) -> (n, K) on the CPU."""
        with torch.inference_mode(), autocast(self._fit_params["precision"], device):
            parts = [
                function(self._to_device(x[i : i + self._predict_rows], device))
                for i in range(0, len(x), self._predict_rows)
            ]
            result = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
            return result.float().cpu() if result.dtype is torch.bfloat16 else result.cpu()

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


def _carry_optimizer(old, new):
    """Give a new optimiser the moments of an old one over the same parameters."""
    if type(old) is type(new) and len(old.param_groups) == len(new.param_groups):
        groups = new.state_dict()["param_groups"]
        new.load_state_dict({"state": old.state_dict()["state"], "param_groups": groups})
