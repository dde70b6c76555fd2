"""Puts requests into their flows and flows into their levels, as the stored configuration says.

Source: k8s.io/apiserver/pkg/util/flowcontrol (apf_controller, apf_filter) and its filter in pkg/server/filters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from apiserver.bootstrap import flow as defaults
from apiserver.flowcontrol.level import Level, Queuing, Rejected
from apiserver.flowcontrol.matching import distinguisher, matches, precedence
from apiserver.flowcontrol.shares import Share, divided, shares_of, smoothed
from apiserver.http.message import Header, Request, Response
from apiserver.http.request import RequestInfo, User
from apiserver.http.steps import Endpoint, long_running, too_many_requests
from apiserver.metrics.histogram import Histogram
from apiserver.registry.facade import Registries
from kubeling.api.meta import Object, name_of, uid_of
from kubeling.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS

WAIT_SHARE = 4
"""A request may wait for a quarter of its time."""
BORROW_SECONDS = 10.0
WAIT_BUCKETS = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
_MANDATORY = ("exempt", "catch-all")
_CACHED = 4096
_OBJECTS_A_SEAT = 100
_MOST_SEATS = 10


@dataclass(eq=False, slots=True)
class Flow:
    """A flow schema at run time, with what the metrics count of it."""

    schema: Object
    level: Level
    headers: tuple[Header, ...]
    dispatched: int = 0
    executing: int = 0
    seats: int = 0
    waiting: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    waits: dict[bool, Histogram] = field(default_factory=lambda: {k: Histogram(WAIT_BUCKETS) for k in (True, False)})
    """Seconds that requests have waited in queues, by whether they were executed then."""

    @property
    def name(self) -> str:
        return name_of(self.schema)


def _mandatory(objects: Iterable[Object], found: dict[str, Object]) -> dict[str, Object]:
    """What is stored, and the objects without which nothing works."""
    return {**{name_of(o): o for o in objects if name_of(o) in _MANDATORY}, **found}


class FlowControl:
    """``total`` seats in all; ``objects``: how many objects of a resource a list has to go through."""

    def __init__(
        self,
        registries: Registries,
        total: int,
        request_seconds: float,
        objects: Callable[[RequestInfo], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registries = registries
        self._total = total
        self._wait = request_seconds / WAIT_SHARE
        self._objects = objects
        self._clock = clock
        self.levels: dict[str, Level] = {}
        self.flows: list[Flow] = []
        self._shares: list[Share] = []
        self._known: dict[tuple[object, ...], Flow] = {}
        self._changed = asyncio.Event()
        self.configure(defaults.PRIORITY_LEVELS, defaults.FLOW_SCHEMAS)

    def configure(self, levels: Iterable[Object], schemas: Iterable[Object]) -> None:
        """Takes over a configuration; levels and flows that stay keep their requests and counts."""
        wanted = _mandatory(defaults.PRIORITY_LEVELS, {name_of(level): level for level in levels})
        specs = [level.get("spec") or {} for level in wanted.values()]
        self._shares = shares_of(specs, self._total)
        self.levels = {
            name_of(level): self._level(level, share)
            for level, share in zip(wanted.values(), self._shares, strict=True)
        }
        before = {flow.name: flow for flow in self.flows}
        found = _mandatory(defaults.FLOW_SCHEMAS, {name_of(s): s for s in schemas})
        self.flows = [
            self._flow(schema, self.levels[level], before.get(name_of(schema)))
            for schema in sorted(found.values(), key=precedence)
            if (level := schema["spec"]["priorityLevelConfiguration"]["name"]) in self.levels
        ]
        self._known.clear()

    def _level(self, wanted: Object, share: Share) -> Level:
        name, spec = name_of(wanted), wanted.get("spec") or {}
        response = (spec.get("limited") or {}).get("limitResponse") or {}
        queuing = None
        if response.get("type") == "Queue":
            given = response.get("queuing") or {}
            queuing = Queuing(given.get("queues", 64), given.get("handSize", 8), given.get("queueLengthLimit", 50))
        present = self.levels.get(name)
        if present is not None and present.same_shape(queuing, spec.get("type") == "Exempt"):
            present.uid = uid_of(wanted)
            present.nominal = share.nominal
            present.settle(max(1, share.nominal))
            return present
        made = Level(name, uid_of(wanted), max(1, share.nominal), queuing, self._clock, spec.get("type") == "Exempt")
        made.nominal = share.nominal
        return made

    @staticmethod
    def _flow(schema: Object, level: Level, before: Flow | None) -> Flow:
        headers = (
            (b"x-kubernetes-pf-flowschema-uid", uid_of(schema).encode()),
            (b"x-kubernetes-pf-prioritylevel-uid", level.uid.encode()),
        )
        if before is not None and before.level is level:
            before.schema, before.headers = schema, headers
            return before
        return Flow(schema, level, headers)

    def classify(self, user: User, info: RequestInfo) -> Flow:
        """The first schema that matches, the catch-all in the end."""
        key = (
            user.name, user.groups, info.verb, info.group, info.resource, info.subresource, info.namespace,
            "" if info.is_resource else info.path,
        )  # fmt: skip
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            found = next((f for f in self.flows if matches(f.schema, user, info)), self.flows[-1])
            self._known[key] = found
        return found

    def step(self, next_: Endpoint) -> Endpoint:
        """The step of the chain. A watch holds its seat only until it has begun; other lasting requests hold none."""

        async def endpoint(request: Request) -> Response:
            info = request.info
            if info.verb != "watch" and long_running(request):
                return await next_(request)
            flow = self.classify(request.user, info)
            request.added_headers = flow.headers
            level = flow.level
            width = self._width(info) if info.verb == "list" else 1
            if not level.try_now(width):
                return await self._queued(flow, request, width, next_)
            flow.dispatched += 1
            flow.executing += 1
            flow.seats += width
            try:
                return await next_(request)
            finally:
                flow.executing -= 1
                flow.seats -= width
                level.leave(width)

        return endpoint

    async def _queued(self, flow: Flow, request: Request, width: int, next_: Endpoint) -> Response:
        level, began = flow.level, self._clock()
        flow.waiting += 1
        executed = False
        try:
            names = (flow.name, distinguisher(flow.schema, request.user, request.info))
            queue, started = await level.wait(names, width, self._wait)
            executed = True
        except Rejected as err:
            flow.rejected[err.reason] = flow.rejected.get(err.reason, 0) + 1
            return too_many_requests()
        finally:
            flow.waiting -= 1
            flow.waits[executed].observe(self._clock() - began)
        flow.dispatched += 1
        flow.executing += 1
        flow.seats += width
        try:
            return await next_(request)
        finally:
            flow.executing -= 1
            flow.seats -= width
            level.leave_queue(queue, width, started)

    def _width(self, info: RequestInfo) -> int:
        """A list takes a seat for every hundred objects that it goes through."""
        return min(_MOST_SEATS, max(1, -(-self._objects(info) // _OBJECTS_A_SEAT)))

    def borrow(self) -> None:
        """Divides the seats anew by what the levels have lately needed."""
        levels = list(self.levels.values())
        for level in levels:
            level.demand = smoothed(level.demand, level.most)
            level.most = level.executing + level.waiting
        limits = divided(self._shares, [level.demand for level in levels], self._total)
        for level, limit in zip(levels, limits, strict=True):
            level.settle(limit)

    async def run(self) -> None:
        """Follows the stored configuration, and every ten seconds the demand. Forever."""
        kinds = (FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS)
        ends = [self._registries.of(resource).subscribe(self._wake) for resource in kinds]
        try:
            while True:
                try:
                    async with asyncio.timeout(BORROW_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    self.borrow()
                    continue
                self._changed.clear()
                levels = self._registries.of(PRIORITY_LEVEL_CONFIGURATIONS).cached_list()
                self.configure(levels, self._registries.of(FLOW_SCHEMAS).cached_list())
        finally:
            for end in ends:
                end()

    def _wake(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()
