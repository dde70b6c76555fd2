"""Pod: strategies of the resource and its subresources, printer, selectable fields."""

from __future__ import annotations

from apiserver.kinds.core.pod.kind import POD

__all__ = ["POD"]
