"""Watches over the nodes: their health every few seconds, their taints at every change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.batches import together
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import patch_condition
from controllers.lib.pods import is_ready
from controllers.lib.ranking import node_of
from controllers.nodelifecycle.health import Probe, is_silent, observe, ready_status, unknown_conditions
from controllers.nodelifecycle.taints import evicting_taint, no_schedule, taints_of, with_evicting
from controllers.nodelifecycle.zones import Rates, all_down, rate_of, states_of, zone_of
from controllers.options import Options
from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Key, Object, name_of, uid_of
from kubeling.api.resources import LEASES, NODES, PODS
from kubeling.client.clock import Clock
from kubeling.client.controller import Controller, Result
from kubeling.client.events import EventRecorder

COMPONENT = "node-controller"
LEASE_NAMESPACE = "kube-node-lease"
BY_NODE = "node"


def pods_by_node(pod: Object) -> Iterable[str]:
    """Index values: the node that the pod is bound to."""
    if node := node_of(pod):
        yield node


class NodeWrites:
    """Writes to nodes and their pods, and the events that go with them."""

    def __init__(self, nodes: Collection, pods: Collection, recorder: EventRecorder, clock: Clock) -> None:
        self._nodes = nodes
        self._pods = pods
        self._recorder = recorder
        self._clock = clock

    def tell(self, node: Object, reason: str, message: str) -> None:
        """An event about a node."""
        reference = {"kind": "Node", "apiVersion": "v1", "name": name_of(node), "uid": uid_of(node)}
        self._recorder.event(reference, "Normal", reason, message)

    async def set_taints(self, node: Object, taints: list[Object]) -> None:
        """Writes the taints of exactly this version of the node; a newer one brings us back anyway."""
        if taints == taints_of(node):
            return
        spec = {**(node.get("spec") or {}), "taints": taints}
        try:
            await self._nodes.update({**node, "spec": spec})
        except StatusError as err:
            if not is_not_found(err) and not is_conflict(err):
                raise

    async def set_unknown(self, node: Object, conditions: list[Object]) -> Object:
        was = ready_status(node)
        written = await self._nodes.update_status({**node, "status": {**node["status"], "conditions": conditions}})
        if was != ready_status(written):
            self.tell(node, "NodeNotReady", f"Node {name_of(node)} status is now: NodeNotReady")
        return written

    async def mark_pods_not_ready(self, node_name: str) -> None:
        """The pods of a node that is not heard of take no more traffic."""
        pods = [p for p in self._pods.store.by_index(BY_NODE, node_name) if is_ready(p)]
        failure = await together(pods, self._not_ready)
        if failure is not None:
            raise failure

    async def _not_ready(self, pod: Object) -> None:
        self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        try:
            await patch_condition(self._pods, pod, "Ready", "False", self._clock.now())
        except StatusError as err:
            if not is_not_found(err):
                raise


class HealthMonitor:
    """Looks at all nodes every few seconds; memory of what was heard when, and of how fast zones were given up."""

    def __init__(
        self, nodes: Collection, leases: Collection, writes: NodeWrites, options: Options, clock: Clock
    ) -> None:
        self._nodes = nodes
        self._leases = leases
        self._writes = writes
        self._options = options
        self._clock = clock
        self._probes: dict[str, Probe] = {}
        self._known: dict[str, Object] = {}
        self._next_eviction: dict[str, float] = {}
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
        probe = self._probes[name] = observe(self._probes.get(name), node, lease, now)
        options = self._options
        if is_silent(probe, now, options.node_monitor_grace_period, options.node_startup_grace_period):
            conditions = unknown_conditions(node, self._clock.now())
            if conditions is not None:
                node = await self._writes.set_unknown(node, conditions)
        if ready_status(node) != "True":
            await self._writes.mark_pods_not_ready(name)

    async def _evict(self, nodes: list[Object]) -> None:
        """Gives nodes their NoExecute taints, slowly, and takes them away at once."""
        now = self._clock.now()
        states = states_of(nodes, self._rates.threshold)
        down = all_down(states)
        if self._was_all_down and not down:
            self._forget_silence()
        self._was_all_down = down
        for node in nodes:
            key = evicting_taint(node)
            wanted = with_evicting(node, "" if down else key, now)
            adds = len(wanted) > len(taints_of(node))
            if adds and not self._may_evict(zone_of(node), nodes):
                continue
            await self._writes.set_taints(node, wanted)

    def _forget_silence(self) -> None:
        """After all nodes were away, each gets a new grace period: it was probably we who were cut off."""
        now = self._clock.monotonic()
        self._probes = {n: Probe(p.renewed, p.ready, now, p.fresh) for n, p in self._probes.items()}

    def _may_evict(self, zone: str, nodes: list[Object]) -> bool:
        members = [n for n in nodes if zone_of(n) == zone]
        state = states_of(members, self._rates.threshold)[zone]
        rate = rate_of(state, len(members), self._rates)
        now = self._clock.monotonic()
        if rate <= 0 or now < self._next_eviction.get(zone, 0.0):
            return False
        self._next_eviction[zone] = now + 1 / rate
        return True


class TaintReconciler:
    """Keeps the NoSchedule taints of a node as its conditions ask, and frees a ready one from eviction at once."""

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


def build(context: Context) -> Sequence[Runnable]:
    nodes = context.collection(NODES)
    pods = context.collection(PODS, indexers={BY_NODE: pods_by_node})
    leases = context.collection(LEASES, namespace=LEASE_NAMESPACE)
    writes = NodeWrites(nodes, pods, context.recorder(COMPONENT), context.clock)
    monitor = HealthMonitor(nodes, leases, writes, context.options, context.clock)
    health: Controller[str] = context.controller("node_health", monitor, workers=1)
    taints = context.controller("node_lifecycle_controller", TaintReconciler(nodes, writes, context.clock))
    for collection in (nodes, pods, leases):
        health.watch(collection.informer, lambda old, new: ())
    taints.watch(nodes.informer)
    health.queue.add("all")
    return [health, taints]


CONTROLLER = ControllerSpec("node-lifecycle-controller", build, alias="nodelifecycle", account="node-controller")
