"""What several controllers share: pure functions on pods and owners, and the collection they act through."""
