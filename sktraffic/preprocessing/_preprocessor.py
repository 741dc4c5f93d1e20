"""The preprocessing of Qi et al. (2025), section 2.2, put together from scikit-learn's parts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_string_dtype
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sktraffic.sessions import IDENTITY, LABELS, PACKET_COLUMNS

# a missing category among the words: no library's frames may take it for a number or for a value
GAP = "\ufdd0"  # a code point that Unicode keeps free of characters


def as_pandas(X):
    """Return the table of another library (polars, pyarrow) as a DataFrame of Arrow columns.

    Anything else is returned as it is.
    """
    if isinstance(X, pd.DataFrame) or not hasattr(X, "__arrow_c_stream__"):
        return X
    table = pa.table(X)
    schema = pa.schema([(field.name, _known_to_pandas(field.type)) for field in table.schema])
    return table.cast(schema).to_pandas(types_mapper=pd.ArrowDtype)


def _known_to_pandas(type):
    """Return the type itself, or the one to cast to where pandas does not know it."""
    if pa.types.is_dictionary(type):
        return pa.dictionary(type.index_type, _known_to_pandas(type.value_type), type.ordered)
    return pa.string() if pa.types.is_string_view(type) else type


def _is_dictionary(dtype):
    if isinstance(dtype, pd.ArrowDtype):
        return pa.types.is_dictionary(dtype.pyarrow_dtype)
    return isinstance(dtype, pd.CategoricalDtype)


@dataclass(frozen=True)
class ColumnChoice:
    """Choose the columns of one kind; what ColumnTransformer calls while it is fitted."""

    kind: str  # "numeric" or "categorical"
    drop: tuple = ()
    categorical: tuple = ()

    def __call__(self, X):
        """Return the columns of this kind in X: names, or all of an array for "numeric"."""
        X = as_pandas(X)
        if not isinstance(X, pd.DataFrame):
            self._check_known(range(X.shape[1]))
            return [j for j in range(X.shape[1]) if self._kind(j, np.float64) == self.kind]
        self._check_known(X.columns)
        return [name for name in X.columns if self._kind(name, X[name].dtype) == self.kind]

    def _kind(self, name, dtype):
        if name in self.categorical:
            return "categorical"
        if name in self.drop or name in IDENTITY or name in LABELS or name in PACKET_COLUMNS:
            return "dropped"
        if is_numeric_dtype(dtype) and not is_bool_dtype(dtype):
            return "numeric"
        words = is_string_dtype(dtype) or is_bool_dtype(dtype) or _is_dictionary(dtype)
        return "categorical" if words else "dropped"

    def _check_known(self, columns):
        unknown = [name for name in (*self.drop, *self.categorical) if name not in columns]
        if unknown:
            raise ValueError(
                f"X has no column {', '.join(map(repr, unknown))}, named in drop or categorical; "
                f"it has {', '.join(map(repr, columns))}."
            )


def to_floats(X):
    """Turn numbers of any dtype into float64; infinite ones become missing."""
    X = as_pandas(X)
    values = X.to_numpy(np.float64, na_value=np.nan) if isinstance(X, pd.DataFrame) else X
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isinf(values), np.nan, values)


def to_words(X):
    """Turn values of any dtype into str objects; missing ones become `GAP`.

    A number is written without trailing zeros, so that 6 and 6.0 are the same category.
    """
    table = pd.DataFrame(as_pandas(X))
    words = [_words(table[name]) for name in table.columns]
    return np.column_stack(words) if words else np.empty((len(table), 0), dtype=object)


def _words(column):
    number = is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)
    write = "{:.15g}".format if number else str
    missing = column.isna().to_numpy()
    return np.array(
        [GAP if gap else write(value) for value, gap in zip(column, missing, strict=True)],
        dtype=object,
    )


def make_preprocessor(*, drop=(), categorical=(), max_categories=20):
    """Make the pipeline that turns a table of features into standardised numbers.

    Identifiers and constants go; gaps in numbers get the median, gaps in categories the mode;
    numbers are standardised, categories become one column a value [1]_. All of it is learned by
    `fit` alone, so it belongs into a Pipeline that is cross-validated as a whole.

    Parameters
    ----------
    drop : sequence of str, default=()
        Columns to leave out, besides what a session table holds that is no feature: its identity
        (addresses, ports, start, ...), nDPI's labels and the list columns of packets.
    categorical : sequence of str, default=()
        Columns to treat as categories though they hold numbers, "protocol" for example. Naming
        one here also keeps it where it would be left out.
    max_categories : int or None, default=20
        Columns a category gets at most; its rarest values share the last one. Values not seen by
        `fit` go there too, or are all zeros if there is none.

    Returns
    -------
    Pipeline
        Not fitted. Its steps are `columns` (a ColumnTransformer with `numeric` and `categorical`)
        and `constants` (a VarianceThreshold). It takes a DataFrame, of pandas or polars, or an
        array, whose columns are all numbers then.

    Raises
    ------
    ValueError
        By `fit`, if `drop` or `categorical` name a column that is not there, or if no column
        varies.

    Notes
    -----
    Numbers, in plain or Arrow-backed columns, are numeric; strings, categories and booleans are
    categorical; anything else (lists, times) is left out. An infinite number counts as missing:
    flow exporters write it for rates of flows without duration.

    References
    ----------
    .. [1] Qi et al. (2025), section 2.2, doi:10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.preprocessing import make_preprocessor
    >>> X = pd.DataFrame({
    ...     "src_ip": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"],
    ...     "packet_count": [1.0, None, 3.0, 8.0],
    ...     "always": [5, 5, 5, 5],
    ...     "transport": ["tcp", "udp", None, "tcp"],
    ... })
    >>> make_preprocessor().set_output(transform="pandas").fit_transform(X).round(2)
       packet_count  transport_tcp  transport_udp
    0         -1.06            1.0            0.0
    1         -0.29            0.0            1.0
    2         -0.29            1.0            0.0
    3          1.64            1.0            0.0
    """
    drop, categorical = tuple(drop), tuple(categorical)
    numeric_steps = Pipeline(
        [
            ("float", FunctionTransformer(to_floats, feature_names_out="one-to-one")),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("standardise", StandardScaler()),
        ]
    )
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist" if max_categories else "ignore",
        max_categories=max_categories,
        sparse_output=False,
    )
    mode = SimpleImputer(missing_values=GAP, strategy="most_frequent", keep_empty_features=True)
    category_steps = Pipeline(
        [
            ("words", FunctionTransformer(to_words, feature_names_out="one-to-one")),
            ("impute", mode),
            ("one_hot", encoder),
        ]
    )
    columns = ColumnTransformer(
        [
            ("numeric", numeric_steps, ColumnChoice("numeric", drop, categorical)),
            ("categorical", category_steps, ColumnChoice("categorical", drop, categorical)),
        ],
        verbose_feature_names_out=False,
    )
    return Pipeline([("columns", columns), ("constants", VarianceThreshold())])
