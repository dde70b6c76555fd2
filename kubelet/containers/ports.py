"""Ports by number or by name."""

from __future__ import annotations

from typing import Any

from kubeling.api.meta import Object


def resolve_port(port: Any, container: Object) -> int:
    """The number of a port that is a number or the name of one of the container's. Raises ValueError."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if isinstance(port, str) and port.isdigit():
        return int(port)
    raise ValueError(f'couldn\'t find port: {port} in container "{container.get("name")}"')
