"""Embeddings of packet sequences, learned from labels that captures bring along."""

from typing import Any

import numpy as np
import torch.nn.functional as F
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from sktraffic._base import BaseEstimator
from sktraffic._compat import _fit_context
from sktraffic.neural_network._packet_sequence import PacketSequenceClassifier
from sktraffic.neural_network._params import COUNT, KeywordParams, parameter
from sktraffic.sessions import check_sessions


class SequenceEncoder(
    KeywordParams, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Learn what sessions look like from captures that nobody has labelled.

    Metric learning on labels that come for nothing: what nDPI calls a session, the server name
    that it asks for, or the capture that it is from. A network with a cosine head learns to tell
    these apart; its last layer before the head is the embedding, in which sessions of one origin
    are close. The embedding serves any classifier, nearest neighbours above all, and the network is
    a starting point for :class:`PacketSequenceClassifier` (``pretrained=``).

    Parameters
    ----------
    labels : str, default="application"
        The column of the session table that holds the free labels: "application", "sni",
        "capture", or any other.
    min_count : int, default=5
        Labels of fewer sessions are left out, as are sessions without a label.
    estimator : PacketSequenceClassifier, default=None
        What learns; None is ``PacketSequenceClassifier(head="cosine", statistics=None)``.

    Attributes
    ----------
    estimator_ : PacketSequenceClassifier
        Fitted on the free labels.
    classes_ : ndarray of str
        The free labels that were told apart.
    n_features_in_, feature_names_in_
        The columns that are read at `transform`.

    See Also
    --------
    PacketSequenceClassifier : ``pretrained=`` takes a fitted encoder.
    MaskedByteModel : The same for the bytes of packets.

    References
    ----------
    Luxemburk, Hynek, Plny and Cejka, "Universal Embedding Function for Traffic Classification via
    QUIC Domain Recognition Pretraining", 2025, arXiv 2502.12930.

    Examples
    --------
    >>> from sktraffic.datasets import load_lab_sessions
    >>> from sktraffic.neural_network import PacketSequenceClassifier, SequenceEncoder
    >>> X = load_lab_sessions().data.iloc[::20]
    >>> small = PacketSequenceClassifier(
    ...     8, head="cosine", statistics=None, n_channels=8, n_blocks=1, max_epochs=1
    ... )
    >>> encoder = SequenceEncoder("capture", min_count=2, estimator=small)
    >>> encoder.fit_transform(X).shape == (len(X), 256)
    True
    """

    labels: str = parameter("application", str, kw_only=False)
    min_count: int = parameter(5, COUNT)
    estimator: Any = parameter(None, PacketSequenceClassifier, None)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Learn the embedding from the free labels of a session table.

        Parameters
        ----------
        X : DataFrame
            Session table with the column `labels`.
        y : None
            Ignored: an embedding that saw the true labels would not be one for new ones.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If fewer than two labels have `min_count` sessions.
        """
        check_sessions(X, [self.labels])
        labels = X[self.labels]
        counts = labels.value_counts()  # without missing ones
        kept = counts.index[counts >= self.min_count]
        if len(kept) < 2:
            raise ValueError(
                f"{len(kept)} label(s) of the column {self.labels!r} have {self.min_count} or more "
                "sessions, and telling apart needs two. Lower min_count, add captures, or choose "
                "another column."
            )
        rows = np.flatnonzero(labels.isin(kept))
        estimator = self.estimator
        if estimator is None:
            estimator = PacketSequenceClassifier(head="cosine", statistics=None)
        target = np.asarray(labels.iloc[rows], dtype=object).astype(str)
        self.estimator_ = clone(estimator).fit(X.iloc[rows], target)
        self.classes_ = self.estimator_.classes_
        self.feature_names_in_ = self.estimator_.feature_names_in_
        self.n_features_in_ = self.estimator_.n_features_in_
        return self

    def transform(self, X):
        """Embed sessions.

        Parameters
        ----------
        X : DataFrame
            Session table; the free labels are not read.

        Returns
        -------
        ndarray of shape (n_sessions, 256)
            Vectors of length one: their inner product is what the network compared by.
        """
        check_is_fitted(self)
        return F.normalize(self.estimator_._embeddings(X).double(), dim=1).numpy()

    @property
    def _n_features_out(self):
        return self.estimator_.net_.module_.head.in_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags
