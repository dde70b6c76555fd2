"""What keeps a container from being configured."""

from __future__ import annotations


class ConfigError(Exception):
    """The container cannot be configured; becomes CreateContainerConfigError with this message."""
