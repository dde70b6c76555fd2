"""Ports by number or by name."""

from __future__ import annotations

from typing import Any

from kubeling.api.meta import Object


def resolve_port(port: Any, container: Object) -> int:
    """The number of a port that is a number or the name of one of the container's. Raises ValueError with upstream's words."""
    number = port
    if not isinstance(port, int):
        declared = [p["containerPort"] for p in container.get("ports") or () if p.get("name") == port]
        number = declared[0] if declared else port
    try:
        number = int(number)
    except (TypeError, ValueError):
        raise ValueError(f'strconv.Atoi: parsing "{port}": invalid syntax') from None
    if not 0 < number < 65536:
        raise ValueError(f"invalid port number: {number}")
    return number
