"""The tables and figures of both papers on real data, one module for each; papers.py runs them."""

from paper_tables import b_search, b_tables, few_labels, groups_apps, groups_iot, pretraining

TABLES = [
    b_tables.USTC, b_tables.ISCX, b_search.TABLE, pretraining.TABLE, few_labels.TABLE,
    groups_iot.TABLE, groups_apps.TABLE,
]  # fmt: skip

__all__ = ["TABLES"]
