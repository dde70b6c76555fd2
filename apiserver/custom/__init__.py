"""Custom resources: a CustomResourceDefinition becomes a ``Kind`` like any other, registered while the server runs."""
