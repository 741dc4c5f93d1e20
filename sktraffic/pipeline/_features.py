"""All that a session table tells, as columns of numbers for trees."""

from sklearn.base import TransformerMixin
from sklearn.pipeline import FeatureUnion
from sklearn.utils.validation import check_is_fitted

from sktraffic._base import BaseEstimator
from sktraffic.feature_extraction import (
    ByteTokens,
    PacketSequences,
    PacketSizeMatrix,
    SessionFeatures,
    SessionStatistics,
)


def side_by_side(statistics, n_packets=30, max_sizes=512, more=()):
    """Return the features of a session table, unfitted, as one transformer.

    Parameters
    ----------
    statistics : transformer
    n_packets, max_sizes : int
        As of `KnownFeatures`.
    more : sequence of (str, transformer)
        Further ones.

    Returns
    -------
    FeatureUnion
    """
    parts = [
        ("statistics", statistics),
        ("sizes", PacketSizeMatrix(max_sizes, min_sessions=1)),
        ("packets", PacketSequences(n_packets, fields=["signed_size", "iat"])),
        *more,
    ]
    return FeatureUnion(parts, verbose_feature_names_out=False)


class KnownFeatures(TransformerMixin, BaseEstimator):
    """Statistics, frequent packet sizes, first packets; messages and payload bytes where known.

    Parameters
    ----------
    n_packets : int, default=30
        Packets whose signed sizes and intervals are columns.
    max_sizes : int, default=512
        Signed sizes, the most frequent ones, whose packets are counted.
    n_bytes : int or None, default=64
        Payload bytes of each of the first four packets, where the table has `packet_bytes`; None
        leaves them out.

    Attributes
    ----------
    union_ : FeatureUnion
        Of the parts that the table has, fitted.

    Examples
    --------
    >>> from sktraffic.datasets import load_lab_sessions
    >>> from sktraffic.pipeline._features import KnownFeatures
    >>> X = load_lab_sessions().data
    >>> with_messages = KnownFeatures(2).fit(X)
    >>> without = KnownFeatures(2).fit(X.drop(columns="packet_message"))
    >>> len(with_messages.get_feature_names_out()) > len(without.get_feature_names_out())
    True
    """

    def __init__(self, n_packets=30, max_sizes=512, n_bytes=64):
        self.n_packets = n_packets
        self.max_sizes = max_sizes
        self.n_bytes = n_bytes

    def fit(self, X, y=None):
        """Find out what the table has."""
        statistics = SessionFeatures if _is_known(X, "packet_message") else SessionStatistics
        more = []
        if self.n_bytes and _is_known(X, "packet_bytes"):
            more = [("bytes", ByteTokens(self.n_bytes, n_packets=4, start="payload"))]
        union = side_by_side(statistics("extended"), self.n_packets, self.max_sizes, more)
        self.union_ = union.fit(X)
        return self

    def transform(self, X):
        """Compute them; shape (n_sessions, n_features_out)."""
        check_is_fitted(self)
        return self.union_.transform(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns; (n_features_out,) of str."""
        check_is_fitted(self)
        return self.union_.get_feature_names_out()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags


def _is_known(X, column):
    return column in X.columns and not X[column].isna().any()
