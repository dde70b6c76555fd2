"""How long pods take to start (pkg/kubelet/util, pod_startup_latency_tracker.go)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kubelet.pods import spec as podspec
from kubelet.pods.kit import Publish
from kubelet.pods.metrics import SLI_SECONDS, START_SECONDS, TOTAL_SECONDS
from kubeling.api.meta import Object, parse_time, uid_of
from kubeling.client.clock import Clock

# volumes that are there as soon as the pod is; others may take as long as somebody else's storage does
_QUICK = frozenset({"emptyDir", "configMap", "secret", "downwardAPI", "projected", "image", "hostPath"})


def all_started(status: Object) -> bool:
    """Whether every regular container has run."""
    states = [s.get("state") or {} for s in status.get("containerStatuses") or ()]
    return bool(states) and all("running" in s or "terminated" in s for s in states)


def initialization(pod: Object, status: Object) -> float:
    """Seconds for which init containers ran, sidecars aside."""
    sidecars = {c["name"] for c in podspec.init_containers(pod) if podspec.is_sidecar(c)}
    ended = [
        s["state"]["terminated"]
        for s in status.get("initContainerStatuses") or ()
        if s["name"] not in sidecars and "terminated" in s["state"]
    ]
    times = [(e["startedAt"], e["finishedAt"]) for e in ended if e.get("startedAt") and e.get("finishedAt")]
    return sum((parse_time(end) - parse_time(begin)).total_seconds() for begin, end in times)


def is_stateful(pod: Object) -> bool:
    """Whether it has to wait for storage: its start tells nothing of the node."""
    volumes = podspec.spec_of(pod).get("volumes") or ()
    return any(k not in _QUICK for v in volumes for k in v if k != "name")


class PodStarts:
    """Publishes statuses, and measures how long pods take: from the first status to the one that says Running, and from creation
    until all containers have started. ``pulling`` tells for how many seconds images of a pod were pulled, by its UID."""

    def __init__(self, publish: Publish, clock: Clock, pulling: Callable[[str], float]) -> None:
        self._publish, self._clock, self._pulling = publish, clock, pulling
        self._begun: dict[str, float] = {}
        self._starting: set[str] = set()

    def publish(self, pod: Object, status: Object) -> None:
        uid, phase, now = uid_of(pod), status.get("phase"), self._clock.monotonic()
        if phase == "Pending":
            self._begun.setdefault(uid, now)
            self._starting.add(uid)
        elif (begun := self._begun.pop(uid, None)) is not None and phase == "Running":
            START_SECONDS.observe(now - begun)
        if uid in self._starting and phase != "Pending" and all_started(status):
            self._starting.discard(uid)
            if created := pod["metadata"].get("creationTimestamp"):  # a static pod has none
                self._started(pod, status, parse_time(created))
        self._publish(pod, status)

    def _started(self, pod: Object, status: Object, created: datetime) -> None:
        total = (self._clock.now() - created).total_seconds()
        TOTAL_SECONDS.observe(total)
        if not is_stateful(pod):
            SLI_SECONDS.observe(max(0.0, total - self._pulling(uid_of(pod)) - initialization(pod, status)))

    def forget(self, uid: str) -> None:
        self._starting.discard(uid)
        self._begun.pop(uid, None)
