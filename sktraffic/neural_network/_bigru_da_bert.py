"""BiGRU-DA-BERT as an estimator, for byte tokens and for feature tables."""

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from sktraffic._compat import HasMethods, StrOptions
from sktraffic.neural_network import _inputs
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._masked_byte_model import MaskedByteModel
from sktraffic.neural_network._params import COUNT, SHARE, BertParams, parameter
from sktraffic.neural_network._pretrained import bert_state, load_bert, read_folder
from sktraffic.neural_network._tokens import check_heads, check_tokens
from sktraffic.nn import BiGRUDABertNet


class BiGRUDABert(BertParams, BaseTorchClassifier):
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
        wants one more. Feature tables have none.
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
    resampler : imbalanced-learn sampler, default=None
        Cloned, seeded and applied to the training part, after the validation part is cut. Of
        tokens it must pick rows, as RandomOverSampler does: ids have no middle, and mixed ones
        are an error.
    early_stopping : bool, default=False
        Cut a validation part, or take that given to ``fit``; stop when ``monitor`` no longer
        improves and keep the best epoch's weights. The paper trains all its epochs.
    {shared parameters}

    Attributes
    ----------
    {shared attributes}

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

    gru_hidden_size: int = parameter(768, COUNT)
    gru_layers: int = parameter(2, COUNT)
    gru_dropout: float = parameter(0.5, SHARE)
    attention: str | None = parameter("differential", StrOptions({"differential", "softmax"}), None)
    shared_value: bool = parameter(False, "boolean")
    pretrained: Any = parameter(None, str, HasMethods(["__fspath__"]), MaskedByteModel, None)
    freeze_bert: bool = parameter(False, "boolean")
    lr: float = 2e-5
    batch_size: int | None = 32
    max_epochs: int = 50
    warmup_ratio: float = 0.1
    gamma: float = 2.0
    early_stopping: bool = False

    # the activations of more rows than this, at the paper's size, outgrow a small machine
    _predict_rows = 256

    def _without_effect(self):
        yield from super()._without_effect()
        if self.attention != "differential":
            yield "shared_value", f"attention={self.attention!r}"
        if self.gru_layers == 1 and self.gru_dropout:
            yield "gru_dropout", "gru_layers=1"

    def _validate_X(self, X, **options):
        first = options.get("reset")
        params = self.get_params(deep=False) if first else self._fit_params
        checked = validate_data(self, X, dtype="numeric", accept_sparse="csr", **options)
        X, *rest = checked if isinstance(checked, tuple) else (checked,)
        X = _inputs.dense(X)
        if first:
            self._reads_tokens = bool(np.issubdtype(X.dtype, np.integer))
            if not self._reads_tokens and self.pretrained is None:
                self._check_no_effect("vocab_size", "a feature table, whose columns are no tokens")
        if self._reads_tokens:
            X = check_tokens(X, params["vocab_size"], params["max_length"], type(self).__name__)
        else:
            X = X.astype(np.float64 if params["precision"] == "float64" else np.float32, copy=False)
        return (X, *rest) if rest else X

    def _check_resampled(self, X, X_new):
        if not self._reads_tokens:
            return
        mixed = _inputs.count_new_rows(X, X_new)
        if mixed:
            raise ValueError(
                f"resampler {type(self.resampler).__name__} made {mixed} rows of token ids that "
                "are not in the data: it interpolates, but ids have no middle. Use a sampler that "
                "picks rows, such as RandomOverSampler, or class_weight."
            )

    def _build_module(self, n_features, n_classes):
        check_heads(self.hidden_size, self.n_heads)
        columns = None if self._reads_tokens else n_features
        sizes = self._shared_with(BiGRUDABertNet)
        module = BiGRUDABertNet(n_classes, n_columns=columns, **sizes)
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
