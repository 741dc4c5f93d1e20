"""Masked-token pre-training of BERT on unlabelled token arrays."""

import warnings
from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sktraffic._compat import CallbackSupportMixin, Interval, StrOptions, _fit_context
from sktraffic.neural_network._masked_state import MaskedState
from sktraffic.neural_network._masked_training import (
    MaskedTraining,
    embeddings,
    run_masked_training,
    share_named,
)
from sktraffic.neural_network._pretrained import quiet_transformers
from sktraffic.neural_network._runtime import (
    DTYPES,
    derive_seed,
    draw_seed,
    isolated_rng,
    resolve_device,
)
from sktraffic.neural_network._tokens import check_heads, check_tokens
from sktraffic.nn import mask_tokens

_COUNT = Interval(Integral, 1, None, closed="left")


class MaskedByteModel(
    MaskedState,
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
    hidden_size : int, default=768
        Width of BERT; a multiple of `n_heads`.
    n_layers : int, default=12
    n_heads : int, default=8
    intermediate_size : int, default=None
        Width of the feed-forward part; 4 hidden_size without it.
    max_length : int, default=128
        Most tokens of a session.
    dropout : float, default=0.1
    mask_probability : float, default=0.15
        Chance of a token to be chosen; every session has one chosen.
    mask_token : int, default=None
        The id that stands for a hidden token; the last of the vocabulary without it. It should
        not occur in the data.
    lr : float, default=1e-4
        Of AdamW.
    batch_size : int, default=32
        Sessions of one step.
    max_epochs : int, default=10
    weight_decay : float, default=0.01
        Of AdamW.
    warmup_ratio : float, default=0.1
        Share of the steps in which the learning rate climbs; then it falls to 0 linearly.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", or "auto" for a GPU where there is one.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        bfloat16 keeps float32 weights.
    random_state : int, RandomState or None, default=None
        Seed of weights, masks, order and dropout.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    module_ : sktraffic.nn.MaskedByteNet
        The trained network, built again from NumPy weights when first used after unpickling.
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

    _parameter_constraints: dict = {
        "vocab_size": [Interval(Integral, 2, None, closed="left")],
        "hidden_size": [_COUNT],
        "n_layers": [_COUNT],
        "n_heads": [_COUNT],
        "intermediate_size": [_COUNT, None],
        "max_length": [_COUNT],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "mask_probability": [Interval(Real, 0, 1, closed="right")],
        "mask_token": [_COUNT, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [_COUNT],
        "max_epochs": [_COUNT],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_ratio": [Interval(Real, 0, 1, closed="both")],
        "device": [str],
        "precision": [StrOptions(set(DTYPES))],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        vocab_size=260,
        hidden_size=768,
        n_layers=12,
        n_heads=8,
        intermediate_size=None,
        max_length=128,
        dropout=0.1,
        *,
        mask_probability=0.15,
        mask_token=None,
        lr=1e-4,
        batch_size=32,
        max_epochs=10,
        weight_decay=0.01,
        warmup_ratio=0.1,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.intermediate_size = intermediate_size
        self.max_length = max_length
        self.dropout = dropout
        self.mask_probability = mask_probability
        self.mask_token = mask_token
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Pre-train on sessions without labels.

        Parameters
        ----------
        X : array-like of shape (n_sessions, n_tokens)
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
            If Ctrl-C ended the fit early; the model is usable.

        Examples
        --------
        >>> from sktraffic.neural_network import MaskedByteModel
        >>> model = MaskedByteModel(vocab_size=9, hidden_size=8, n_layers=1, n_heads=1)
        >>> len(model.fit([[1, 2, 3, 0], [4, 5, 0, 0]]).history_)
        10
        """
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
        tokens = tokens[tokens.any(axis=1)]
        self._fit_params = self.get_params(deep=False)
        device = resolve_device(self.device)
        self._forget()
        seed = draw_seed(self.random_state)
        with isolated_rng(derive_seed(seed, 0), device):
            self._module = self._build_module(device)
            self._history = []
            try:
                self._train(tokens, seed, context)
            except BaseException:
                self._forget()  # a fit that failed must not pass for a fitted model
                raise
        self._module.eval()
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
        return embeddings(module, tokens, self._fit_params["precision"]).numpy()

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
        return share_named(module, tokens, self._mask, self._fit_params["precision"])

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
        X = validate_data(self, X, dtype="numeric", reset=reset)
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

    def _train(self, tokens, seed, context):
        """Train on all tokens, an epoch at a time; Ctrl-C ends it and keeps what is learned."""
        training = MaskedTraining(
            self._module,
            torch.from_numpy(tokens),
            self._mask,
            self._fit_params,
            derive_seed(seed, 1),
        )
        hook = {"estimator": self, "X": tokens, "y": None}

        def at_end(row):
            if self.verbose:
                print("  ".join(f"{key}: {value:.4g}" for key, value in row.items()))
            task = context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(**hook)
            return task.call_on_fit_task_end(**hook, reconstruction_attributes=dict)

        try:
            run_masked_training(training, self._history, self.max_epochs, at_end)
        except KeyboardInterrupt:
            warnings.warn(
                f"{type(self).__name__}.fit was interrupted after {len(self._history)} of "
                f"{self.max_epochs} epochs. It keeps the weights as they were then and can be "
                "used.",
                UserWarning,
                stacklevel=3,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags
