"""Checks of token arrays: integer ids inside the vocabulary, no longer than BERT's positions."""

import numpy as np


def check_tokens(X, vocab_size, max_length, name):
    """Return token ids (n_samples, n_tokens) as int64, or raise.

    Floats must be whole. Ids go from 0 (padding) to ``vocab_size - 1``, a row has at most
    ``max_length``; all else is a ValueError that says so in the name of the estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network._tokens import check_tokens
    >>> check_tokens(np.array([[5.0, 0.0]]), 260, 128, "BiGRUDABert").dtype
    dtype('int64')
    """
    if X.shape[1] > max_length:
        raise ValueError(
            f"{name} got sequences of {X.shape[1]} tokens, longer than max_length={max_length}. "
            "Cut them, or raise max_length."
        )
    if not np.issubdtype(X.dtype, np.integer):
        fractions = X[np.floor(X) != X]
        if fractions.size:
            raise ValueError(
                f"{name} reads token ids, got the value {fractions[0]!r}. Token ids are whole "
                "numbers; ByteTokens makes them from a session table."
            )
    low, high = X.min(), X.max()
    if low < 0:
        raise ValueError(
            f"Negative values in data passed to {name}: the token id {int(low)}. Ids go from 0 "
            f"(padding) to vocab_size - 1 = {vocab_size - 1}."
        )
    if high >= vocab_size:
        raise ValueError(
            f"{name} got the token id {int(high)}, beyond vocab_size={vocab_size}: ids go from 0 "
            f"(padding) to {vocab_size - 1}. Set vocab_size to at least {int(high) + 1}."
        )
    return X.astype(np.int64, copy=False)


def check_heads(hidden_size, n_heads):
    """Raise unless the heads share the hidden units evenly."""
    if hidden_size % n_heads:
        raise ValueError(
            f"hidden_size={hidden_size} is no multiple of n_heads={n_heads}; each head takes an "
            "equal part of the hidden units."
        )
