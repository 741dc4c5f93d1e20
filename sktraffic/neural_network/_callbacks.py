"""What happens around the epochs of a fit, as callbacks of skorch."""

import time
import warnings

import torch
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop

from sktraffic.neural_network._scores import MONITORS, confusion, scores

#: Seconds of a fit that are worth a warning.
SLOW_FIT = 600.0


class StopTraining(KeyboardInterrupt):
    """Raised by a callback between two epochs to end a fit, as skorch's own raise its base."""


class WarmupDecay(Callback):
    """Learning rate that climbs in a share of the steps and then falls to zero, both linearly.

    The step is counted from the history, so that a fit that was loaded goes on where it was.
    """

    def __init__(self, warmup_ratio, n_epochs, n_batches):
        self.warmup_ratio, self.n_epochs, self.n_batches = warmup_ratio, n_epochs, n_batches

    def on_train_begin(self, net, **kwargs):
        """Remember the rates that the factors are of."""
        self.lrs_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set this step's rate."""
        if training:
            step = (len(net.history) - 1) * self.n_batches + len(net.history[-1]["batches"]) - 1
            n_steps = self.n_epochs * self.n_batches
            self._set(net, warmup_decay(step, n_steps, self.warmup_ratio))

    def on_train_end(self, net, **kwargs):
        """Put the rates back, for whoever trains on."""
        self._set(net, 1.0)

    def _set(self, net, factor):
        for group, lr in zip(net.optimizer_.param_groups, self.lrs_, strict=True):
            group["lr"] = lr * factor


def warmup_decay(step, n_steps, warmup_ratio):
    """Linear warm-up over the first steps, then linear decay to zero.

    The step is counted from 0, ``n_steps`` are those of the whole fit. The factor is in (0, 1]:
    never 0, so that no step is wasted.
    """
    n_warm = round(warmup_ratio * n_steps)
    if step < n_warm:
        return (step + 1) / n_warm
    return (n_steps - step) / max(1, n_steps - n_warm)


class ClassScores(Callback):
    """Scores of the validation part in the history, from the forward pass that gives its loss."""

    def __init__(self, n_classes, monitor):
        self.n_classes, self.monitor = n_classes, monitor

    def on_epoch_begin(self, net, **kwargs):
        """Begin with no predictions."""
        self.parts_ = []

    def on_batch_end(self, net, y_pred=None, training=False, **kwargs):
        """Keep a batch's predictions: (B, K) -> (B,)."""
        if not training:
            self.parts_.append(y_pred.argmax(dim=-1))

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        """Record weighted F1, accuracy and the monitor."""
        if dataset_valid is None:
            return
        target, weight = dataset_valid.y.cpu().numpy(), dataset_valid.weight
        weight = None if weight is None else weight.cpu().numpy()
        predicted = torch.cat(self.parts_).cpu().numpy()
        recorded = scores(confusion(target, predicted, self.n_classes, weight))
        for name in {"f1_weighted", "accuracy", self.monitor} - {"valid_loss"}:
            net.history.record(name, recorded[name])


class BestEpoch(EarlyStopping):
    """Early stopping of skorch with the best weights; the other callbacks finish first."""

    def __init__(self, monitor, patience):
        super().__init__(
            monitor,
            patience,
            threshold=0,
            threshold_mode="abs",
            lower_is_better=MONITORS[monitor] < 0,
            sink=noop,
            load_best=True,
        )

    def on_epoch_begin(self, net, **kwargs):
        """Stop here if the last epoch's end asked for it."""
        if self.misses_ >= self.patience:
            raise StopTraining

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch with the best; without skorch's way out."""
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            if self.misses_ < self.patience:
                raise  # Ctrl-C


class FitTasks(Callback):
    """Tell scikit-learn's callbacks of every epoch; one of them may end the fit.

    ``context`` is of the estimator's fit (None tells no one), ``hook`` what a task is told of:
    ``estimator``, ``X``, ``y``. ``n_epochs`` counts those of a checkpoint that was loaded too.
    """

    def __init__(self, context, hook, n_epochs):
        self.context, self.hook, self.n_epochs = context, hook, n_epochs
        self.stop_ = False

    def on_epoch_begin(self, net, **kwargs):
        """Begin a task, or end the fit."""
        if self.stop_ or len(net.history) > self.n_epochs:
            raise StopTraining
        if self.context is not None:
            self.task_ = self.context.subcontext(task_name="epoch")
            self.task_.call_on_fit_task_begin(**self.hook)

    def on_epoch_end(self, net, **kwargs):
        """End the task; an estimator fitted so far is a copy with today's weights."""
        if len(net.history) > 1:
            net.history[-2]["batches"].clear()  # a row a step of all epochs would be much
        if self.context is not None:
            self.stop_ = bool(
                self.task_.call_on_fit_task_end(**self.hook, reconstruction_attributes=dict)
            )


class SlowFit(Callback):
    """Warn after three steps of a fit that will take long, as long as it can be cut short.

    Parameters
    ----------
    what : str
        Whose fit, for the warning.
    n_batches, n_epochs, n_fits : int
        Steps of an epoch; epochs, at most; fits one after another.
    remedy : str
        What to do about it.
    """

    def __init__(self, what, n_batches, n_epochs, n_fits, remedy):
        self.what, self.remedy = what, remedy
        self.n_batches, self.n_epochs, self.n_fits = n_batches, n_epochs, n_fits

    def on_train_begin(self, net, **kwargs):
        """Begin with no times."""
        self.seconds_ = []

    def on_batch_begin(self, net, training=False, **kwargs):
        """Look at the clock."""
        self.begun_ = time.perf_counter()

    def on_batch_end(self, net, training=False, **kwargs):
        """Judge by the fastest of three steps: the first, and one that waited, say too much."""
        if not training or len(self.seconds_) == 3:
            return
        self.seconds_.append(time.perf_counter() - self.begun_)
        step = min(self.seconds_)
        total = step * self.n_batches * self.n_epochs * self.n_fits
        if len(self.seconds_) == 3 and total > SLOW_FIT:
            warnings.warn(
                f"{self.what} takes up to {total / 60:.0f} minutes: {step:.2g} s a step, "
                f"{self.n_batches} steps an epoch, at most {self.n_epochs} epochs, {self.n_fits} "
                f"in turn. {self.remedy}",
                UserWarning,
                stacklevel=2,
            )
