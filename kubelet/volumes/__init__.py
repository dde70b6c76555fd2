"""Volumes: one file a source, all declared in ``SOURCES``."""
