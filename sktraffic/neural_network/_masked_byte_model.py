"""Masked-token pre-training of BERT on unlabelled token arrays."""

from functools import partial
from numbers import Real

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.callbacks import Callback
from torch import nn

from sktraffic._base import BaseEstimator
from sktraffic._compat import CallbackSupportMixin, Interval, _fit_context
from sktraffic.neural_network import _inputs
from sktraffic.neural_network._estimator import TorchEstimator
from sktraffic.neural_network._net import TensorBatches, TensorData
from sktraffic.neural_network._params import COUNT, BertParams, parameter
from sktraffic.neural_network._pretrained import quiet_transformers
from sktraffic.neural_network._runtime import autocast, draw_seed, resolve_device
from sktraffic.neural_network._tokens import check_heads, check_tokens
from sktraffic.nn import MaskedByteNet, mask_tokens, masked_mean


class MaskedByteModel(
    BertParams,
    TorchEstimator,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """BERT that learns from unlabelled sessions by telling tokens that were hidden from it.

    Of each session's tokens 15 % are chosen; 80 % of those become `mask_token`, 10 % another
    token, 10 % stay, and the model names what stood there (Devlin et al., 2019, section 3.1). The
    fitted model, or the folder that `save_pretrained` writes, is a starting point for
    :class:`BiGRUDABert` (``pretrained=``); `transform` gives a vector a session.

    Parameters
    ----------
    vocab_size : int, default=260
        Number of token ids, padding (0) included. ``ByteTokens`` has 259; one more is for
        `mask_token`.
    mask_probability : float, default=0.15
        Chance of a token to be chosen; every session has one chosen.
    mask_token : int, default=None
        The id that stands for a hidden token; the last of the vocabulary without it. It should
        not occur in the data.
    {shared parameters}

    Attributes
    ----------
    module_ : sktraffic.nn.MaskedByteNet
        The trained network, built again from NumPy weights when first used after unpickling.
    net_ : skorch.NeuralNetClassifier
        The net that trained it.
    history_ : pandas.DataFrame
        One row an epoch: ``epoch``, ``train_loss``, ``train_accuracy`` (of the hidden tokens,
        dropout at work), seconds (``dur``).
    n_epochs_ : int
        Epochs trained.
    n_features_in_ : int
        Tokens of a session seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where X had any.

    References
    ----------
    Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding", NAACL 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network import MaskedByteModel
    >>> tokens = np.tile(np.arange(1, 9), (64, 2))
    >>> model = MaskedByteModel(
    ...     vocab_size=10, hidden_size=16, n_layers=1, n_heads=2, lr=0.01, random_state=0
    ... ).fit(tokens)
    >>> bool(model.score(tokens) > 0.5)
    True
    >>> model.transform(tokens).shape
    (64, 16)
    """

    mask_probability: float = parameter(0.15, Interval(Real, 0, 1, closed="right"))
    mask_token: int | None = parameter(None, COUNT, None)
    lr: float = 1e-4
    batch_size: int | None = 32
    max_epochs: int = 10
    weight_decay: float = 0.01
    warmup_ratio: float = 0.1

    _predict_rows = 256

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Pre-train on sessions without labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_sessions, n_tokens)
            Token ids, 0 for padding.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If ids are negative, not whole or beyond the vocabulary, sequences are longer than
            `max_length`, there is no token but padding, or the device does not exist.

        Warns
        -----
        UserWarning
            If Ctrl-C ended the fit early, but not in its first epoch; the model is usable.

        Examples
        --------
        >>> from sktraffic.neural_network import MaskedByteModel
        >>> model = MaskedByteModel(vocab_size=9, hidden_size=8, n_layers=1, n_heads=1)
        >>> len(model.fit([[1, 2, 3, 0], [4, 5, 0, 0]]).history_)
        10
        """
        self._check_effects()
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        hook = {"estimator": self, "X": X, "y": y}
        context.call_on_fit_task_begin(**hook)
        check_heads(self.hidden_size, self.n_heads)
        if self.mask_token is not None and self.mask_token >= self.vocab_size:
            raise ValueError(
                f"mask_token={self.mask_token} is beyond vocab_size={self.vocab_size}; it must be "
                "one of the vocabulary's ids."
            )
        tokens = self._tokens(X, reset=True)
        if not tokens.any():
            raise ValueError(
                f"All of the {len(tokens)} sessions are padding (id 0); there is nothing to learn."
            )
        tokens = torch.from_numpy(tokens[tokens.any(axis=1)]).to(resolve_device(self.device))
        self._fit_params = self.get_params(deep=False)
        self._history = []
        self._forget()
        self._run(
            TensorData(tokens),
            draw_seed(self.random_state),
            self.max_epochs,
            batches=partial(MaskedBatches, mask=self._mask),
            callbacks=[("named", HiddenNamed())],
            hook=hook,
            context=context,
        )
        context.call_on_fit_task_end(**hook, reconstruction_attributes=dict)
        return self

    def transform(self, X):
        """Mean of BERT's outputs over each session's tokens.

        Parameters
        ----------
        X : array-like of shape (n_sessions, n_tokens)
            Token ids.

        Returns
        -------
        ndarray of shape (n_sessions, hidden_size)
            float32, or float64 with that precision.

        Examples
        --------
        >>> from sktraffic.neural_network import MaskedByteModel
        >>> model = MaskedByteModel(vocab_size=9, hidden_size=8, n_layers=1, n_heads=1)
        >>> model.fit_transform([[1, 2, 3, 0], [4, 5, 0, 0]]).shape
        (2, 8)
        """
        module = self.module_
        tokens = torch.from_numpy(self._tokens(X, reset=False))
        return self._forward(partial(_embedding, module), tokens, self.net_.device).numpy()

    def score(self, X, y=None):
        """Share of hidden tokens that the model names.

        The masks are the same at every call, so that scores compare.

        Parameters
        ----------
        X : array-like of shape (n_sessions, n_tokens)
            Token ids.
        y : None
            Ignored.

        Returns
        -------
        float
            Between 0 and 1; 0 where X is padding alone.

        Examples
        --------
        >>> from sktraffic.neural_network import MaskedByteModel
        >>> model = MaskedByteModel(vocab_size=9, hidden_size=8, n_layers=1, n_heads=1)
        >>> 0 <= model.fit([[1, 2, 3, 0], [4, 5, 0, 0]]).score([[1, 2, 3, 0]]) <= 1
        True
        """
        module = self.module_
        tokens = torch.from_numpy(self._tokens(X, reset=False))
        device, precision = self.net_.device, self._fit_params["precision"]
        batches = MaskedBatches(
            TensorData(tokens), self._predict_rows, torch.Generator().manual_seed(0), self._mask
        )
        hits, count = 0, 0
        with torch.inference_mode(), autocast(precision, device):
            for x, target in batches.in_order():
                logits = module(**{name: part.to(device) for name, part in x.items()})
                hits += (logits.argmax(dim=-1).cpu() == target).sum().item()
                count += len(target)
        return hits / max(count, 1)

    def save_pretrained(self, folder):
        """Write weights and configuration as transformers does.

        ``transformers.BertModel.from_pretrained(folder)`` and ``BiGRUDABert(pretrained=folder)``
        read it; so does ``BertForMaskedLM``, head included.

        Parameters
        ----------
        folder : str or path-like
            Made if there is none.

        Examples
        --------
        >>> import os, tempfile
        >>> from sktraffic.neural_network import MaskedByteModel
        >>> model = MaskedByteModel(vocab_size=9, hidden_size=8, n_layers=1, n_heads=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.fit([[1, 2, 3, 0]]).save_pretrained(folder)
        ...     sorted(os.listdir(folder))
        ['config.json', 'model.safetensors']
        """
        module = self.module_
        with quiet_transformers():
            module.lm.save_pretrained(folder)

    def _tokens(self, X, reset):
        params = self.get_params(deep=False) if reset else self._fit_params
        if not reset:
            check_is_fitted(self)
        X = validate_data(self, X, dtype="numeric", accept_sparse="csr", reset=reset)
        X = _inputs.dense(X)
        return check_tokens(X, params["vocab_size"], params["max_length"], type(self).__name__)

    def _mask(self, tokens, generator):
        params = self._fit_params
        mask_token = params["mask_token"]
        return mask_tokens(
            tokens,
            params["vocab_size"],
            params["vocab_size"] - 1 if mask_token is None else mask_token,
            params["mask_probability"],
            generator,
        )

    @property
    def module_(self):
        """The trained network."""
        return self.net_.module_

    @property
    def _n_features_out(self):
        return self._fit_params["hidden_size"]

    def _new_module(self):
        return MaskedByteNet(**self._as_fitted()._shared_with(MaskedByteNet))

    def _criterion(self):
        return nn.CrossEntropyLoss()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _embedding(module, tokens):
    """Mean of BERT's outputs over the tokens of each row: (B, T) -> (B, hidden_size)."""
    hidden, mask = module.encode(tokens)
    return masked_mean(hidden.float() if hidden.dtype is torch.bfloat16 else hidden, mask)


class MaskedBatches(TensorBatches):
    """Batches of which some tokens are hidden; the target is what stood there.

    The generator is of order and masks; ``mask`` makes of tokens (B, T) and a generator the inputs
    (B, T) and which are chosen (B, T).
    """

    def __init__(self, data, batch_size, generator, mask):
        super().__init__(data, batch_size, generator)
        self.mask = mask

    def __iter__(self):
        return self._masked(super().__iter__())

    def in_order(self):
        """Iterate without shuffling."""
        size = self.batch_size
        return self._masked(
            self.data.batch(slice(i, i + size)) for i in range(0, len(self.data), size)
        )

    def _masked(self, batches):
        for tokens, _ in batches:
            inputs, chosen = self.mask(tokens, self.generator)
            yield {"tokens": inputs, "chosen": chosen}, tokens[chosen]  # (B, T) twice, (M,)


class HiddenNamed(Callback):
    """Share of an epoch's hidden tokens that were named, in the history as ``train_accuracy``."""

    def on_epoch_begin(self, net, **kwargs):
        """Begin the count."""
        self.hits_, self.count_ = 0, 0

    def on_batch_end(self, net, batch=None, y_pred=None, training=False, **kwargs):
        """Count a batch's: logits (M, vocab_size), target (M,)."""
        self.hits_ = self.hits_ + (y_pred.argmax(dim=-1) == batch[1]).sum()
        self.count_ += len(batch[1])

    def on_epoch_end(self, net, **kwargs):
        """Record the share."""
        net.history.record("train_accuracy", float(self.hits_) / self.count_)
