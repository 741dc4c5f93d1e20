"""The skorch net inside every estimator, and the batches that it runs over.

skorch collates rows one by one and asks for the loss of each batch on the CPU. Here the data are
tensors on the network's device, a batch is a slice of them, and the loss is read once an epoch.
"""

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer, PrintLog

from sktraffic.neural_network._monitor import MONITORS, confusion, scores
from sktraffic.neural_network._runtime import autocast


class StopTraining(Exception):
    """Raised between two epochs to end a fit early."""


class TensorData(torch.utils.data.Dataset):
    """Rows, class indices and loss weights (or None) as tensors on one device."""

    def __init__(self, X, target, weight=None):
        self.X, self.target, self.weight = X, target, weight

    def __len__(self):
        return len(self.X)

    def batch(self, rows):
        """Pick rows by a slice or an index tensor: (X, (target, weight))."""
        weight = None if self.weight is None else self.weight[rows]
        return self.X[rows], (self.target[rows], weight)


class TensorBatches:
    """Iterate over a `TensorData` in slices, shuffled or drawn by weight where asked for.

    Parameters
    ----------
    data : TensorData
        n rows.
    batch_size : int
        Rows in a batch; the last may have fewer.
    generator : torch.Generator, default=None
        On the CPU, so that the order is the same on every device; None keeps the order.
    probability : Tensor of shape (n,), default=None
        Draw n rows an epoch with replacement with these probabilities instead.
    """

    def __init__(self, data, batch_size, generator=None, probability=None):
        self.data, self.batch_size = data, min(batch_size, max(1, len(data)))
        self.generator = generator
        self.cumulative = None if probability is None else probability.double().cumsum(0)

    def __len__(self):
        return -(-len(self.data) // self.batch_size)

    def __iter__(self):
        n, size = len(self.data), self.batch_size
        if self.generator is None or (n <= size and self.cumulative is None):
            # one batch holds everything: its order cannot matter
            for start in range(0, n, size):
                yield self.data.batch(slice(start, start + size))
            return
        order = self._order(n).to(self.data.X.device)
        for start in range(0, n, size):
            yield self.data.batch(order[start : start + size])

    def _order(self, n):
        if self.cumulative is None:
            return torch.randperm(n, generator=self.generator)
        draws = torch.rand(n, generator=self.generator, dtype=torch.float64)
        # rounding can leave the last edge just under a draw
        return torch.searchsorted(self.cumulative, draws * self.cumulative[-1]).clamp_(max=n - 1)


class TensorNet(NeuralNetClassifier):
    """skorch's classifier over `TensorBatches`, with the schedule and early stopping inside.

    Attributes set by the estimator before a fit, all plain: ``precision``, ``lr_factor`` (step
    and number of steps -> factor of the learning rate), ``watch`` (an `EpochWatch`),
    ``valid_data`` and ``valid_rows`` (batch size there), ``generator`` and ``probability`` of
    `TensorBatches`.
    """

    precision = "float32"
    lr_factor = watch = valid_data = generator = probability = None
    valid_rows = 4096
    interrupted_ = False
    stop_ = False

    @property
    def _default_callbacks(self):
        log = [("print_log", PrintLog())] if self.verbose else []
        return [("epoch_timer", EpochTimer()), *log]

    def check_data(self, X, y=None):
        """Nothing to check: the estimator made the data."""

    def get_split_datasets(self, X, y=None, **fit_params):
        """Training and validation part; the estimator has cut them already."""
        return X, self.valid_data

    def get_iterator(self, dataset, training=False):
        """Batches of a part; those of training are shuffled."""
        if training:
            return TensorBatches(dataset, self.batch_size, self.generator, self.probability)
        return TensorBatches(dataset, self.valid_rows)

    def infer(self, x, **fit_params):
        """Logits of a batch, in bfloat16 inside where asked for: (B, ...) -> (B, K)."""
        with autocast(self.precision, x.device):
            return self.module_(x, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Loss of a batch; y_true is (target, weight or None)."""
        target, weight = y_true
        logits = y_pred.float() if y_pred.dtype is torch.bfloat16 else y_pred
        args = () if weight is None else (weight,)
        return self.criterion_(logits, target, *args)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Skorch's loop; remembers whether Ctrl-C ended it, and ends when `stop_` is set."""
        self.interrupted_ = self.stop_ = False
        self._step = 0
        self._base_lrs = [group["lr"] for group in self.optimizer_.param_groups]
        n_epochs = self.max_epochs if epochs is None else epochs
        self._n_steps = n_epochs * -(-len(X) // min(self.batch_size, max(1, len(X))))
        try:
            return super().fit_loop(X, y, epochs=n_epochs, **fit_params)
        except StopTraining:
            return self
        except KeyboardInterrupt:
            self.interrupted_ = True
            return self
        finally:
            for group, lr in zip(self.optimizer_.param_groups, self._base_lrs, strict=True):
                group["lr"] = lr

    def on_epoch_begin(self, net, **kwargs):
        """Stop here if the last epoch's end asked for it, before a new one is on record."""
        if self.stop_:
            raise StopTraining
        super().on_epoch_begin(net, **kwargs)
        if self.watch is not None:
            self.watch.begin()

    def on_epoch_end(self, net, **kwargs):
        """Record the scores of the validation part; called before the callbacks' own."""
        super().on_epoch_end(net, **kwargs)
        if self.watch is not None:
            self.stop_ = self.watch.end(self)

    def train_step(self, batch, **fit_params):
        """One optimiser step, at the learning rate that the schedule gives this step."""
        if self.lr_factor is not None:
            factor = self.lr_factor(self._step, self._n_steps)
            for group, lr in zip(self.optimizer_.param_groups, self._base_lrs, strict=True):
                group["lr"] = lr * factor
        self._step += 1
        return super().train_step(batch, **fit_params)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run all batches; losses stay on the device until the epoch's mean is read."""
        if iterator is None:
            return
        total, n, outputs = 0.0, 0, []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            total = total + step["loss"].detach() * len(batch[0])
            n += len(batch[0])
            if not training:
                outputs.append(step["y_pred"].argmax(dim=-1))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_loss", float(total) / n)
        if not training:
            self._predicted = torch.cat(outputs)


class EpochWatch:
    """Early stopping, best weights and scikit-learn callbacks of one fit.

    Parameters
    ----------
    valid : TensorData or None
        The validation part.
    n_classes : int
        K.
    monitor : str
        A key of `MONITORS`.
    patience : int
        Epochs without a better score after which to stop.
    on_begin, on_end : callable
        Called at each epoch's begin and end; a true result of the latter stops the fit.
    """

    def __init__(self, valid, n_classes, monitor, patience, on_begin, on_end):
        self.n_classes, self.monitor, self.patience = n_classes, monitor, patience
        self.on_begin, self.on_end = on_begin, on_end
        self.target = self.weight = None
        if valid is not None:
            self.target = valid.target.cpu().numpy()
            self.weight = None if valid.weight is None else valid.weight.cpu().numpy()
        self.best_score, self.best_weights, self.best_epoch = -np.inf, None, None

    def begin(self):
        """Mark an epoch's begin."""
        self.on_begin()

    def end(self, net):
        """Score the epoch; return whether to stop."""
        epoch, stop = len(net.history), False
        if self.target is not None:
            matrix = confusion(
                self.target, net._predicted.cpu().numpy(), self.n_classes, self.weight
            )
            recorded = {**scores(matrix), "valid_loss": net.history[-1, "valid_loss"]}
            for name in {"f1_weighted", "accuracy", self.monitor} - {"valid_loss"}:
                net.history.record(name, recorded[name])
            score = MONITORS[self.monitor] * recorded[self.monitor]
            if score > self.best_score:
                self.best_score, self.best_epoch = score, epoch
                state = net.module_.state_dict()
                self.best_weights = {name: value.clone() for name, value in state.items()}
            # no best one: a loss that was never a number
            stop = epoch - (self.best_epoch or 0) >= self.patience
        return bool(self.on_end()) or stop

    def restore(self, net):
        """Put the best epoch's weights back, where a validation part chose one."""
        if self.best_weights is not None:
            net.module_.load_state_dict(self.best_weights)
