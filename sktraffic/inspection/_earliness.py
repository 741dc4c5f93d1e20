"""Score against the number of first packets: how early a decision can be taken."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import cross_val_score

from sktraffic.inspection._curve_plot import plot_band, summarise
from sktraffic.ragged import ragged
from sktraffic.sessions import check_sessions, first_packets

__all__ = ["EarlinessCurveDisplay", "earliness_curve", "waiting_time"]

PACKETS = (1, 2, 3, 5, 8, 12, 20, 32)


def waiting_time(X, n_packets):
    """Seconds from a session's first packet to its n-th, or its last when it has fewer.

    Parameters
    ----------
    X : DataFrame
        Session table with `packet_time`.
    n_packets : int

    Returns
    -------
    ndarray of shape (n_sessions,)

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection._earliness import waiting_time
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({"packet_time": list_column([0.0, 1.5, 4.0, 0.0], [0, 3, 4])})
    >>> waiting_time(X, 2).tolist()
    [1.5, 0.0]
    """
    time, offsets = ragged(X["packet_time"])
    filled = np.diff(offsets) > 0
    last = offsets[:-1] + np.minimum(np.diff(offsets), n_packets) - 1
    out = np.zeros(len(X))
    out[filled] = time[last[filled]] - time[offsets[:-1][filled]]
    return out


def earliness_curve(
    estimator,
    X,
    y,
    *,
    packets=PACKETS,
    cv=None,
    groups=None,
    scoring=None,
    n_jobs=None,
):
    """Score against the first n packets of every session.

    Parameters
    ----------
    estimator : classifier
        A pipeline that takes session tables. With `cv` it is cloned and fitted on sessions cut
        alike; without, it must be fitted, and is scored as it is on cut sessions.
    X : DataFrame
        Session table.
    y : array-like of shape (n_sessions,)
        Labels.
    packets : sequence of int, default=(1, 2, 3, 5, 8, 12, 20, 32)
        Packets kept a session.
    cv : int, splitter or None, default=None
        Cross-validation; :class:`~sktraffic.model_selection.CaptureKFold` is the honest one.
    groups : array-like of shape (n_sessions,), default=None
        Captures, for the splitter.
    scoring : str, callable or None, default=None
        scikit-learn's; None is the estimator's own score.
    n_jobs : int, default=None
        Folds at a time.

    Returns
    -------
    DataFrame
        One row a fold: `packets`, `fold`, `score`, and `seconds`, the median wait for that packet
        over all sessions (for the last one where a session is shorter).

    See Also
    --------
    sktraffic.sessions.first_packets : The cut, facts included.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktraffic.feature_extraction import SessionStatistics
    >>> from sktraffic.inspection import earliness_curve
    >>> from sktraffic.ragged import list_column
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(20) % 2
    >>> size = np.full((20, 4), 60) + 900 * y[:, None] * (np.arange(4) >= 2)  # differ late
    >>> offsets = np.arange(0, 81, 4)
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column(rng.exponential(1, (20, 4)).cumsum(1).ravel(), offsets),
    ...     "packet_size": list_column(size.ravel(), offsets),
    ... })
    >>> pipe = make_pipeline(SessionStatistics(), KNeighborsClassifier(1))
    >>> curve = earliness_curve(pipe, X, y, packets=[4], cv=2)
    >>> curve["score"].tolist()
    [1.0, 1.0]
    """
    check_sessions(X, ("packet_time", "packet_size"))
    scorer = check_scoring(estimator, scoring)
    rows = []
    for n in packets:
        early = first_packets(X, n)
        if cv is None:
            scores = [scorer(estimator, early, y)]
        else:
            scores = cross_val_score(
                clone(estimator),
                early,
                y,
                groups=groups,
                cv=cv,
                scoring=scorer,
                n_jobs=n_jobs,
                error_score="raise",
            )
        seconds = float(np.median(waiting_time(X, n)))
        rows += [(int(n), fold, float(score), seconds) for fold, score in enumerate(scores)]
    return pd.DataFrame(rows, columns=["packets", "fold", "score", "seconds"])


class EarlinessCurveDisplay:
    """Score against the first n packets, with the median wait on the upper axis.

    Parameters
    ----------
    curve : DataFrame
        From :func:`earliness_curve`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    line_ : matplotlib Line2D
        The means.
    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import EarlinessCurveDisplay
    >>> curve = pd.DataFrame(
    ...     {"packets": [1, 2, 8], "fold": 0, "score": [0.4, 0.7, 0.9], "seconds": [0, 0.02, 1.5]}
    ... )
    >>> EarlinessCurveDisplay(curve).plot().line_.get_xdata().tolist()
    [1, 2, 8]
    """

    def __init__(self, curve):
        self.curve = curve

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, name=None, **kwargs):
        """Compute the curve and draw it; further arguments are those of `earliness_curve`."""
        display = cls(earliness_curve(estimator, X, y, **kwargs))
        return display.plot(ax=ax, name=name or type(estimator).__name__)

    def plot(self, ax=None, *, name=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        name : str, default=None
            Label in the legend.

        Returns
        -------
        self
        """
        table = summarise(self.curve, "packets")
        n = table.index.to_numpy()
        ax, self.line_, _ = plot_band(ax, n, table["mean"], table["std"], label=name)
        ax.set_xscale("log", base=2)
        ax.set_xticks(n, [str(value) for value in n], minor=False)
        ax.minorticks_off()
        ax.set(xlabel="first packets of a session", ylabel="score")
        seconds = self.curve.groupby("packets")["seconds"].first().reindex(n)
        top = ax.secondary_xaxis("top")
        top.set_xticks(n, [_short(value) for value in seconds])
        top.minorticks_off()
        top.tick_params(labelsize="small", length=2)
        top.set_xlabel("median wait", fontsize="small")
        if name:
            ax.legend(frameon=False, loc="lower right")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _short(seconds):
    if seconds < 1e-3:
        return f"{1e6 * seconds:.0f} µs" if seconds else "0"
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
