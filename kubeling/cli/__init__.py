"""The ``kubeling`` command."""
