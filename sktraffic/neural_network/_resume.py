"""Training in pieces: a folder of state files from which a stopped fit goes on."""

import fcntl
import os
import pickle
import time
import zipfile
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from pathlib import Path

import torch

from sktraffic.neural_network._fingerprint import describe, differences
from sktraffic.neural_network._runtime import draw_seed, resolve_device

#: Changes when what a state file holds changes.
STATE_FORMAT = 1
_ACTIVE = ContextVar("sktraffic_resumable_training", default=None)
_READ_ERRORS = (
    OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError,
    zipfile.BadZipFile,
)  # fmt: skip


class TrainingPaused(BaseException):
    """Raised out of ``fit`` by `resumable_training` when its time is over.

    It is no error, and like KeyboardInterrupt no subclass of Exception: a search that goes on
    after a failed fit must not go on after this. The estimator is not fitted.

    Attributes
    ----------
    folder : pathlib.Path
        Where the state is.
    fit : int
        Number of the fit inside the context, from 0.
    epoch : int
        Epochs that the fit has done.
    n_epochs : int
        Epochs that it will do at most.

    Examples
    --------
    >>> import tempfile
    >>> from sktraffic.neural_network import MLPClassifier, TrainingPaused, resumable_training
    >>> X, y = [[0.0], [0.1], [0.9], [1.0]] * 5, ["web", "web", "vpn", "vpn"] * 5
    >>> clf = MLPClassifier(hidden_sizes=(8,), max_epochs=3, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         with resumable_training(folder, seconds=0):
    ...             clf.fit(X, y)
    ...     except TrainingPaused as paused:
    ...         print(paused.fit, paused.epoch, paused.n_epochs)
    0 1 3
    """

    def __init__(self, name, folder, fit, epoch, n_epochs):
        self._given = name, folder, fit, epoch, n_epochs
        self.folder, self.fit, self.epoch, self.n_epochs = folder, fit, epoch, n_epochs
        super().__init__(
            f"Time is over: {name} (fit {fit}) was paused after {epoch} of at most {n_epochs} "
            f"epochs and is not fitted. Its state is in {folder}; run the same lines with the "
            "same folder again to go on."
        )

    def __reduce__(self):
        return type(self), self._given


@contextmanager
def resumable_training(folder, *, seconds=None, every_seconds=30):
    """Keep the state of neural fits in a folder, so that a stopped training goes on from there.

    Every `fit` of this package's neural estimators inside writes its state to the folder after
    an epoch. Run again, after a pause, a crash or a kill, the same lines with the same folder
    restore what is finished and continue what is not; on the CPU the result is the same, bit for
    bit, as without a stop.

    Parameters
    ----------
    folder : str or path-like
        For this training alone; made if there is none. It can be moved to another machine
        between two runs, and deleted when all is done.
    seconds : float, default=None
        Time from entering the context after which, at an epoch's end, the state is saved and
        `TrainingPaused` raised. Leave room for an epoch and for writing. Every run trains one
        epoch at least, so 0 pauses after each. None never pauses.
    every_seconds : float, default=30
        States are written at most this often, besides those of a pause and of a fit's end.

    Raises
    ------
    TrainingPaused
        Out of a fit inside, when the time is over.
    ValueError
        If the folder is in use by another process or context; out of a fit inside, if the state
        file belongs to another fit (other data, parameters, seed, kind of device, version of
        torch) or is damaged, or if a part of the fit cannot be resumed.

    Notes
    -----
    Fits are numbered in the order in which they begin (``fit-000.pt``, ``fit-001.pt``, ...), so
    the lines inside have to be the same at every run. An ensemble counts as a fit, and so does
    each of its members.

    It holds for the thread and process that entered it: members of an ensemble are fitted one
    after the other inside, whatever `n_jobs` says, but fits in joblib's workers (a search with
    `n_jobs`) are not covered, nor is `partial_fit`. Of nested contexts the inner one counts.

    A file holds tensors and plain values only: reading one runs no code. It is written whole or
    not at all, checked when read, and up to four times as large as the weights (two moments of
    Adam, and the best weights with early stopping).

    On a GPU the result is as equal as two uninterrupted fits are there. One thing is lost at a
    stop: cuDNN's dropout between the layers of a GRU, in `BiGRUDABert` with two `gru_layers` or
    more, goes on with other draws, since its state cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from sktraffic.neural_network import MLPClassifier, TrainingPaused, resumable_training
    >>> X, y = [[0.0], [0.1], [0.9], [1.0]] * 5, ["web", "web", "vpn", "vpn"] * 5
    >>> clf = MLPClassifier(hidden_sizes=(8,), max_epochs=3, random_state=0)
    >>> runs = 0
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     while runs == 0 or paused:
    ...         runs, paused = runs + 1, False
    ...         try:
    ...             with resumable_training(folder, seconds=0):  # as small as can be
    ...                 clf = clf.fit(X, y)
    ...         except TrainingPaused:
    ...             paused = True
    >>> runs, clf.n_epochs_
    (3, 3)
    """
    for name, value in (("seconds", seconds), ("every_seconds", every_seconds)):
        optional = name == "seconds" and value is None
        if not optional and (not isinstance(value, Real) or not value >= 0):
            raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        token = _ACTIVE.set(_Training(folder, seconds, every_seconds))
        try:
            yield
        finally:
            _ACTIVE.reset(token)


def is_active():
    """Whether fits of this thread are kept."""
    return _ACTIVE.get() is not None


