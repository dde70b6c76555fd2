"""kubeling: a small, complete Kubernetes in Python."""

__version__ = "0.1.0"
