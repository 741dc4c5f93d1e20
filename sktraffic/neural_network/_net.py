"""The skorch net inside every estimator, its data and its batches.

skorch's loader collates rows one by one. Here the data are tensors on the network's device, and a
batch is a slice of them.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping, PassthroughScoring, PrintLog
from skorch.dataset import Dataset

from sktraffic.neural_network._callbacks import StopTraining
from sktraffic.neural_network._runtime import autocast
from sktraffic.nn import member_mean


class TensorData(Dataset):
    """Rows, targets and loss weights as tensors on one device.

    Parameters
    ----------
    X : Tensor of shape (n, ...), or a dict of ``X`` and ``sample_weight``
    y : Tensor of shape (n,) or None
    weight : Tensor of shape (n,) or None
    epoch_rows : int, default=None
        Rows that an epoch draws, if there are more; None draws all.
    """

    def __init__(self, X, y=None, weight=None, epoch_rows=None):
        if isinstance(X, Mapping):
            X, weight = X["X"], X["sample_weight"]
        self.X, self.y, self.weight = torch.as_tensor(X), y, weight
        self.epoch_rows = len(self.X) if epoch_rows is None else min(epoch_rows, len(self.X))

    def __len__(self):
        return len(self.X)

    def batch(self, rows):
        """Pick rows by a slice or an index tensor: (X, y); X with weights is a dict, for skorch."""
        x = self.X[rows]
        if self.weight is not None:
            x = {"X": x, "sample_weight": self.weight[rows]}
        return x, None if self.y is None else self.y[rows]


def batch_rows(batch_size, n_rows):
    """Rows of one step: as given, or for None a hundredth of all, from 8 to 128.

    Examples
    --------
    >>> from sktraffic.neural_network._net import batch_rows
    >>> [batch_rows(None, n) for n in (60, 5000, 10**6)], batch_rows(256, 60)
    ([8, 50, 128], 256)
    """
    return min(max(n_rows // 100, 8), 128) if batch_size is None else batch_size


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
        Draw the rows of an epoch with replacement with these probabilities instead.
    """

    def __init__(self, data, batch_size, generator=None, probability=None):
        self.data, self.batch_size = data, min(batch_size, max(1, len(data)))
        self.generator = generator
        self.cumulative = None if probability is None else probability.double().cumsum(0)

    def __len__(self):
        return -(-self.data.epoch_rows // self.batch_size)

    def __iter__(self):
        n, size = self.data.epoch_rows, self.batch_size
        whole = n <= size and n == len(self.data)
        if self.generator is None or (whole and self.cumulative is None):
            # one batch holds everything: its order cannot matter
            for start in range(0, n, size):
                yield self.data.batch(slice(start, start + size))
            return
        order = self._order(n).to(self.data.X.device)
        for start in range(0, n, size):
            yield self.data.batch(order[start : start + size])

    def _order(self, n):
        if self.cumulative is None:
            return torch.randperm(len(self.data), generator=self.generator)[:n]
        draws = torch.rand(n, generator=self.generator, dtype=torch.float64)
        # rounding can leave the last edge just under a draw
        drawn = torch.searchsorted(self.cumulative, draws * self.cumulative[-1])
        return drawn.clamp_(max=len(self.data) - 1)


class TensorNet(NeuralNetClassifier):
    """skorch's classifier over `TensorBatches`; the module gives logits.

    Parameters
    ----------
    module, **kwargs
        Of skorch.
    random : FitRandom, default=None
        Where dropout draws from.
    precision : str, default="float32"
        "bfloat16" computes in it.

    Attributes
    ----------
    interrupted_ : bool
        Whether Ctrl-C ended the last training.
    """

    interrupted_ = False

    def __init__(self, module, *args, random=None, precision="float32", **kwargs):
        kwargs.setdefault("train_split", None)
        super().__init__(
            module,
            *args,
            dataset=TensorData,
            iterator_valid=TensorBatches,
            predict_nonlinearity=partial(torch.softmax, dim=-1),
            **kwargs,
        )
        self.random, self.precision = random, precision

    @property
    def _default_callbacks(self):
        """Losses without marks of the best one, and a printed line where asked for."""
        losses = [
            (name, PassthroughScoring(name, lower_is_better=None, on_train=name == "train_loss"))
            for name in ("train_loss", "valid_loss")
        ]
        log = [("print_log", PrintLog())] if self.verbose else []
        return [*losses, *log]

    def check_data(self, X, y=None):
        """Nothing to check: the estimator made the data."""

    def infer(self, x, **fit_params):
        """Logits of a batch, in bfloat16 inside where asked for: (B, ...) -> (B, K)."""
        training = self.module_.training and self.random is not None
        with self.random if training else nullcontext(), autocast(self.precision, self.device):
            if not isinstance(x, Mapping):
                return self.module_(x.to(self.device), **fit_params)
            if "sample_weight" in x:
                return self.module_(x["X"], **fit_params)
            return self.module_(**x, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Loss of a batch; weights lie beside X."""
        logits = y_pred.float() if y_pred.dtype is torch.bfloat16 else y_pred
        weight = X.get("sample_weight") if isinstance(X, Mapping) else None
        if logits.ndim == 3:  # (M, B, K) of members in training: each learns from every row
            y_true = y_true.repeat(len(logits))
            weight = None if weight is None else weight.repeat(len(logits))
            logits = logits.flatten(0, 1)
        return self.criterion_(logits, y_true, *(() if weight is None else (weight,)))

    def train_step_single(self, batch, **fit_params):
        """Skorch's step; its callbacks see one prediction a row, of several members their mean."""
        step = super().train_step_single(batch, **fit_params)
        if step["y_pred"].ndim == 3:
            step["y_pred"] = member_mean(step["y_pred"].detach().float())
        return step

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Skorch's loop; tells an early stop, whoever asked for it, from Ctrl-C."""
        self.interrupted_ = False
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        except StopTraining:
            return self
        except KeyboardInterrupt:
            stopping = [cb for _, cb in self.callbacks_ if isinstance(cb, EarlyStopping)]
            self.interrupted_ = not any(cb.misses_ >= cb.patience for cb in stopping)
            return self
        finally:
            if self.history and "train_loss" not in self.history[-1]:
                del self.history[-1]  # an epoch that did not end
