"""Writes to nodes and their pods, and the events that go with them."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.lib.batches import together
from controllers.lib.collection import Collection
from controllers.lib.pods import is_ready
from controllers.nodelifecycle.health import ready_status
from controllers.nodelifecycle.taints import taints_of
from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Object, condition_of, name_of, rfc3339, uid_of
from kubeling.client.clock import Clock
from kubeling.client.events import EventRecorder
from kubeling.client.rest import PatchKind

BY_NODE = "node"


class NodeWrites:
    """What the node lifecycle controller changes."""

    def __init__(self, nodes: Collection, pods: Collection, recorder: EventRecorder, clock: Clock) -> None:
        self._nodes = nodes
        self._pods = pods
        self._recorder = recorder
        self._clock = clock

    def tell(self, node: Object, reason: str, message: str) -> None:
        """An event about a node."""
        reference = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name_of(node), "uid": uid_of(node)}}
        self._recorder.event(reference, "Normal", reason, message)

    async def set_taints(self, node: Object, taints: list[Object]) -> bool:
        """Writes the taints of exactly this version of the node; False when there is a newer one, which brings us back."""
        if taints == taints_of(node):
            return True
        spec = {**(node.get("spec") or {}), "taints": taints}
        try:
            await self._nodes.update({**node, "spec": spec})
        except StatusError as err:
            if not is_not_found(err) and not is_conflict(err):
                raise
            return is_not_found(err)
        return True

    async def set_labels(self, node: Object, labels: Mapping[str, str]) -> None:
        await self._nodes.patch(node, {"metadata": {"labels": dict(labels)}}, kind=PatchKind.STRATEGIC)

    async def set_unknown(self, node: Object, conditions: list[Object]) -> Object:
        was = ready_status(node)
        written = await self._nodes.update_status({**node, "status": {**node["status"], "conditions": conditions}})
        if was == "True":
            self.tell(node, "NodeNotReady", f"Node {name_of(node)} status is now: NodeNotReady")
        return written

    async def mark_pods_not_ready(self, node_name: str) -> None:
        """The pods of a node that is not heard of take no more traffic."""
        pods = [p for p in self._pods.store.by_index(BY_NODE, node_name) if is_ready(p)]
        failure = await together(pods, self._not_ready)
        if failure is not None:
            raise failure

    async def _not_ready(self, pod: Object) -> None:
        """What the kubelet said of the condition stays in it."""
        changed = {"status": "False", "lastTransitionTime": rfc3339(self._clock.now())}
        if generation := pod["metadata"].get("generation"):
            changed["observedGeneration"] = generation
        condition = {**(condition_of(pod, "Ready") or {}), **changed}
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [condition]}}
        try:
            await self._pods.patch(pod, patch, kind=PatchKind.STRATEGIC, subresource="status")
        except StatusError as err:
            if not is_not_found(err):
                raise
            return
        self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
