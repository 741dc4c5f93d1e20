"""What all transformers of a session table share."""

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktraffic._base import BaseEstimator
from sktraffic._compat import _fit_context
from sktraffic.ragged import check_same_packets, ragged
from sktraffic.sessions import check_sessions

__all__ = [
    "BaseSessionTransformer",
    "check_known",
    "check_not_all_null",
    "ragged_columns",
]


class BaseSessionTransformer(TransformerMixin, BaseEstimator):
    """A session table in, one row of named numbers a session out.

    A subclass gives `_columns` (what it reads), `_fit` (optional), `_transform` and `_names`.
    Columns that it does not read may come, go and change between `fit` and `transform`, so
    `feature_names_in_` names those that are read and `n_features_in_` counts them.
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the table and learn what the transformation needs.

        Parameters
        ----------
        X : DataFrame
            Session table.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        columns = self._columns()
        check_sessions(X, columns)
        self._fit(X)
        self.feature_names_in_ = np.asarray(columns, dtype=object)
        self.n_features_in_ = len(columns)
        return self

    def transform(self, X):
        """Turn every session into one row of numbers.

        Parameters
        ----------
        X : DataFrame of shape (n_sessions, n_columns)
            Session table.

        Returns
        -------
        ndarray or DataFrame of shape (n_sessions, n_features_out)
            A DataFrame with `X`'s index after ``set_output(transform="pandas")``.
        """
        check_is_fitted(self)
        check_sessions(X, self.feature_names_in_)
        return self._transform(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns.

        Parameters
        ----------
        input_features : None or array-like of str
            Only checked against `feature_names_in_`.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        if input_features is not None and list(input_features) != list(self.feature_names_in_):
            raise ValueError(
                f"input_features is not equal to feature_names_in_: got {list(input_features)}, "
                f"fitted on {list(self.feature_names_in_)}. Leave it out."
            )
        return np.asarray(self._names(), dtype=object)

    def _fit(self, X):
        """Learn nothing; subclasses may."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # scikit-learn must not feed it arrays: a session table is a DataFrame with list columns
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags


def ragged_columns(X, columns):
    """Flat values of several list columns that must have the same packets.

    Parameters
    ----------
    X : DataFrame
    columns : sequence of str

    Returns
    -------
    values : dict of str to ndarray of shape (n_packets,)
    offsets : ndarray of shape (n_sessions + 1,)

    Raises
    ------
    ValueError
        If a session has more values in one column than in another.
    """
    values, offsets = {}, None
    for name in columns:
        values[name], own = ragged(X[name])
        if offsets is None:
            offsets = own
        check_same_packets(name, own, columns[0], offsets)
    return values, offsets


def check_not_all_null(X, columns, remedy):
    """Raise if a column that is to be read is null in every row of a table that has rows."""
    for name in columns:
        if len(X) and X[name].isna().all():
            raise ValueError(
                f"Column {name} of the session table is null in all {len(X)} rows: "
                f"its source does not say it. {remedy}"
            )


def check_known(X, columns):
    """Raise if a column that is to be read is null in any row."""
    for name in columns:
        null = int(X[name].isna().sum())
        if null:
            raise ValueError(
                f"Column {name} of the session table is null in {null} of {len(X)} rows: its "
                "source does not say it. Choose other features, or drop these rows."
            )
