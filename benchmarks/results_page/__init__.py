"""docs/results.md from docs/results.md.jinja and benchmarks/results: tables and figures."""
