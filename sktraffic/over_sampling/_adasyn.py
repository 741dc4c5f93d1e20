"""ADASYN that falls back, class by class, instead of raising."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import pandas as pd
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_neighbors_object, check_target_type
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sktraffic._compat import HasMethods, Interval, StrOptions
from sktraffic._documentation import Linked
from sktraffic.over_sampling._synthesis import (
    adasyn_plan,
    encode_for_distance,
    interpolate,
    jitter_row,
    majority_codes,
    smote_pairs,
)

__all__ = ["GuardedADASYN"]


class GuardedADASYN(Linked, BaseOverSampler):
    """Adaptive synthetic over-sampling that always returns, with a report of what it did.

    Sparse classes are raised to the size of the median class. Every one gets ADASYN [1]_ where
    ADASYN is defined, and, with ``level="majority"``, exactly the samples that
    :class:`imblearn.over_sampling.ADASYN` would make. Where that raises, this class alone falls
    back: first to a smaller neighbourhood, then to SMOTE [2]_, and for a single sample to copies
    with jitter. Over-sampling of sparse traffic with ADASYN is section 3.2 of [3]_.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        As in :class:`imblearn.over_sampling.ADASYN`.
    random_state : int, RandomState instance or None, default=None
        Same number, same samples.
    n_neighbors : int or estimator object, default=5
        Neighbours that judge how hard a sample is, and that new samples are drawn towards.
    categorical_features : "auto", None or array-like, default="auto"
        Columns (positions, names or a mask) that hold categories. A new sample takes the
        commonest category among the neighbours of its base, as SMOTENC does, and categories
        count in distances as in SMOTENC. "auto" takes the columns of a DataFrame that are
        categorical, text, object or boolean; None takes none.
    integer_features : "auto", None or array-like, default="auto"
        Columns whose new values are rounded. "auto" takes those of an integer type.
    jitter : float, default=0.05
        Deviation of the noise on copies of a single sample, in units of each column's standard
        deviation over all samples. The copies stay inside the column's range.

    level : {"median", "majority"}, default="median"
        Size that classes are raised to, of those that `sampling_strategy` names: that of the median
        class, or, as in imbalanced-learn and [3]_, that of the largest. ADASYN puts its samples
        where classes meet; where a class is not sparse, they push its neighbours out. Numbers that
        `sampling_strategy` gives itself, as a dict, a callable or a ratio, stand.

    Attributes
    ----------
    sampling_strategy_ : dict
        Samples asked for, a class.
    report_ : dict of str to ndarray of shape (n_classes,)
        What was done for each class, for ``pd.DataFrame(report_)``: `class`, `before` and `after`
        (samples), `asked` and `made` (new samples), `method` ("ADASYN", "SMOTE", "jitter" or
        "none"), `k` (neighbours used, 0 for none) and `reason` (why it is not plain ADASYN, or
        fewer than asked; empty when it is neither).
    nn_ : estimator object
        The validated neighbour search.
    categorical_features_, integer_features_ : ndarray of int
        Positions of such columns.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, when `X` has text names only.

    See Also
    --------
    imblearn.over_sampling.ADASYN : The same where it works; raises where it does not.

    Notes
    -----
    Two things differ from imblearn by intention: integer columns are rounded, where imblearn cuts
    the fraction off, and ADASYN's fallbacks draw after all plain ADASYN classes, so that a class
    that falls back changes nothing for the others.

    Over-sample after the validation part is cut, never before: see `resampler=` of the estimators
    in :mod:`sktraffic.neural_network`.

    References
    ----------
    .. [1] He, Bai, Garcia, Li. "ADASYN: Adaptive synthetic sampling approach for imbalanced
       learning", IJCNN 2008.
    .. [2] Chawla, Bowyer, Hall, Kegelmeyer. "SMOTE: synthetic minority over-sampling technique",
       JAIR 16, 2002.
    .. [3] Qi et al. "Research on Encrypted Traffic Classification and Sparse Traffic Recognition
       Based on Feature Extraction and Deep Learning", 2025, doi 10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.over_sampling import GuardedADASYN
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(0, 1, (40, 2)), rng.normal(1, 1, (8, 2)), [[30.0, 30.0]]])
    >>> y = np.array(["chat"] * 40 + ["voip"] * 8 + ["mail"])
    >>> sampler = GuardedADASYN(level="majority", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> import pandas as pd
    >>> report = pd.DataFrame(sampler.report_)
    >>> report[["class", "before", "asked", "made", "method", "k"]]
      class  before  asked  made  method  k
    0  chat      40      0     0    none  0
    1  mail       1     39    39  jitter  0
    2  voip       8     32    33  ADASYN  5
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseOverSampler._parameter_constraints,
        "n_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            HasMethods(["kneighbors", "kneighbors_graph"]),
        ],
        "categorical_features": [StrOptions({"auto"}), "array-like", None],
        "integer_features": [StrOptions({"auto"}), "array-like", None],
        "jitter": [Interval(Real, 0, None, closed="left")],
        "level": [StrOptions({"median", "majority"})],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        random_state=None,
        n_neighbors=5,
        categorical_features="auto",
        integer_features="auto",
        jitter=0.05,
        level="median",
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.n_neighbors = n_neighbors
        self.categorical_features = categorical_features
        self.integer_features = integer_features
        self.jitter = jitter
        self.level = level

    def _check_X_y(self, X, y, accept_sparse=None):
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        dtypes = list(X.dtypes) if isinstance(X, pd.DataFrame) else None
        categorical = _columns(self.categorical_features, X, dtypes, _is_categorical)
        checked, y = validate_data(
            self,
            X=_numpy_columns(X),
            y=y,
            dtype=None if len(categorical) else "numeric",
            accept_sparse=False if len(categorical) else ["csr", "csc"],
        )
        integer = _columns(self.integer_features, X, dtypes or [checked.dtype], _is_integer)
        if dtypes is None and self.integer_features == "auto" and len(integer):
            integer = np.arange(checked.shape[1])
        self.categorical_features_ = categorical
        self.integer_features_ = np.setdiff1d(integer, categorical)
        return checked, y, binarize_y

    def _fit_resample(self, X, y):
        self.nn_ = check_neighbors_object("n_neighbors", self.n_neighbors, additional_neighbor=1)
        rng = check_random_state(self.random_state)
        table = _Table(X, self.categorical_features_, self.integer_features_)
        wanted = self._wanted(y)
        if table.codes is None:
            self.nn_.fit(table.values)  # one space for all classes
        plans = {label: self._plan(table, y, label, n) for label, n in wanted.items()}
        new = {}
        # plain ADASYN first: what falls back must not shift the others' random numbers
        for label in sorted(wanted, key=lambda label: plans[label]["method"] != "ADASYN"):
            new[label] = self._make(table, wanted[label], plans[label], rng)
        self.report_ = _report(y, self.sampling_strategy_, wanted, plans, new)
        labels = [np.full(new[label].shape[0], label, dtype=y.dtype) for label in wanted]
        return table.stack([new[label] for label in wanted]), np.concatenate([y, *labels])

    def _wanted(self, y):
        """Return the new samples of each class: those asked for, as far as the level."""
        asked = {label: n for label, n in self.sampling_strategy_.items() if n}
        if not isinstance(self.sampling_strategy, str) or self.level == "majority":
            return asked
        labels, counts = np.unique(y, return_counts=True)
        room = dict(zip(labels.tolist(), int(np.median(counts)) - counts, strict=True))
        return {label: min(n, int(room[label])) for label, n in asked.items() if room[label] > 0}

    def _plan(self, table, y, label, n_new):
        """Decide method, neighbourhood and, for ADASYN, the counts; draws nothing at random."""
        members = np.flatnonzero(y == label)
        asked = self.nn_.n_neighbors - 1
        if len(members) == 1:
            reason = "a single sample has no neighbour of its class"
            return {"method": "jitter", "k": 0, "reason": reason, "members": members}
        space = table.space(members)
        if table.codes is not None:
            self.nn_.fit(space)
        near = self.nn_.kneighbors(
            space[members], n_neighbors=min(asked + 1, len(y)), return_distance=False
        )[:, 1:]
        limit = min(asked, len(members) - 1)
        k, counts, reason = adasyn_plan(y[near] != label, n_new, limit)
        if not reason and k < asked:
            reason = f"{len(members)} samples of the class allow k={limit} at most"
        plan = {"method": "ADASYN" if k else "SMOTE", "k": k or limit, "counts": counts}
        return plan | {"reason": reason, "members": members, "space": space[members]}

    def _make(self, table, n_new, plan, rng):
        members, k = plan["members"], plan["k"]
        if plan["method"] == "jitter":
            return table.jitter(members[0], n_new, self.jitter, rng)
        self.nn_.fit(plan["space"])
        near = self.nn_.kneighbors(plan["space"], n_neighbors=k + 1, return_distance=False)[:, 1:]
        if plan["method"] == "ADASYN":
            rows = np.repeat(np.arange(len(members)), plan["counts"])
            columns = rng.choice(k, size=len(rows))
            steps = rng.uniform(size=(len(rows), 1))
        else:
            rows, columns, steps = smote_pairs(len(members), k, n_new, rng)
        return table.between(members, rows, near[rows, columns], near[rows], steps, rng)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not _given(self.categorical_features)
        return tags


class _Table:
    """A sample matrix taken apart into numbers and categories, and put together again."""

    def __init__(self, X, categorical, integer):
        self.X, self.categorical = X, categorical
        self.numeric = np.setdiff1d(np.arange(X.shape[1]), categorical)
        self.integer = np.flatnonzero(np.isin(self.numeric, integer))
        if len(categorical):
            self.values = np.asarray(X[:, self.numeric], dtype=np.float64)
            coded = [pd.factorize(X[:, j]) for j in categorical]
            self.codes = np.column_stack([codes for codes, _ in coded])
            self.categories = [words for _, words in coded]
        else:
            self.values, self.codes = X, None

    def space(self, members):
        """Where distances between samples are measured for this class."""
        if self.codes is None:
            return self.values
        return encode_for_distance(self.values, self.codes, members)

    def between(self, members, rows, others, near, steps, rng):
        values = interpolate(self.values[members], rows, others, steps)
        if self.codes is None:
            return self._join(values, None)
        return self._join(values, majority_codes(self.codes[members], near, rng))

    def jitter(self, row, n_new, amount, rng):
        values = jitter_row(self.values, row, n_new, amount, rng)
        codes = None if self.codes is None else np.repeat(self.codes[[row]], n_new, axis=0)
        return self._join(values, codes)

    def stack(self, blocks):
        if sparse.issparse(self.X):
            return sparse.vstack([self.X, *blocks], format=self.X.format)
        return np.vstack([self.X, *blocks])

    def _join(self, values, codes):
        if len(self.integer):
            values = _rounded(values, self.integer)
        if codes is None:
            return values.astype(self.X.dtype, copy=False)
        out = np.empty((len(values), self.X.shape[1]), dtype=self.X.dtype)
        out[:, self.numeric] = values
        for j, column, words in zip(self.categorical, codes.T, self.categories, strict=True):
            out[:, j] = words[column]
        return out


def _rounded(values, columns):
    if sparse.issparse(values):
        values = values.tocsc(copy=True)
        for j in columns:
            part = slice(values.indptr[j], values.indptr[j + 1])
            values.data[part] = np.rint(values.data[part])
        return values
    values = np.array(values)
    values[:, columns] = np.rint(values[:, columns])
    return values


def _report(y, asked, bounded, plans, new):
    labels, before = np.unique(y, return_counts=True)
    rows = []
    for label, count in zip(labels.tolist(), before.tolist(), strict=True):
        plan = plans.get(label, {"method": "none", "k": 0, "reason": ""})
        made = new[label].shape[0] if label in new else 0
        n_asked = int(asked.get(label, 0))
        if n_asked > bounded.get(label, 0):
            limit = f"level='median' allows {bounded.get(label, 0)} of {n_asked} new samples"
            plan = plan | {"reason": "; ".join(filter(None, [limit, plan["reason"]]))}
        rows.append(
            {
                "class": label,
                "before": count,
                "asked": n_asked,
                "method": plan["method"],
                "k": plan["k"],
                "made": made,
                "after": count + made,
                "reason": plan["reason"],
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _numpy_columns(X):
    """Return a DataFrame whose columns of Arrow and nullable types are NumPy's; all else as it is.

    Numbers stay numbers, text, categories and booleans become objects, and what is missing is nan,
    which the checks that follow refuse by name.
    """
    if not isinstance(X, pd.DataFrame):
        return X
    extended = [j for j, dtype in enumerate(X.dtypes) if not isinstance(dtype, np.dtype)]
    if not extended:
        return X
    columns = [X.iloc[:, j] for j in range(X.shape[1])]
    for j in extended:
        columns[j] = pd.Series(_numpy_column(columns[j]), index=X.index, name=X.columns[j])
    return pd.concat(columns, axis=1)


def _numpy_column(column):
    if _is_categorical(column.dtype):
        return column.astype(object).to_numpy(object, na_value=np.nan)
    if column.isna().any() or not _is_integer(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    return column.to_numpy(np.int64)


def _given(columns):
    return columns is not None and not (isinstance(columns, str) and columns == "auto")


def _columns(wanted, X, dtypes, matches):
    """Positions of the wanted columns: by type for "auto", else as they were given."""
    if wanted is None:
        return np.empty(0, dtype=np.intp)
    if not _given(wanted):
        dtypes = dtypes or []
        return np.flatnonzero([matches(dtype) for dtype in dtypes]).astype(np.intp)
    wanted = np.asarray(wanted)
    if wanted.dtype == bool:
        return np.flatnonzero(wanted)
    if wanted.dtype.kind in "iu":
        return np.sort(wanted)
    names = list(getattr(X, "columns", []))
    missing = [name for name in wanted.tolist() if name not in names]
    if missing:
        raise ValueError(
            f"There are no columns {missing} in X, which has "
            f"{names if names else 'no column names'}. Give names of a DataFrame's columns, "
            "positions or a mask."
        )
    return np.sort([names.index(name) for name in wanted])


def _is_categorical(dtype):
    return isinstance(dtype, pd.CategoricalDtype) or not (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    )


def _is_integer(dtype):
    return not isinstance(dtype, pd.CategoricalDtype) and pd.api.types.is_integer_dtype(dtype)
