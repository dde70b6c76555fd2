"""Failures that a container's status tells about."""

from __future__ import annotations

from datetime import datetime


class ContainerFailure(Exception):
    """A container does not run: ``reason`` is its waiting reason, ``retry_at`` when to try again at the earliest."""

    def __init__(self, reason: str, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message, self.retry_at = reason, message, retry_at
