"""Class-by-feature scores as a heat map."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktraffic.inspection._plotting import get_axes, readable


def top_ranks(importances, top_k):
    """Rank of each score in its row, 1 for the largest; 0 beyond `top_k` or without a score."""
    scores = np.asarray(importances, dtype=np.float64)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty(scores.shape, dtype=int)
    np.put_along_axis(ranks, order, np.arange(1, scores.shape[1] + 1)[None, :], axis=1)
    return np.where((ranks <= top_k) & (scores > 0), ranks, 0)


class ClassImportanceDisplay:
    """Scores of features for each class, the best ones of each class numbered.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    importances : DataFrame of shape (n_classes, n_features)
        Scores, one row a class.
    top_k : int, default=5
        Features numbered a class. Features that are no class's are not drawn.

    Attributes
    ----------
    ranks : DataFrame of shape (n_classes, n_features)
        1 to `top_k` for the best features of each class, 0 for the others.
    ax_ : matplotlib Axes
        Drawn on.
    figure_ : matplotlib Figure
        With it.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sktraffic.feature_selection import ForestSelector
    >>> from sktraffic.inspection import ClassImportanceDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> selector = ForestSelector(random_state=0).fit(X, y)
    >>> display = ClassImportanceDisplay.from_estimator(selector, top_k=2)
    >>> display.ranks.iloc[0].tolist()
    [0, 0, 1, 2]
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, importances, top_k=5):
        self.importances = importances
        self.top_k = top_k

    @property
    def ranks(self):
        """Rank of each feature in its class, 0 beyond `top_k`."""
        table = self.importances
        return pd.DataFrame(top_ranks(table, self.top_k), table.index, table.columns)

    @classmethod
    def from_estimator(cls, estimator, *, top_k=5, ax=None):
        """Draw the scores of a fitted selector.

        Parameters
        ----------
        estimator : ForestSelector
            Fitted.
        top_k : int, default=5
            Features numbered a class.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ClassImportanceDisplay
            Drawn.
        """
        check_is_fitted(estimator, "class_importances_")
        scores = estimator.class_importances_
        names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(scores.shape[1])])
        table = pd.DataFrame(scores, estimator.classes_, names)
        return cls.from_predictions(table, top_k=top_k, ax=ax)

    @classmethod
    def from_predictions(cls, importances, *, top_k=5, ax=None):
        """Draw a table of scores.

        Parameters
        ----------
        importances : DataFrame of shape (n_classes, n_features)
            Scores, one row a class.
        top_k : int, default=5
            Features numbered a class.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ClassImportanceDisplay
            Drawn.
        """
        if not isinstance(importances, pd.DataFrame):
            raise TypeError(
                "importances must be a DataFrame with classes as index and features as columns, "
                f"got {type(importances).__name__}. from_estimator makes one of a ForestSelector."
            )
        return cls(importances=importances, top_k=top_k).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ClassImportanceDisplay
            Itself, with `ax_` and `figure_`.
        """
        ranks = self.ranks
        shown = ranks.columns[(ranks > 0).any(axis=0)]
        # the most telling feature, summed over classes, comes first
        order = self.importances[shown].sum(axis=0).sort_values(ascending=False, kind="stable")
        scores = self.importances[order.index].to_numpy(dtype=np.float64).T
        numbers = ranks[order.index].to_numpy().T
        n_features, n_classes = scores.shape
        size = (4.2 + 0.36 * n_classes, 2.0 + 0.26 * n_features)
        self.figure_, self.ax_ = get_axes(ax, size)
        top = max(scores.max(initial=0.0), np.finfo(float).tiny)
        image = self.ax_.imshow(scores, cmap="Blues", vmin=0.0, vmax=top, aspect="auto")
        for i, j in zip(*np.nonzero(numbers), strict=True):
            colour = "white" if scores[i, j] > 0.55 * top else "black"
            self.ax_.text(j, i, numbers[i, j], ha="center", va="center", color=colour, fontsize=9)
        self.ax_.set_xticks(
            range(n_classes),
            [str(name) for name in self.importances.index],
            rotation=45,
            ha="right",
            rotation_mode="anchor",
        )
        self.ax_.set_yticks(range(n_features), [readable(name) for name in order.index])
        self.ax_.set_title(f"The {self.top_k} best features of each class, by rank", fontsize=10)
        self.figure_.colorbar(image, ax=self.ax_, label="Score (a class's sum to 1)", pad=0.02)
        return self
