"""The words around the tables of docs/results.md."""

HEAD = """# Results: the papers' tables on real data

Written by `python benchmarks/papers.py --render` from the files in `benchmarks/results`."""
