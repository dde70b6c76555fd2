"""What a plugin may do: one small protocol an extension point. A plugin is a class with any of these methods.

Upstream's PreFilter and Filter are one method here, and so are PreScore, Score and NormalizeScore: ``filter`` prepares for a pod
and returns the check to run on each node, ``score`` prepares, scores all nodes and normalises. State between the two halves is
the closure's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from scheduler.framework.events import ClusterEvent
from scheduler.framework.status import Diagnosis, Rejection
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Listers, Snapshot

MAX_SCORE = 100
Check = Callable[[NodeInfo], Rejection | None]
"""Runs for each node; None lets the pod in."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """PreFilter knows that only these nodes come into question; ``check`` as usual."""

    nodes: frozenset[str]
    check: Check | None = None


Filtering = Check | Narrowed | Rejection | None
"""A check; fewer nodes; a no for all nodes; or None: this plugin has no objection to any node."""

Scores = Sequence[float] | None
"""0 to 100 for each node given, in order; None when all nodes are the same to the plugin."""


class Plugin:
    """Base of all plugins. ``helped_by`` are the changes of the cluster that may turn this plugin's no into a yes."""

    name: ClassVar[str] = ""
    helped_by: ClassVar[frozenset[ClusterEvent]] = frozenset()

    def __init__(self, args: Mapping[str, Any]) -> None:
        """``args`` is the plugin's section of ``pluginConfig``."""
        self.args = args


@runtime_checkable
class PreEnqueuePlugin(Protocol):
    def pre_enqueue(self, pod: PodInfo, listers: Listers) -> Rejection | None:
        """Keeps a pod out of the queue altogether."""


@runtime_checkable
class QueueSortPlugin(Protocol):
    def sort_key(self, pod: PodInfo, queued_at: float) -> tuple[float, ...]:
        """The smallest key is scheduled first."""


@runtime_checkable
class FilterPlugin(Protocol):
    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering: ...


@runtime_checkable
class ScorePlugin(Protocol):
    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores: ...


@dataclass(frozen=True, slots=True)
class Preemption:
    """Victims to evict from a node so that the pod fits there later."""

    node: str
    victims: tuple[PodInfo, ...]


@dataclass(frozen=True, slots=True)
class PostFiltered:
    """``message`` for the user; ``preemption`` when place can be made; ``after``: what has to be written for it to come true."""

    message: str = ""
    preemption: Preemption | None = None
    after: Callable[[], Coroutine[Any, Any, None]] | None = None


@runtime_checkable
class PostFilterPlugin(Protocol):
    def post_filter(self, pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis, trial: TryOut) -> PostFiltered:
        """A pod fits nowhere: can place be made?"""


class TryOut(Protocol):
    """Runs the profile's filters on one node in a snapshot."""

    def __call__(self, pod: PodInfo, snapshot: Snapshot, node: NodeInfo) -> Rejection | None: ...


@runtime_checkable
class ReservePlugin(Protocol):
    def reserve(self, pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> Rejection | None:
        """Takes what is scarce before binding starts."""

    def unreserve(self, pod: PodInfo, node: str) -> None:
        """Gives it back; may be called without a reservation."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The pod keeps its place until the plugin sets the verdict (None lets it through), at most so many seconds."""

    seconds: float
    verdict: asyncio.Future[Rejection | None]


@runtime_checkable
class PermitPlugin(Protocol):
    def permit(self, pod: PodInfo, node: str) -> Rejection | Waiting | None:
        """None lets the pod through at once."""


@runtime_checkable
class PreBindPlugin(Protocol):
    async def pre_bind(self, pod: PodInfo, node: str) -> Rejection | None:
        """Does what must be done before the pod is bound. Raises StatusError, ClientError."""


@runtime_checkable
class BindPlugin(Protocol):
    async def bind(self, pod: PodInfo, node: str) -> bool:
        """False when another plugin is to bind the pod. Raises StatusError, ClientError."""


def normalized(scores: Sequence[float], *, reverse: bool = False) -> list[float]:
    """Scaled so that the highest is 100, whole numbers; ``reverse`` turns them round. Upstream's DefaultNormalizeScore."""
    highest = max(scores, default=0)
    if highest == 0:
        return [float(MAX_SCORE) if reverse else 0.0] * len(scores)
    scaled = [float(int(s * MAX_SCORE / highest)) for s in scores]
    return [MAX_SCORE - s for s in scaled] if reverse else scaled
