"""Statistics and protocol matrix of sessions, side by side."""

from typing import ClassVar

import numpy as np

from sktraffic.feature_extraction._base import BaseSessionTransformer
from sktraffic.feature_extraction._protocol_matrix import ProtocolMatrix
from sktraffic.feature_extraction._session_statistics import SessionStatistics

__all__ = ["SessionFeatures"]

STATISTICS = ("features", "size_bins", "iat_bins", "quantiles")
MATRIX = ("vocabulary", "min_count", "handle_unknown", "normalise", "protocol_set")


class SessionFeatures(BaseSessionTransformer):
    """Describe every session by its statistics and its protocol matrix.

    The columns of :class:`SessionStatistics` followed by those of :class:`ProtocolMatrix`: the
    feature vector of Qi et al. (2025) without the addresses, which name hosts, not behaviour.

    Parameters
    ----------
    features : {"basic", "extended"}, default="basic"
        See :class:`SessionStatistics`, as for the next three.

    size_bins : int or array-like, default=64
        Bins of the packet size entropies, bytes.

    iat_bins : int or array-like, default=3
        Bins of the inter-arrival time entropy, a decade or edges in seconds.

    quantiles : sequence of float, default=(0.25, 0.5, 0.75)
        Of the extended features.

    vocabulary : {"fixed", "learned"} or sequence of str, default="fixed"
        See :class:`ProtocolMatrix`, as for the rest.

    min_count : int, default=1
        A learned vocabulary keeps the messages seen in at least so many packets.

    handle_unknown : {"other", "ignore"}, default="other"
        What becomes of messages outside the vocabulary.

    normalise : {"count", "binary"} or None, default=None
        Counts, shares or presence of messages.

    protocol_set : bool, default=False
        Append the observed protocol set.

    Attributes
    ----------
    statistics_ : SessionStatistics
        Fitted.

    protocol_matrix_ : ProtocolMatrix
        Fitted.

    feature_names_in_ : ndarray of str
        The columns of the session table that are read.

    n_features_in_ : int
        Their number.

    References
    ----------
    Qi et al. (2025), section 2.1, doi 10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.feature_extraction import SessionFeatures
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 1.0, 3.0, 0.0], [0, 3, 4]),
    ...     "packet_size": list_column([40, 1500, 1500, 60], [0, 3, 4]),
    ...     "packet_message": list_column(
    ...         ["TCP: SYN", "TLS: Client Hello", "TCP: ACK", "DNS: Query"], [0, 3, 4]),
    ... })
    >>> features = SessionFeatures(vocabulary="learned").set_output(transform="pandas")
    >>> features.fit_transform(X)[["packet_count", "tls_client_hello"]]
       packet_count  tls_client_hello
    0           3.0               1.0
    1           1.0               0.0
    """

    _parameter_constraints: ClassVar[dict] = {
        **SessionStatistics._parameter_constraints,
        **ProtocolMatrix._parameter_constraints,
    }

    def __init__(
        self,
        features="basic",
        *,
        size_bins=64,
        iat_bins=3,
        quantiles=(0.25, 0.5, 0.75),
        vocabulary="fixed",
        min_count=1,
        handle_unknown="other",
        normalise=None,
        protocol_set=False,
    ):
        self.features = features
        self.size_bins = size_bins
        self.iat_bins = iat_bins
        self.quantiles = quantiles
        self.vocabulary = vocabulary
        self.min_count = min_count
        self.handle_unknown = handle_unknown
        self.normalise = normalise
        self.protocol_set = protocol_set

    def _parts(self):
        return (
            SessionStatistics(**{name: getattr(self, name) for name in STATISTICS}),
            ProtocolMatrix(**{name: getattr(self, name) for name in MATRIX}),
        )

    def _columns(self):
        return tuple(name for part in self._parts() for name in part._columns())

    def _fit(self, X):
        self.statistics_, self.protocol_matrix_ = (part.fit(X) for part in self._parts())

    def _transform(self, X):
        return np.hstack([self.statistics_._transform(X), self.protocol_matrix_._transform(X)])

    def _names(self):
        return [*self.statistics_._names(), *self.protocol_matrix_._names()]
