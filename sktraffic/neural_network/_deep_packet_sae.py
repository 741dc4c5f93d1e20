"""Deep Packet's stacked auto-encoder as an estimator."""

from numbers import Integral, Real

import pandas as pd
import torch

from sktraffic._compat import Interval
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._bytes import ByteInputs, check_sizes
from sktraffic.neural_network._runtime import DTYPES, derive_seed, resolve_device
from sktraffic.nn import DeepPacketSAENet, pretrain_layers


class DeepPacketSAE(ByteInputs, BaseTorchClassifier):
    """Deep Packet's stacked auto-encoder over bytes.

    Lotfollahi et al. (2020): layers of 400, 300, 200, 100 and 50 units with dropout. Each learns,
    from the bottom up and without labels, to code what enters it; then all of them and a linear
    layer are trained with labels.

    X of an integer type is bytes, which are divided by 255; the paper takes 1500 of a packet, zeros
    behind short ones. X of a floating type is used as it is.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(400, 300, 200, 100, 50)
        Width of every layer.
    dropout : float, default=0.05
        After every layer.
    pretrain_epochs : int, default=10
        Passes over the training part for each layer before the labels are used; 0 leaves the
        pre-training out.
    pretrain_lr : float, default=0.001
        Learning rate of Adam in the pre-training.
    lr : float, default=0.001
        Learning rate of Adam.
    batch_size : int, default=256
        Rows of one step.
    max_epochs : int, default=200
        Passes over the training part, at most.
    weight_decay : float, default=0.0
        Decoupled decay (AdamW); 0 is Adam.
    warmup_ratio : float, default=0.0
        Share of the steps in which the learning rate climbs from 0, after which it falls to 0
        linearly; 0 keeps it constant.
    loss : {"cross_entropy", "focal"}, default="cross_entropy"
        What is minimised.
    gamma : float, default=2.0
        Focusing exponent of the focal loss; unused by the cross-entropy.
    alpha : float, array-like of shape (n_classes,), "balanced" or None, default=None
        Class weights of the focal loss; unused by the cross-entropy.
    class_weight : dict, "balanced" or None, default=None
        Factor of each class's rows in either loss.
    weighted_sampling : bool, default=False
        Draw batches with replacement so that all classes come equally often.
    resampler : imbalanced-learn sampler, default=None
        Applied to the training part, after the validation part is cut.
    validation_fraction : float, default=0.1
        Share of real rows to watch with ``early_stopping``.
    early_stopping : bool, default=True
        Cut a validation part, stop when ``monitor`` no longer improves, keep the best weights.
    patience : int, default=15
        Epochs without improvement after which to stop.
    monitor : {"f1_weighted", "f1_macro", "accuracy", "balanced_accuracy", "valid_loss"}, \
default="f1_weighted"
        What early stopping watches.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", or "auto" for a GPU where there is one.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        bfloat16 keeps float32 weights.
    random_state : int, RandomState or None, default=None
        Seed of cut, resampler, weights, order and dropout.
    verbose : int, default=0
        1 prints a line an epoch.
    warm_start : bool, default=False
        Go on from the last fit's weights.
    net_params : dict, default=None
        Further parameters of the skorch net.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where X had any.
    net_ : skorch.NeuralNetClassifier
        The trained net.
    history_ : pandas.DataFrame
        One row an epoch.
    n_epochs_ : int
        Epochs trained.
    best_epoch_ : int
        Epoch whose weights are kept, counted from 1.
    pretrain_history_ : pandas.DataFrame
        Mean squared error of the pre-training: ``layer``, ``epoch``, ``loss``.

    References
    ----------
    Lotfollahi et al., "Deep packet: a novel approach for encrypted traffic classification using
    deep learning", Soft Computing 24(3), 1999-2012, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network import DeepPacketSAE
    >>> X = np.array([[71, 69, 84, 32], [22, 3, 1, 2]] * 16, dtype=np.uint8)
    >>> y = ["http", "tls"] * 16
    >>> clf = DeepPacketSAE((8, 4), lr=0.01, max_epochs=30, random_state=0)
    >>> clf.fit(X, y).predict(X[:2]).tolist()
    ['http', 'tls']
    >>> clf.pretrain_history_["layer"].nunique()
    2
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "hidden_sizes": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "pretrain_epochs": [Interval(Integral, 0, None, closed="left")],
        "pretrain_lr": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_sizes=(400, 300, 200, 100, 50),
        dropout=0.05,
        pretrain_epochs=10,
        pretrain_lr=0.001,
        *,
        lr=0.001,
        batch_size=256,
        max_epochs=200,
        weight_decay=0.0,
        warmup_ratio=0.0,
        loss="cross_entropy",
        gamma=2.0,
        alpha=None,
        class_weight=None,
        weighted_sampling=False,
        resampler=None,
        validation_fraction=0.1,
        early_stopping=True,
        patience=15,
        monitor="f1_weighted",
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
        warm_start=False,
        net_params=None,
    ):
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_lr = pretrain_lr
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        self.loss = loss
        self.gamma = gamma
        self.alpha = alpha
        self.class_weight = class_weight
        self.weighted_sampling = weighted_sampling
        self.resampler = resampler
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.monitor = monitor
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.net_params = net_params

    def _build_module(self, n_features, n_classes):
        check_sizes("hidden_sizes", self.hidden_sizes, length=None, at_least=1)
        return DeepPacketSAENet(n_features, n_classes, tuple(self.hidden_sizes), self.dropout)

    def _train(self, train, valid, seed, epochs, context=None, hook_data=(None, None)):
        # the layers are pre-trained where the module is initialised, on the rows of this fit
        self._pretraining = {"train": train, "seed": seed}
        try:
            super()._train(train, valid, seed, epochs, context, hook_data)
            losses = self._pretraining.get("losses")
        finally:
            del self._pretraining
        if losses is not None:
            self.pretrain_history_ = pd.DataFrame(
                list(_number(losses)),
                columns=["layer", "epoch", "loss"],
            )

    def _initialize_module(self, module):
        device, dtype = resolve_device(self.device), DTYPES[self.precision]
        X, _, weight = self._pretraining["train"]
        self._pretraining["losses"] = pretrain_layers(
            module.to(device, dtype),
            self._encode(X).to(device, dtype),
            None if weight is None else torch.as_tensor(weight).to(device, dtype),
            self.pretrain_lr,
            self.batch_size,
            self.pretrain_epochs,
            torch.Generator().manual_seed(derive_seed(self._pretraining["seed"], 4)),
        )


def _number(losses):
    """Layer, epoch and loss of nested lists, counted from 1."""
    for layer, row in enumerate(losses, start=1):
        for epoch, loss in enumerate(row, start=1):
            yield layer, epoch, loss
