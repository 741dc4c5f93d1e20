"""The tables and figures of both papers on real data, one module for each; papers.py runs them."""

TABLES = []

__all__ = ["TABLES"]
