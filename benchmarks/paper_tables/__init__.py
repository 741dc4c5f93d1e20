"""The tables and figures of both papers on real data, one module for each; papers.py runs them."""

from paper_tables import groups_apps, groups_iot

TABLES = [groups_iot.TABLE, groups_apps.TABLE]

__all__ = ["TABLES"]
