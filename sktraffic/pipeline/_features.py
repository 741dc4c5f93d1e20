"""All that a session table tells, as columns of numbers for trees."""

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktraffic._base import BaseEstimator
from sktraffic.feature_extraction import PacketSequences, SessionFeatures, SessionStatistics


class KnownFeatures(TransformerMixin, BaseEstimator):
    """Extended statistics, messages where the table has them, and the first packets.

    Parameters
    ----------
    n_packets : int, default=30
        Packets whose signed sizes and intervals are columns.

    Attributes
    ----------
    parts_ : list of transformers
        Fitted; their columns stand side by side.

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

    def __init__(self, n_packets=30):
        self.n_packets = n_packets

    def fit(self, X, y=None):
        """Find out what the table has."""
        known = "packet_message" in X.columns and not X["packet_message"].isna().any()
        statistics = SessionFeatures("extended") if known else SessionStatistics("extended")
        packets = PacketSequences(self.n_packets, fields=["signed_size", "iat"])
        self.parts_ = [part.fit(X) for part in (statistics, packets)]
        return self

    def transform(self, X):
        """Compute them; shape (n_sessions, n_features_out)."""
        check_is_fitted(self)
        return np.hstack([np.asarray(part.transform(X)) for part in self.parts_])

    def get_feature_names_out(self, input_features=None):
        """Names of the columns; (n_features_out,) of str."""
        check_is_fitted(self)
        return np.hstack([part.get_feature_names_out() for part in self.parts_])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags
