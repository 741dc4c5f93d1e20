"""Table 2 of Qi et al. (2025) on real sessions: three clusterings compared.

Usage::

    python benchmarks/clusterings.py lab                      # the bundled captures
    python benchmarks/clusterings.py captures/                # labelled by their folders
    python benchmarks/clusterings.py sessions.parquet --label-column label

Prints a Markdown table. Below the paper's three clusterings come variants that show where its
numbers come from: the elbow of the logarithm of the inertia, and DBSCAN with a small radius, the
tenth percentile of the reachability, which calls nearly every session noise.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktraffic.cluster import (
    OPTICSDBSCAN,
    ElbowGaussianMixture,
    ElbowKMeans,
    compare_clusterings,
)
from sktraffic.feature_extraction import SessionFeatures, SessionStatistics
from sktraffic.preprocessing import make_preprocessor
from sktraffic.sessions import read_sessions

FEATURES = {
    "basic": lambda: SessionStatistics(),
    "extended": lambda: SessionStatistics("extended"),
    "all": lambda: SessionFeatures(),
}


def load(source, label_column=None, cache=None):
    """Return a session table and its classes (or None)."""
    if source == "lab":
        from sktraffic.datasets import load_lab_sessions

        bunch = load_lab_sessions()
        return bunch.data, np.asarray(bunch.target)
    if Path(source).suffix == ".parquet":
        X = read_sessions(source)
        return X, None if label_column is None else X[label_column].to_numpy(dtype=object)
    from sktraffic.capture import SessionExtractor
    from sktraffic.datasets import load_captures

    extractor = SessionExtractor(n_bytes=0, on_error="warn")
    X, y, _ = load_captures(source, extractor=extractor, cache=cache, return_X_y=True)
    return X, y


def clusterers(seed, max_samples):
    """Return the three of the paper, the elbow by its rule, and the variants."""
    return {
        "KMeans": ElbowKMeans(scale="linear", random_state=seed),
        "DBSCAN": OPTICSDBSCAN(max_samples=max_samples, random_state=seed),
        "GMM": ElbowGaussianMixture(scale="linear", random_state=seed),
        "KMeans, log elbow": ElbowKMeans(random_state=seed),
        "GMM, log elbow": ElbowGaussianMixture(random_state=seed),
        "DBSCAN, 10 % quantile": OPTICSDBSCAN(
            eps_rule=0.1, max_samples=max_samples, random_state=seed
        ),
    }


def markdown(table):
    """Write the scores as a Markdown table."""
    formats = {
        "clusters": "{:.0f}",
        "noise_percent": "{:.1f}",
        "silhouette": "{:.3f}",
        "silhouette_all_rows": "{:.3f}",
        "calinski_harabasz": "{:.0f}",
        "adjusted_mutual_info": "{:.3f}",
        "seconds": "{:.1f}",
    }
    lines = [
        "| model | " + " | ".join(name.replace("_", " ") for name in table.columns) + " |",
        "|---|" + "---:|" * table.shape[1],
    ]
    for name, row in table.iterrows():
        cells = [formats[column].format(row[column]) for column in table.columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def run(X, y, *, features="basic", log=False, seed=0, max_samples=10_000):
    """Cluster one session table; returns (number of columns, table)."""
    steps = [FEATURES[features]().set_output(transform="pandas")]
    if log:
        steps.append(FunctionTransformer(np.log1p, feature_names_out="one-to-one"))
    Z = make_pipeline(*steps, make_preprocessor()).fit_transform(X)
    table = compare_clusterings(Z, y, clusterers=clusterers(seed, max_samples), random_state=seed)
    return Z.shape[1], table


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="'lab', a folder of captures, or a .parquet of sessions")
    parser.add_argument("--features", choices=FEATURES, default="basic")
    parser.add_argument("--log", action="store_true", help="take log(1 + x) of the features")
    parser.add_argument("--label-column", help="classes, in a .parquet")
    parser.add_argument("--cache", help="folder that keeps extracted sessions")
    parser.add_argument("--max-samples", type=int, default=10_000, help="rows OPTICS looks at")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    begin = time.perf_counter()
    X, y = load(args.source, args.label_column, args.cache)
    loaded = time.perf_counter() - begin
    columns, table = run(
        X, y, features=args.features, log=args.log, seed=args.seed, max_samples=args.max_samples
    )
    classes = "" if y is None else f", {len(np.unique(y))} classes"
    scale = ", log(1 + x)" if args.log else ""
    print(
        f"{len(X):,} sessions{classes}; {args.features} features{scale}, {columns} columns after "
        f"preprocessing; read in {loaded:.0f} s\n"
    )
    print(markdown(table))


if __name__ == "__main__":
    main()