def begin_fit(estimator, params=None, data=None, n_epochs=None, start=None):
    """Draw the seed of a fit and, inside `resumable_training`, open its record.

    Parameters
    ----------
    estimator : object
        With ``random_state`` and ``device``.
    params : dict
        Parameters that the result depends on; those of place and printing are left out here.
        Needed inside the context only, as is what follows.
    data : dict
        Arrays by name.
    n_epochs : int or None
        Most epochs; None for a fit that consists of other fits.
    start : object, default=None
        Weights and moments that a continued fit starts from.

    Returns
    -------
    seed : int
    record : FitRecord or None
        None outside of the context.
    """
    seed = draw_seed(estimator.random_state)  # also where a file has one: a RandomState advances
    training = _ACTIVE.get()
    if training is None:
        return seed, None
    fixed = estimator.random_state is not None
    parts = {"estimator": describe(type(estimator)), "seed": str(seed) if fixed else "None"}
    left_out = {"random_state", "verbose", "n_jobs", "device", "warm_start"}
    parts |= {name: describe(value) for name, value in params.items() if name not in left_out}
    parts |= {f"data {name}": describe(value) for name, value in data.items()}
    parts |= {
        "start": describe(start),
        "epochs": str(n_epochs),
        "device": resolve_device(estimator.device).type,
        "torch": str(torch.__version__),
        "format": str(STATE_FORMAT),
    }
    record = FitRecord(training, type(estimator).__name__, n_epochs, parts, seed)
    return record.seed, record


class _Training:
    """One context: folder, clock and count of fits."""

    def __init__(self, folder, seconds, every_seconds):
        self.folder, self.every_seconds = folder, every_seconds
        self.end = None if seconds is None else time.monotonic() + seconds
        self.n_fits, self.trained = 0, False

    def time_is_over(self):
        return self.end is not None and time.monotonic() >= self.end


class FitRecord:
    """The state file of one fit.

    Attributes
    ----------
    seed : int
        Of the fit: the file's where `random_state` is None.
    """

    def __init__(self, training, name, n_epochs, fingerprint, seed):
        self._training, self._name, self._n_epochs = training, name, n_epochs
        self._fingerprint = fingerprint
        self._number = training.n_fits
        training.n_fits += 1
        self.path = training.folder / f"fit-{self._number:03d}.pt"
        self._saved = self._read()
        self.seed = seed if self._saved is None else self._saved["seed"]
        self._written = time.monotonic()
        if n_epochs is None and self._saved is None:
            self._write("parts", 0, {}, finished=True)
        elif not (self._saved and self._saved["finished"]):
            self._pause_if_over(0 if self._saved is None else self._saved["epoch"])

    def saved(self, stage):
        """State that the file holds of a stage of the fit, or None."""
        if self._saved is None or self._saved["stage"] != stage:
            return None
        return self._saved["state"]

    def take(self, stage):
        """As `saved`, and release it: it is as large as the network several times over."""
        state = self.saved(stage)
        if state is not None:
            self._saved = None
        return state

    def after_epoch(self, stage, epoch, state, finished):
        """Write the state where it is time for it; pause where time is over.

        Parameters
        ----------
        stage : str
            Part of the fit.
        epoch : int
            Epochs done, those of stages before included.
        state : callable
            Gives the state as tensors and plain values; called only to write it.
        finished : bool
            Whether the fit ends here.
        """
        training = self._training
        training.trained = True
        over = training.time_is_over()
        if finished or over or time.monotonic() - self._written >= training.every_seconds:
            self._write(stage, epoch, state(), finished)
        if not finished:
            self._pause_if_over(epoch)

    def _pause_if_over(self, epoch):
        # a run that trained nothing would never come to an end
        if self._training.trained and self._training.time_is_over():
            folder = self._training.folder
            raise TrainingPaused(self._name, folder, self._number, epoch, self._n_epochs)

    def _write(self, stage, epoch, state, finished):
        part = self.path.with_suffix(".part")
        content = {
            "format": STATE_FORMAT,
            "fingerprint": self._fingerprint,
            "seed": self.seed,
            "stage": stage,
            "epoch": epoch,
            "finished": finished,
            "state": state,
        }
        with part.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        _check_readable(part, self._name)
        os.replace(part, self.path)
        self._written = time.monotonic()

    def _read(self):
        if not self.path.exists():
            return None
        remedy = "Delete it to train this fit anew, or use another folder."
        try:
            with zipfile.ZipFile(self.path) as archive:
                broken = archive.testzip()  # torch itself does not look at the checksums
            if broken:
                raise zipfile.BadZipFile(f"{broken} has a wrong checksum")
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            fingerprint = dict(saved["fingerprint"])
            saved["seed"], saved["stage"], saved["epoch"], saved["finished"], saved["state"]
        except _READ_ERRORS as error:
            raise ValueError(
                f"The state file {self.path} cannot be read: it is damaged, or no state of a "
                f"training ({type(error).__name__}). {remedy}"
            ) from error
        differing = differences(fingerprint, self._fingerprint)
        if differing:
            raise ValueError(
                f"The state file {self.path} belongs to another fit than this {self._name}: "
                f"{differing}. Run the same lines on the same data as when it was written. {remedy}"
            )
        return saved


def _check_readable(path, name):
    """Raise now, not at the next run, where a state holds what will not be loaded."""
    try:
        torch.load(path, map_location="meta", weights_only=True)  # reads no tensor's data
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"The training state of this {name} holds more than tensors and plain values (an "
            "optimizer of net_params may), so it cannot be resumed. Use torch's own, or train "
            "without resumable_training."
        ) from error


@contextmanager
def _locked(folder):
    """Hold a folder for one process; the lock goes with the process, however that ends."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"The folder {folder} is in use by another resumable_training, here or in another "
                "process. Wait until that ends, or use another folder."
            ) from error
        yield
