"""What every component knows about Kubernetes objects: pure functions and values, no I/O."""
