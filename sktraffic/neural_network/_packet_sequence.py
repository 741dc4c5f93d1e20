"""A convolutional network over the first packets of sessions, as an estimator."""

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from sktraffic._compat import HasMethods, StrOptions
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._inputs import check_sizes, count_new_rows
from sktraffic.neural_network._packet_rows import PacketRows, is_session_table
from sktraffic.neural_network._params import COUNT, NATURAL, NOT_NEGATIVE, SHARE, parameter
from sktraffic.nn import PacketSequenceNet
from sktraffic.sessions import check_sessions

# what a pre-trained network must have in common with the one that starts from it
SIZES = ("n_packets", "size_embedding", "n_channels", "n_blocks", "kernel_size")


class PacketSequenceClassifier(BaseTorchClassifier):
    """Residual convolutions over the first packets of sessions, statistics of the whole beside.

    Sizes, intervals and directions of the first 30 packets say most of what encrypted traffic
    tells; the network is of the kind of Luxemburk et al. (2025). It reads a session table as it
    is, without a step before it, or packet sequences of
    :class:`~sktraffic.feature_extraction.PacketSequences`.

    Parameters
    ----------
    n_packets : int, default=30
        Packets of a session that are read, at most.
    fields : sequence of str, default=None
        What is told of a packet. Of a session table "signed_size" and any of "iat",
        "payload_size", "flags" and "message"; None is all that the table has. Of an array from
        `PacketSequences` its fields, unscaled; None reads them from the names of its columns, and
        takes each column of an array without names as the signed size of a packet.
    statistics : "extended", transformer or None, default="extended"
        Numbers beside the sequence, of a session table: "extended" is
        :class:`~sktraffic.feature_extraction.SessionFeatures` of that name, without messages
        where the table has none; a transformer of session tables is cloned and fitted; None
        leaves the sequence alone. They are compressed by ``sign(x) log(1 + |x|)`` and
        standardised.
    size_embedding : int, default=32
        Width of a learned vector for each signed size to 1500 bytes, beside its logarithm; 0 is
        the logarithm alone.
    n_channels : int, default=128
        Channels of the convolutions.
    n_blocks : int, default=4
        Residual blocks of two convolutions.
    kernel_size : int, default=3
        Packets that a convolution sees.
    dropout : float, default=0.3
        Before the last layer; half of it inside the blocks.
    head : {"linear", "cosine"}, default="linear"
        Last layer: linear, or the cosine to a direction of each class times a learned scale.
    size_dropout : float, default=0.3
        Probability in training of hiding the learned vector of a packet's size.
    jitter : float, default=0.1
        In training a session's intervals are stretched by one random factor of this standard
        deviation (of its logarithm), and each by a smaller one.
    packet_loss : float, default=0.1
        Probability in training that a packet is lost.
    packet_merge : float, default=0.0
        Probability in training that a packet joins the one before it, of the same direction.
    late_start : float, default=0.0
        Probability in training that one to three first packets are missing.
    cuts : sequence of int, default=()
        In training every second session, by chance, is seen after one of these numbers of
        packets only, statistics included, so that one model serves early decisions.
    pretrained : SequenceEncoder or PacketSequenceClassifier, default=None
        Fitted network whose weights, but for the last layers, are where this one starts. Its sizes
        must be this one's, and what it reads of a packet is what this one reads.
    lr : float, default=0.004
        Learning rate of AdamW.
    max_epochs : int, default=16
        Passes over the training part.
    {shared parameters}

    Attributes
    ----------
    packets_ : PacketRows
        What was learned of the input: ``fields_`` that are read, ``messages_`` that are told
        apart (the most frequent), ``statistics_`` (a fitted transformer, or None).
    {shared attributes}

    See Also
    --------
    sktraffic.sessions.first_packets : Sessions as they were after some packets.
    sktraffic.feature_extraction.PacketSequences : The sequence for other estimators.

    References
    ----------
    Luxemburk, Hynek, Plny and Cejka, "Universal Embedding Function for Traffic Classification via
    QUIC Domain Recognition Pretraining", 2025, arXiv 2502.12930.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.neural_network import PacketSequenceClassifier
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 0.1, 0.0, 0.1] * 16, range(0, 65, 2)),
    ...     "packet_size": list_column([60, 1500, 60, 90] * 16, range(0, 65, 2)),
    ...     "packet_direction": list_column([1, -1, 1, -1] * 16, range(0, 65, 2)),
    ... })
    >>> clf = PacketSequenceClassifier(2, statistics=None, n_channels=8, random_state=0)
    >>> clf.fit(X, ["video", "dns"] * 16).predict(X[:2]).tolist()
    ['video', 'dns']
    """

    n_packets: int = parameter(30, COUNT, kw_only=False)
    fields: Any = parameter(None, "array-like", None)
    statistics: Any = parameter(
        "extended", StrOptions({"extended"}), HasMethods(["fit", "transform"]), None
    )
    size_embedding: int = parameter(32, NATURAL)
    n_channels: int = parameter(128, COUNT)
    n_blocks: int = parameter(4, NATURAL)
    kernel_size: int = parameter(3, COUNT)
    dropout: float = parameter(0.3, SHARE)
    head: str = parameter("linear", StrOptions({"linear", "cosine"}))
    size_dropout: float = parameter(0.3, SHARE)
    jitter: float = parameter(0.1, NOT_NEGATIVE)
    packet_loss: float = parameter(0.1, SHARE)
    packet_merge: float = parameter(0.0, SHARE)
    late_start: float = parameter(0.0, SHARE)
    cuts: tuple = parameter((), "array-like")
    pretrained: Any = parameter(None, HasMethods(["fit"]), None)
    lr: float = 0.004
    batch_size: int | None = None
    max_epochs: int = 16
    weight_decay: float = 0.01
    warmup_ratio: float = 0.15
    early_stopping: bool = False

    def _without_effect(self):
        yield from super()._without_effect()
        if not self.size_embedding:
            yield "size_dropout", "size_embedding=0"
        if "iat" not in (self.fields or ("iat",)):
            yield "jitter", f"fields={self.fields!r}, without intervals"

    # --------------------------------------------------------------- its input

    def _validate_X(self, X, **options):
        """Rows of `PacketRows`; with y among the options (rows, y), and the cuts in the rows."""
        first, table = options.get("reset"), is_session_table(X)
        rest = ()
        if not first and table != self.packets_.reads_table_:
            raise ValueError(
                f"X is {_kind(table)}, but {type(self).__name__} was fitted on "
                f"{_kind(not table)}. Pass what `fit` got."
            )
        if not table:
            checked = super()._validate_X(X, **options)
            X, *rest = checked if isinstance(checked, tuple) else (checked,)
        elif "y" in options:
            rest = (column_or_1d(options["y"], warn=True),)
            check_consistent_length(X, *rest)
        if first:
            self._fit_reader(X, table)
        if table:
            check_sessions(X, self.packets_.columns_)
        precision = self._fit_params["precision"] if not first else self.precision
        dtype = np.float64 if precision == "float64" else np.float32
        rows = self.packets_.transform(X, dtype)
        if not rest:
            return rows
        cuts = self.cuts if first else self._fit_params["cuts"]
        if len(cuts):
            rows = np.hstack([rows, self.packets_.cuts(X, cuts, dtype)])
        return (rows, *rest)

    def _fit_reader(self, X, table):
        """Learn what a row holds, and state which columns are read."""
        check_sizes("cuts", self.cuts)
        names = None if table else getattr(self, "feature_names_in_", None)
        if not table:
            self._check_no_effect("statistics", "packet sequences, which have no statistics")
        start = self._start()
        like = None if start is None else start.packets_
        self.packets_ = PacketRows(self.n_packets, self.fields, self.statistics).fit(X, names, like)
        if table:
            self.feature_names_in_ = np.asarray(self.packets_.columns_, dtype=object)
            self.n_features_in_ = len(self.packets_.columns_)

    def _start(self):
        """Return the fitted network that training starts from, or None."""
        start = getattr(self.pretrained, "estimator_", self.pretrained)
        if start is None:
            return None
        if not isinstance(start, PacketSequenceClassifier) or not start.__sklearn_is_fitted__():
            raise ValueError(
                f"pretrained is {start!r}, which is no fitted SequenceEncoder or "
                "PacketSequenceClassifier. Fit one first."
            )
        other = start._fit_params
        differ = [name for name in SIZES if other[name] != getattr(self, name)]
        if differ:
            sizes = ", ".join(f"{name}={other[name]!r}" for name in differ)
            raise ValueError(f"pretrained is of another size: it has {sizes}. Pass the same.")
        return start

    def _initialize_module(self, module):
        start = self._start()
        if start is None:
            return
        own = module.state_dict()
        theirs = start.net_.module_.state_dict()
        kept = {
            name: value
            for name, value in theirs.items()
            if not name.startswith(("head.", "statistics.")) and value.shape == own[name].shape
        }
        module.load_state_dict({**own, **kept})

    def _embeddings(self, X):
        """Return what the last layer reads: (n, 256)."""
        net = self.net_
        x = self._encode(self._validate_X(X, reset=False))
        return self._forward(net.module_.embed, x, net.device)

    def __sklearn_clone__(self):
        """Clone the parameters; a pre-trained network stays the one that it is, fitted."""
        cloned = super().__sklearn_clone__()
        cloned.pretrained = self.pretrained
        return cloned

    def _check_resampled(self, X, X_new):
        mixed = count_new_rows(X, X_new)
        if mixed:
            raise ValueError(
                f"resampler {type(self.resampler).__name__} made {mixed} sessions that are not in "
                "the data: it interpolates, but there is nothing between two packets' directions. "
                "Use a sampler that picks rows, such as RandomOverSampler, or class_weight."
            )

    def _build_module(self, n_features, n_classes):
        packets, sizes = self.packets_, self._shared_with(PacketSequenceNet)
        del sizes["n_packets"]  # a row may have fewer
        return PacketSequenceNet(
            n_classes,
            packets.n_packets_,
            packets.channels_,
            packets.n_statistics_,
            n_cuts=len(self.cuts),
            n_messages=len(packets.messages_) + 1,
            **sizes,
        )


def _kind(table):
    return "a session table" if table else "packet sequences"
