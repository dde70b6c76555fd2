"""Discovery documents: legacy, per group version, aggregated."""
