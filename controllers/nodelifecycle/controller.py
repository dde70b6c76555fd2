"""Watches over the nodes: their health every few seconds, their taints and labels at every change.

Source of the rules: pkg/controller/nodelifecycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.batches import together
from controllers.lib.collection import Collection
from controllers.lib.ranking import node_of
from controllers.nodelifecycle.health import Probe, heartbeat_of, is_silent, observe, ready_status, unknown_conditions
from controllers.nodelifecycle.taints import evicting_taint, no_schedule, renamed_labels, taints_of, with_evicting
from controllers.nodelifecycle.writes import BY_NODE, NodeWrites
from controllers.nodelifecycle.zones import Rates, all_down, rate_of, state_of, zone_of, zones_of
from controllers.options import Options
from kubeling.api.errors import is_conflict
from kubeling.api.meta import Key, Object, name_of, parse_time
from kubeling.api.resources import LEASES, NODES, PODS
from kubeling.client.clock import Clock
from kubeling.client.controller import Controller, Result

COMPONENT = "node-controller"
LEASE_NAMESPACE = "kube-node-lease"
WRITE_RETRY_SECONDS = 0.05


def pods_by_node(pod: Object) -> Iterable[str]:
    """Index values: the node that the pod is bound to."""
    if node := node_of(pod):
        yield node


class Evictions:
    """The nodes that wait for their NoExecute taint, a queue a zone, each as fast as its zone's state allows.

    The keys that it reconciles are the zones.
    """

    def __init__(self, nodes: Collection, writes: NodeWrites, clock: Clock) -> None:
        self._nodes = nodes
        self._writes = writes
        self._clock = clock
        self._waiting: dict[str, dict[str, None]] = {}
        self._rates: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def set_rate(self, zone: str, rate: float) -> None:
        """Nodes a second; 0 stops the zone."""
        self._rates[zone] = rate

    def add(self, zone: str, node: str) -> None:
        self._waiting.setdefault(zone, {})[node] = None

    def stop(self) -> None:
        """Lets every node off that waits."""
        self._waiting.clear()

    async def reconcile(self, zone: str) -> Result | None:
        waiting, rate = self._waiting.get(zone) or {}, self._rates.get(zone, 0.0)
        if not waiting or rate <= 0:
            return None
        left = self._next.get(zone, 0.0) - self._clock.monotonic()
        if left > 0:
            return Result(left)
        name = next(iter(waiting))
        node = self._nodes.get(Key("", name))
        key = evicting_taint(node) if node is not None else ""
        if node is not None and key:
            if not await self._writes.set_taints(node, with_evicting(node, key, self._clock.now())):
                return Result(WRITE_RETRY_SECONDS)
            self._next[zone] = self._clock.monotonic() + 1 / rate
        waiting.pop(name, None)
        return Result(max(0.0, self._next.get(zone, 0.0) - self._clock.monotonic())) if waiting else None


class HealthMonitor:
    """Looks at all nodes every few seconds; memory of what was heard when."""

    def __init__(
        self, nodes: Collection, leases: Collection, writes: NodeWrites, options: Options, clock: Clock,
        evictions: Controller[str], queue: Evictions,
    ) -> None:  # fmt: skip
        self._nodes = nodes
        self._leases = leases
        self._writes = writes
        self._options = options
        self._clock = clock
        self._evictions = evictions
        self._queue = queue
        self._probes: dict[str, Probe] = {}
        self._known: dict[str, Object] = {}
        self._was_all_down = False
        self._rates = Rates(
            options.node_eviction_rate,
            options.secondary_node_eviction_rate,
            options.large_cluster_size_threshold,
            options.unhealthy_zone_threshold,
        )

    async def reconcile(self, _: str) -> Result:
        nodes = self._nodes.store.list()
        self._tell_comings_and_goings(nodes)
        failure = await together(nodes, self._check)
        await self._evict(self._nodes.store.list())
        if failure is not None and not is_conflict(failure):
            raise failure
        return Result(self._options.node_monitor_period)

    def _tell_comings_and_goings(self, nodes: Iterable[Object]) -> None:
        present = {name_of(node): node for node in nodes}
        for name in present.keys() - self._known.keys():
            text = f"Node {name} event: Registered Node {name} in Controller"
            self._writes.tell(present[name], "RegisteredNode", text)
        for name in self._known.keys() - present.keys():
            text = f"Node {name} event: Removing Node {name} from Controller"
            self._writes.tell(self._known[name], "RemovingNode", text)
            self._probes.pop(name, None)
        self._known = present

    async def _check(self, node: Object) -> None:
        name, now = name_of(node), self._clock.monotonic()
        lease = self._leases.get(Key(LEASE_NAMESPACE, name))
        born = now - (self._clock.now() - parse_time(node["metadata"]["creationTimestamp"])).total_seconds()
        probe = self._probes[name] = observe(self._probes.get(name), node, lease, now, born)
        options = self._options
        if is_silent(probe, now, options.node_monitor_grace_period, options.node_startup_grace_period):
            conditions = unknown_conditions(node, self._clock.now())
            if conditions is not None:
                node = await self._writes.set_unknown(node, conditions)
                self._probes[name] = replace(probe, heartbeat=heartbeat_of(node))
            if ready_status(node) == "Unknown":  # one that is not ready by its own word keeps its pods' conditions up
                await self._writes.mark_pods_not_ready(name)

    async def _evict(self, nodes: list[Object]) -> None:
        """Queues nodes for their NoExecute taints, and takes those away at once that are not theirs any more."""
        zones = zones_of(nodes)
        states = {zone: state_of(members, self._rates.threshold) for zone, members in zones.items()}
        down = all_down(states)
        if self._was_all_down and not down:
            self._forget_silence()
        self._was_all_down = down
        if down:
            self._queue.stop()
        for node in nodes:
            await self._taint(node, down)
        for zone in {zone_of(node) for node in nodes}:
            rate = rate_of(states[zone], len(zones[zone]), self._rates) if zone in zones else self._rates.normal
            self._queue.set_rate(zone, 0.0 if down else rate)
            self._evictions.queue.add(zone)

    async def _taint(self, node: Object, down: bool) -> None:
        key = evicting_taint(node)
        if not key and ready_status(node) != "True":
            return  # it never said how it is
        wanted = with_evicting(node, "" if down else key, self._clock.now())
        if len(wanted) > len(taints_of(node)):
            self._queue.add(zone_of(node), name_of(node))
        else:
            await self._writes.set_taints(node, wanted)

    def _forget_silence(self) -> None:
        """After all nodes were away, each gets a new grace period: it was probably we who were cut off."""
        now = self._clock.monotonic()
        self._probes = {name: replace(probe, heard_at=now) for name, probe in self._probes.items()}


class NodeReconciler:
    """Keeps a node's NoSchedule taints as its conditions ask, frees a ready one from eviction at once, keeps its labels."""

    def __init__(self, nodes: Collection, writes: NodeWrites, clock: Clock) -> None:
        self._nodes = nodes
        self._writes = writes
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        node = self._nodes.get(key)
        if node is None:
            return
        now = self._clock.now()
        taints = no_schedule(node, now)
        if ready_status(node) == "True":
            taints = with_evicting({"spec": {"taints": taints}}, "", now)
        await self._writes.set_taints(node, taints)
        if labels := renamed_labels(node):
            await self._writes.set_labels(node, labels)


def build(context: Context) -> Sequence[Runnable]:
    nodes = context.collection(NODES)
    pods = context.collection(PODS, indexers={BY_NODE: pods_by_node})
    leases = context.collection(LEASES, namespace=LEASE_NAMESPACE)
    writes = NodeWrites(nodes, pods, context.recorder(COMPONENT), context.clock)
    queue = Evictions(nodes, writes, context.clock)
    evictions: Controller[str] = context.controller("node_evictions", queue, workers=1)
    monitor = HealthMonitor(nodes, leases, writes, context.options, context.clock, evictions, queue)
    health: Controller[str] = context.controller("node_health", monitor, workers=1)
    upkeep = context.controller("node_lifecycle_controller", NodeReconciler(nodes, writes, context.clock))
    for collection in (nodes, pods, leases):
        health.watch(collection.informer, lambda old, new: ())
    evictions.watch(nodes.informer, lambda old, new: ())
    upkeep.watch(nodes.informer)
    health.queue.add("all")
    return [health, evictions, upkeep]


CONTROLLER = ControllerSpec("node-lifecycle-controller", build, alias="nodelifecycle", account="node-controller")
