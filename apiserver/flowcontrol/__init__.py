"""API priority and fairness: who may have how many requests under way, and who waits for whom."""
