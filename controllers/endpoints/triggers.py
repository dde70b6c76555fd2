"""When the change happened that a write to endpoints answers: who measures how long changes take to get there reads it.

Source of the rules: k8s.io/endpointslice/util's TriggerTimeTracker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubeling.api.meta import Key, Object, condition_of, name_of

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class _Seen:
    service: str
    pods: dict[str, str]


@dataclass(slots=True)
class TriggerTimes:
    """Memory of the times of each service and of its pods at the last look."""

    _services: dict[Key, _Seen] = field(default_factory=dict)

    def next(self, key: Key, service: Object, pods: Iterable[Object]) -> str:
        """The earliest time that has changed since the last look; the service's creation at the first, empty for none."""
        created = service["metadata"].get("creationTimestamp") or ""
        times = {name_of(pod): time for pod in pods if (time := _ready_changed(pod))}
        seen = self._services.get(key)
        self._services[key] = _Seen(created, times)
        if seen is None:
            return created
        changed = [time for name, time in times.items() if time > seen.pods.get(name, "")]
        if created > seen.service:
            changed.append(created)
        return min(changed, default="")

    def forget(self, key: Key) -> None:
        self._services.pop(key, None)


def _ready_changed(pod: Object) -> str:
    return str((condition_of(pod, "Ready") or {}).get("lastTransitionTime") or "")
