"""Every change of a namespace's pods in the order of the watch, and what held at each of its revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from kubeling.api.meta import Object, condition_of, is_deleting, name_of
from kubeling.api.resources import PODS
from kubeling.client.rest import Client

Pods = dict[str, Object]


@dataclass
class PodHistory:
    """``run`` records until cancelled; ``changes`` are (type, pod) as they came, ``now`` the pods after the last."""

    client: Client
    namespace: str
    changes: list[tuple[str, Object]] = field(default_factory=list)
    now: Pods = field(default_factory=dict)

    async def run(self) -> None:
        async for type_, obj in self.client.watch(PODS, self.namespace, resource_version="0", bookmarks=False):
            self.changes.append((type_, obj))
            _apply(self.now, type_, obj)

    def reached(self, version: str) -> bool:
        """True once the recording is not older than a resourceVersion."""
        return bool(self.changes) and int(self.changes[-1][1]["metadata"]["resourceVersion"]) >= int(version)

    def moments(self, since: int = 0) -> Iterator[Pods]:
        """The pods by name after each change but the first ``since``."""
        pods: Pods = {}
        for number, (type_, obj) in enumerate(self.changes, 1):
            _apply(pods, type_, obj)
            if number > since:
                yield pods

    def bounds(self, since: int = 0, chosen: Callable[[Object], bool] = lambda pod: True) -> tuple[int, int]:
        """(fewest ready, most) of the chosen pods that were not being deleted, at any moment after ``since`` changes."""
        ready, living = [], []
        for pods in self.moments(since):
            alive = [pod for pod in pods.values() if chosen(pod) and not is_deleting(pod)]
            living.append(len(alive))
            ready.append(sum(is_ready(pod) for pod in alive))
        return min(ready, default=0), max(living, default=0)


def _apply(pods: Pods, type_: str, obj: Object) -> None:
    pods[name_of(obj)] = obj
    if type_ == "DELETED":
        del pods[name_of(obj)]


def is_ready(pod: Object) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def are_ready(pods: Iterable[Object], image: str, number: int) -> bool:
    """True when exactly so many pods are not being deleted, all of them ready and of the image."""
    living = [pod for pod in pods if not is_deleting(pod)]
    fit = [pod for pod in living if is_ready(pod) and pod["spec"]["containers"][0]["image"] == image]
    return len(fit) == len(living) == number
