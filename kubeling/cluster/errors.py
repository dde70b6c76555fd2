"""Failures that a user of the ``kubeling`` command can do something about."""

from __future__ import annotations


class ClusterError(Exception):
    """``message`` says what is wrong, ``advice`` what to do about it."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
