"""What the checks share: the form of a violation and of a check, and how their texts are put together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kubeling.api.meta import Object


@dataclass(frozen=True, slots=True)
class Violation:
    """``reason`` is short, ``detail`` says which containers or fields and what they must do."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Function = Callable[[Object, int], Violation | None]
"""Given a pod (metadata and spec) and the minor version of the policy."""


@dataclass(frozen=True, slots=True)
class Check:
    """``since``: the first minor the check exists in; ``replaces``: the baseline check it makes superfluous."""

    id: str
    level: str
    function: Function
    since: int = 0
    replaces: str = ""
    not_for_windows_since: int | None = None


def quoted(names: Iterable[str]) -> str:
    return ", ".join(json.dumps(name, ensure_ascii=False) for name in names)


def plural(singular: str, count: int, many: str = "") -> str:
    return singular if count == 1 else many or singular + "s"


def containers(pod: Object) -> list[Object]:
    spec = pod.get("spec") or {}
    return [c for f in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(f) or ()]


def context(thing: Object) -> Object:
    return thing.get("securityContext") or {}


def pod_context(pod: Object) -> Object:
    return context(pod.get("spec") or {})


def named(names: Sequence[str]) -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{plural('container', len(names))} {quoted(names)}"


def unique(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def setters(pod: bool, names: Sequence[str]) -> str:
    """Who set something: the pod, containers or both."""
    return " and ".join([*(["pod"] if pod else []), *([named(names)] if names else [])])


def added(pod: Object, allowed: frozenset[str]) -> tuple[list[str], list[str]]:
    """Containers that add capabilities which are not allowed, and those capabilities."""
    bad, forbidden = [], []
    for container in containers(pod):
        added = [c for c in (context(container).get("capabilities") or {}).get("add") or () if c not in allowed]
        if added:
            bad.append(container["name"])
            forbidden += added
    return bad, unique(forbidden)
