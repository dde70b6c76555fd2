"""Benchmarks: `python -m benchmarks` runs those of the API server; figures in docs/architecture.md."""
