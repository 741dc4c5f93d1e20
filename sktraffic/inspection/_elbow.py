"""The inertia curve and its elbow."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktraffic.cluster import second_differences
from sktraffic.inspection._plotting import COLOURS, get_axes


class ElbowDisplay:
    """Inertia over the number of clusters, its second differences, and the elbow.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    k_values : ndarray of shape (n,)
        Consecutive numbers of clusters.
    inertias : ndarray of shape (n,)
        Of k-means with each.
    n_clusters : int
        The elbow.
    differences : ndarray of shape (n - 2,)
        Second differences, for ``k_values[1:-1]``.
    scale : {"log", "linear"}, default="log"
        What the differences are taken of.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the inertia.
    difference_ax_ : matplotlib Axes
        Of the second differences.
    figure_ : matplotlib Figure
        With both.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_blobs
    >>> from sktraffic.cluster import ElbowKMeans
    >>> from sktraffic.inspection import ElbowDisplay
    >>> X, _ = make_blobs(100, centers=[[0, 0], [8, 0], [4, 7]], random_state=0)
    >>> display = ElbowDisplay.from_estimator(ElbowKMeans(random_state=0).fit(X))
    >>> display.n_clusters
    3
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, k_values, inertias, n_clusters, differences, scale="log"):
        self.k_values = k_values
        self.inertias = inertias
        self.n_clusters = n_clusters
        self.differences = differences
        self.scale = scale

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the search of a fitted clusterer.

        Parameters
        ----------
        estimator : ElbowKMeans or ElbowGaussianMixture
            Fitted.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ElbowDisplay
            Drawn.
        """
        check_is_fitted(estimator, "inertias_")
        display = cls(
            k_values=estimator.k_values_,
            inertias=estimator.inertias_,
            n_clusters=estimator.n_clusters_,
            differences=estimator.second_differences_,
            scale=estimator.scale,
        )
        return display.plot(ax)

    @classmethod
    def from_predictions(cls, k_values, inertias, *, scale="log", ax=None):
        """Draw a curve computed elsewhere; the elbow is its largest second difference.

        Parameters
        ----------
        k_values : array-like of shape (n,)
            Consecutive numbers of clusters, at least three.
        inertias : array-like of shape (n,)
            Of each.
        scale : {"log", "linear"}, default="log"
            What the second differences are taken of.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ElbowDisplay
            Drawn.
        """
        k_values, inertias = np.asarray(k_values), np.asarray(inertias, dtype=np.float64)
        if len(k_values) != len(inertias) or len(k_values) < 3 or (np.diff(k_values) != 1).any():
            raise ValueError(
                "An elbow needs the inertias of at least three consecutive numbers of clusters, "
                f"got {len(inertias)} inertias of k = {k_values.tolist()}."
            )
        differences = second_differences(inertias, scale)
        display = cls(
            k_values=k_values,
            inertias=inertias,
            n_clusters=int(k_values[1:-1][np.argmax(differences)]),
            differences=differences,
            scale=scale,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ElbowDisplay
            Itself, with `ax_`, `difference_ax_` and `figure_`.
        """
        from matplotlib.ticker import MaxNLocator

        self.figure_, self.ax_ = get_axes(ax, (6.4, 4.0))
        self.difference_ax_ = self.ax_.twinx()
        # the curve lies above the bars
        self.ax_.set_zorder(self.difference_ax_.get_zorder() + 1)
        self.ax_.patch.set_visible(False)
        inner = np.asarray(self.k_values)[1:-1]
        colours = np.where(inner == self.n_clusters, "#F3B98F", "#DDDDDD")
        self.difference_ax_.bar(inner, self.differences, color=colours, width=0.6)
        # room above the bars for the curve
        top = max(np.max(self.differences), np.finfo(float).tiny)
        self.difference_ax_.set_ylim(min(0.0, 2 * np.min(self.differences)), 2.0 * top)
        self.difference_ax_.set_ylabel(
            "Second difference" + (" of log inertia" if self.scale == "log" else " (bars)")
        )
        self.ax_.plot(self.k_values, self.inertias, marker="o", color=COLOURS[0], zorder=3)
        at = np.asarray(self.k_values) == self.n_clusters
        self.ax_.axvline(self.n_clusters, color=COLOURS[1], linestyle=":", zorder=1)
        for height in np.asarray(self.inertias)[at]:
            self.ax_.annotate(
                f"elbow: k = {self.n_clusters}",
                (self.n_clusters, height),
                xytext=(16, 12),
                textcoords="offset points",
                color=COLOURS[1],
            )
        self.ax_.set(xlabel="Number of clusters k", ylabel="Inertia")
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        return self
