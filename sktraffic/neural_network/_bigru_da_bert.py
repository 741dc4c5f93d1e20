"""BiGRU-DA-BERT as an estimator, for byte tokens and for feature tables."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import validate_data

from sktraffic._compat import HasMethods, Interval, StrOptions
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._masked_byte_model import MaskedByteModel
from sktraffic.neural_network._pretrained import (
    bert_state,
    load_bert,
    read_folder,
)
from sktraffic.neural_network._tokens import check_heads, check_tokens
from sktraffic.nn import BiGRUDABertNet

_COUNT = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")


class BiGRUDABert(BaseTorchClassifier):
    """BERT, bidirectional GRU and differential attention over sessions.

    Liang et al., "BiGRU-DA-BERT Encrypted Traffic Classification Technology Based on BERT": the
    defaults are its table 1, with focal loss. BERT's number of layers, which the paper does not
    give, is 12; with byte tokens and 20 classes the network has 117 million parameters.

    X of an integer type is byte tokens: ids from 1, and 0 for padding, which is masked
    everywhere, so that its amount changes nothing. X of a floating type is a feature table, each
    column one token, so that the estimator stands behind a scaler or ADASYN as others do.

    Parameters
    ----------
    vocab_size : int, default=260
        Number of token ids, padding (0) included; ``ByteTokens`` has 259, and pre-training
        wants one more. Unused for feature tables.
    hidden_size : int, default=768
        Width of BERT; a multiple of `n_heads`.
    n_layers : int, default=12
        BERT's layers.
    n_heads : int, default=8
        BERT's attention heads.
    intermediate_size : int, default=None
        Width of BERT's feed-forward part; 4 hidden_size without it.
    max_length : int, default=128
        BERT's positions: the most tokens, or columns, that X may have.
    dropout : float, default=0.1
        Inside BERT.
    gru_hidden_size : int, default=768
        Width of one direction of the GRU.
    gru_layers : int, default=2
    gru_dropout : float, default=0.5
        Between the GRU's layers.
    attention : {"differential", "softmax", None}, default="differential"
        What stands between GRU and mean; the paper's ablation.
    shared_value : bool, default=False
        One set of values for both halves of the differential attention, as in the Differential
        Transformer, instead of two as the paper prints.
    pretrained : str, path-like or MaskedByteModel, default=None
        Where BERT's weights start: a folder that `save_pretrained` wrote, or a fitted model. Its
        sizes must be this estimator's; more positions than `max_length` are cut. Cloning, in a
        grid search say, keeps a fitted model fitted.
    freeze_bert : bool, default=False
        Train GRU, attention and linear layer only.
    lr : float, default=2e-5
        Learning rate of Adam. It suits pre-trained weights of the paper's size; small or
        untrained networks want 1e-4 to 1e-2.
    batch_size : int, default=32
        Rows of one step.
    max_epochs : int, default=50
        Passes over the training part, at most.
    weight_decay : float, default=0.0
        Decoupled decay (AdamW); 0 is Adam.
    warmup_ratio : float, default=0.1
        Share of the steps in which the learning rate climbs from 0, after which it falls to 0
        linearly; 0 keeps it constant.
    loss : {"focal", "cross_entropy"}, default="focal"
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
        Applied to the training part, after the validation part is cut. For tokens choose one
        that picks rows, such as RandomOverSampler: ids have no middle.
    validation_fraction : float, default=0.1
        Share of real rows to watch with ``early_stopping``.
    early_stopping : bool, default=False
        Cut a validation part, stop when ``monitor`` no longer improves, keep the best weights.
        The paper trains all its epochs.
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
        Tokens or columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where X had any.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is a :class:`sktraffic.nn.BiGRUDABertNet`.
    history_ : pandas.DataFrame
        One row an epoch.
    n_epochs_ : int
        Epochs trained.
    best_epoch_ : int
        Epoch whose weights are kept, counted from 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network import BiGRUDABert
    >>> tokens = np.array([[5, 6, 7, 0], [9, 8, 7, 6]] * 16)
    >>> y = ["web", "vpn"] * 16
    >>> clf = BiGRUDABert(
    ...     hidden_size=16, n_layers=1, n_heads=2, gru_hidden_size=8, lr=0.01, max_epochs=20,
    ...     random_state=0,
    ... ).fit(tokens, y)
    >>> clf.predict(np.array([[5, 6, 7, 0]])).tolist()
    ['web']
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "vocab_size": [Interval(Integral, 2, None, closed="left")],
        "hidden_size": [_COUNT],
        "n_layers": [_COUNT],
        "n_heads": [_COUNT],
        "intermediate_size": [_COUNT, None],
        "max_length": [_COUNT],
        "dropout": [_SHARE],
        "gru_hidden_size": [_COUNT],
        "gru_layers": [_COUNT],
        "gru_dropout": [_SHARE],
        "attention": [StrOptions({"differential", "softmax"}), None],
        "shared_value": ["boolean"],
        "pretrained": [str, HasMethods(["__fspath__"]), MaskedByteModel, None],
        "freeze_bert": ["boolean"],
    }

    # the activations of more rows than this, at the paper's size, outgrow a small machine
    _predict_rows = 256

    def __init__(
        self,
        vocab_size=260,
        hidden_size=768,
        n_layers=12,
        n_heads=8,
        intermediate_size=None,
        max_length=128,
        dropout=0.1,
        gru_hidden_size=768,
        gru_layers=2,
        gru_dropout=0.5,
        attention="differential",
        shared_value=False,
        pretrained=None,
        freeze_bert=False,
        *,
        lr=2e-5,
        batch_size=32,
        max_epochs=50,
        weight_decay=0.0,
        warmup_ratio=0.1,
        loss="focal",
        gamma=2.0,
        alpha=None,
        class_weight=None,
        weighted_sampling=False,
        resampler=None,
        validation_fraction=0.1,
        early_stopping=False,
        patience=15,
        monitor="f1_weighted",
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
        warm_start=False,
        net_params=None,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.intermediate_size = intermediate_size
        self.max_length = max_length
        self.dropout = dropout
        self.gru_hidden_size = gru_hidden_size
        self.gru_layers = gru_layers
        self.gru_dropout = gru_dropout
        self.attention = attention
        self.shared_value = shared_value
        self.pretrained = pretrained
        self.freeze_bert = freeze_bert
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

    def _validate_X(self, X, **options):
        if not options.get("reset"):
            params = self._fit_params
            reads_tokens = self._reads_tokens
        else:
            params = self.get_params(deep=False)
            reads_tokens = None
        checked = validate_data(self, X, dtype="numeric", **options)
        X, *rest = checked if isinstance(checked, tuple) else (checked,)
        if reads_tokens is None:
            reads_tokens = self._reads_tokens = bool(np.issubdtype(X.dtype, np.integer))
        if reads_tokens:
            X = check_tokens(X, params["vocab_size"], params["max_length"], type(self).__name__)
        else:
            X = X.astype(np.float64 if params["precision"] == "float64" else np.float32, copy=False)
        return (X, *rest) if rest else X

    def _build_module(self, n_features, n_classes):
        check_heads(self.hidden_size, self.n_heads)
        module = BiGRUDABertNet(
            n_classes,
            self.vocab_size,
            self.hidden_size,
            self.n_layers,
            self.n_heads,
            self.intermediate_size,
            self.max_length,
            self.dropout,
            None if self._reads_tokens else n_features,
            self.gru_hidden_size,
            self.gru_layers,
            self.gru_dropout,
            self.attention,
            self.shared_value,
        )
        module.encoder.bert.requires_grad_(not self.freeze_bert)
        return module

    def _initialize_module(self, module):
        if self.pretrained is None:
            return
        if isinstance(self.pretrained, MaskedByteModel):
            if not self.pretrained.__sklearn_is_fitted__():
                raise ValueError(
                    "pretrained is a MaskedByteModel without weights; fit it first, or give the "
                    "folder of a saved one."
                )
            config, state = bert_state(self.pretrained)
        else:
            config, state = read_folder(self.pretrained)
        load_bert(
            module.encoder.bert, config, state, self.get_params(deep=False), type(self).__name__
        )

    def __sklearn_clone__(self):
        """Clone the parameters; a pre-trained model stays the one that it is, fitted."""
        cloned = super().__sklearn_clone__()
        cloned.pretrained = self.pretrained
        return cloned
