"""The tables and figures of both papers on real data, one module for each; papers.py runs them."""

from paper_tables import (
    a_adasyn,
    a_claims,
    a_clusterings,
    a_features,
    a_mlp,
    a_sparse,
    b_search,
    b_tables,
    few_labels,
    groups_apps,
    groups_iot,
    pretraining,
)

TABLES = [
    a_clusterings.TABLE,
    a_features.TABLE,
    a_mlp.A3,
    a_mlp.A4,
    a_adasyn.TABLE,
    a_sparse.TABLE,
    a_claims.NOISE,
    a_claims.LATENCY,
    b_tables.USTC,
    b_tables.ISCX,
    b_search.TABLE,
    pretraining.TABLE,
    few_labels.TABLE,
    groups_iot.TABLE,
    groups_apps.TABLE,
]

__all__ = ["TABLES"]
