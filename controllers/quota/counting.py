"""What the objects of a namespace use of a quota. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kubeling.api.devicequotas import NOTHING, Around
from kubeling.api.meta import Object
from kubeling.api.quantity import ZERO, Quantity
from kubeling.api.quotas import in_scopes, kinds_of, usage

Objects = Callable[[str], Sequence[Object]]
"""The objects of the namespace by resource, as ``deployments.apps`` or ``pods``."""


def used_of(
    spec: Mapping[str, Any], names: Iterable[str], objects: Objects, now: datetime, around: Around = NOTHING
) -> dict[str, str]:
    """``status.used`` for those of the spec's limits that are named."""
    used: dict[str, Quantity] = dict.fromkeys(names, ZERO)
    for kind in {kind for name in used for kind in kinds_of(name)}:
        for obj in objects(kind):
            if not in_scopes(spec, kind, obj):
                continue
            for name, amount in usage(kind, obj, now, around).items():
                if name in used:
                    used[name] = used[name] + amount
    return {name: str(amount) for name, amount in used.items()}
