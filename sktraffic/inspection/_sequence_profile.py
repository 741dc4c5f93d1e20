"""What the first packets of a class look like on average."""

import numpy as np

from sktraffic.feature_extraction import PacketSequences
from sktraffic.inspection._class_profile import encode_classes
from sktraffic.inspection._plotting import BACKWARD, FORWARD, get_grid


def mean_profile(sizes):
    """Mean bytes of a packet position in each direction, over the sessions that reach it.

    Parameters
    ----------
    sizes : ndarray of shape (n_sessions, n_packets)
        Signed packet sizes, bytes; 0 or nan where a session has no such packet.

    Returns
    -------
    forward, backward : ndarray of shape (n_packets,)
        Not negative and not positive; their sum is the mean signed size. 0 where no session is.
    reached : ndarray of shape (n_packets,)
        Share of the sessions that have such a packet.
    """
    sizes = np.nan_to_num(np.asarray(sizes, dtype=np.float64))
    there = (sizes != 0).sum(axis=0)
    divisor = np.maximum(there, 1)
    forward = np.maximum(sizes, 0).sum(axis=0) / divisor
    backward = np.minimum(sizes, 0).sum(axis=0) / divisor
    return forward, backward, there / max(len(sizes), 1)


class SequenceProfileDisplay:
    """Mean bytes of the first packets in each direction, one panel a class.

    Upward bars are bytes from the session's first sender, downward ones bytes back to it, both
    averaged over the sessions that have such a packet; the paler a bar, the fewer sessions of the
    class get so far. Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    profiles : dict of class to (forward, backward, reached)
        Mean bytes of each packet position, each of shape (n_packets,).
    counts : dict of class to int
        Sessions.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One a class.
    figure_ : matplotlib Figure
        With them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sktraffic.inspection import SequenceProfileDisplay
    >>> display = SequenceProfileDisplay.from_predictions(
    ...     [[60, -1500, -1500], [80, -1500, 0]], ["web", "web"])
    >>> display.profiles["web"][0]
    array([70.,  0.,  0.])
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, profiles, counts):
        self.profiles = profiles
        self.counts = counts

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None):
        """Draw the packets that a fitted transformer lays out.

        Parameters
        ----------
        estimator : PacketSequences
            Fitted, with ``fields=["signed_size"]`` or ``["signed_payload_size"]``.
        X : DataFrame
            Session table.
        y : array-like of shape (n_sessions,)
            Classes.
        ax : array-like of matplotlib Axes, optional
            One a class; a new figure by default.

        Returns
        -------
        SequenceProfileDisplay
            Drawn.
        """
        fields = list(estimator.fields)
        if len(fields) != 1 or not fields[0].startswith("signed_") or estimator.scale is not None:
            raise ValueError(
                f"One signed size a packet is wanted, but the estimator gives {fields} on the "
                f"scale {estimator.scale}. Use PacketSequences(n, fields=['signed_size'])."
            )
        return cls.from_predictions(np.asarray(estimator.transform(X)), y, ax=ax)

    @classmethod
    def from_sessions(cls, X, y, *, n_packets=30, ax=None):
        """Draw the first packets of a session table.

        Parameters
        ----------
        X : DataFrame
            Session table with `packet_size` and `packet_direction`.
        y : array-like of shape (n_sessions,)
            Classes.
        n_packets : int, default=30
            Packets a session.
        ax : array-like of matplotlib Axes, optional
            One a class; a new figure by default.

        Returns
        -------
        SequenceProfileDisplay
            Drawn.
        """
        sequences = PacketSequences(n_packets, fields=["signed_size"]).fit(X)
        return cls.from_estimator(sequences, X, y, ax=ax)

    @classmethod
    def from_predictions(cls, sizes, y, *, ax=None):
        """Draw given sequences.

        Parameters
        ----------
        sizes : array-like of shape (n_sessions, n_packets)
            Signed packet sizes, bytes; 0 or nan where a session has no such packet.
        y : array-like of shape (n_sessions,)
            Classes.
        ax : array-like of matplotlib Axes, optional
            One a class; a new figure by default.

        Returns
        -------
        SequenceProfileDisplay
            Drawn.
        """
        sizes = np.asarray(sizes, dtype=np.float64)
        if sizes.ndim != 2:
            raise ValueError(
                f"sizes has {sizes.ndim} dimensions; one row a session and one column a packet "
                "are wanted."
            )
        classes, codes = encode_classes(y, len(sizes))
        inside = {label: sizes[codes == k] for k, label in enumerate(classes)}
        display = cls(
            profiles={label: mean_profile(rows) for label, rows in inside.items()},
            counts={label: len(rows) for label, rows in inside.items()},
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, optional
            One a class; a new figure by default.

        Returns
        -------
        SequenceProfileDisplay
            Itself, with `axes_` and `figure_`.
        """
        self.figure_, self.axes_ = get_grid(
            ax, len(self.profiles), 3, (3.6, 2.1), sharex=True, sharey=True
        )
        for panel, (label, profile) in zip(self.axes_, self.profiles.items(), strict=True):
            forward, backward, reached = profile
            position = np.arange(1, len(forward) + 1)
            alpha = 0.15 + 0.85 * reached
            for heights, colour in ((forward, FORWARD), (backward, BACKWARD)):
                bars = panel.bar(position, heights, width=0.85, color=colour)
                for bar, a in zip(bars, alpha, strict=True):
                    bar.set_alpha(a)
            panel.axhline(0, color="black", linewidth=0.6)
            panel.set_title(f"{label} ({self.counts[label]:,} sessions)", fontsize=9)
        self.figure_.supxlabel("Packet of the session", fontsize=9)
        self.figure_.supylabel("Mean bytes: forward up, backward down", fontsize=9)
        return self
