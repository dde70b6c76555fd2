"""Gives each node its parts of the pod ranges, once and for all. Source: pkg/controller/nodeipam, the RangeAllocator."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.nodeipam.ranges import Exhausted, Network, NodeRange, networks, node_ranges
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, is_deleting, key_of, name_of
from kubeling.api.resources import NODES
from kubeling.client.controller import Result
from kubeling.client.errors import StartError
from kubeling.client.events import EventRecorder
from kubeling.client.rest import PatchKind

log = logging.getLogger(__name__)

COMPONENT = "cidrAllocator"
RETRY_SECONDS = 60.0  # for a node that found every part taken; one that comes free is not waited for


def parts_of(node: Object) -> list[Network]:
    """The node's parts; what is no CIDR is left out."""
    found: list[Network] = []
    for text in node["spec"].get("podCIDRs") or ():
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            log.warning("node %s has podCIDR %r, which is none", name_of(node), text)
    return found


def plan(node: Object, nodes: Iterable[Object], ranges: Sequence[NodeRange], reserved: Sequence[Network]) -> list[str]:
    """The parts to give to the node; empty when it has some. Raises Exhausted."""
    if is_deleting(node) or node["spec"].get("podCIDRs") or node["spec"].get("podCIDR"):
        return []
    used = [*reserved, *(part for other in nodes for part in parts_of(other))]
    return [str(range_.next(used)) for range_ in ranges]


class IpamReconciler:
    """One node at a time, so that two never get the same part; the store has seen each write when the next begins."""

    def __init__(
        self, nodes: Collection, ranges: Sequence[NodeRange], reserved: Sequence[Network], recorder: EventRecorder
    ) -> None:
        self._nodes, self._ranges, self._reserved, self._recorder = nodes, ranges, reserved, recorder

    async def reconcile(self, key: Key) -> Result | None:
        node = self._nodes.get(key)
        if node is None:
            return None
        try:
            parts = plan(node, self._nodes.store.list(), self._ranges, self._reserved)
        except Exhausted:
            self._tell(node, "CIDRNotAvailable")
            return Result(RETRY_SECONDS)
        if not parts:
            return None
        try:
            patch = {"spec": {"podCIDR": parts[0], "podCIDRs": parts}}
            await self._nodes.patch(node, patch, kind=PatchKind.STRATEGIC)
        except StatusError:
            self._tell(node, "CIDRAssignmentFailed")
            raise
        return None

    def _tell(self, node: Object, status: str) -> None:
        self._recorder.event(node, "Normal", status, f"Node {name_of(node)} status is now: {status}")


def build(context: Context) -> Sequence[Runnable]:
    options = context.options
    if not options.allocate_node_cidrs:
        return []
    if options.cidr_allocator_type != "RangeAllocator":
        raise StartError(f"--cidr-allocator-type={options.cidr_allocator_type}: there is no cloud provider")
    try:
        ranges, reserved = node_ranges(options), networks(options.service_cluster_ip_range)
    except ValueError as err:
        raise StartError(str(err)) from err
    nodes = context.collection(NODES)
    reconciler = IpamReconciler(nodes, ranges, reserved, context.recorder(COMPONENT))
    controller = context.controller("cidrallocator_node", reconciler, workers=1)

    def waiting(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The node itself; whoever has no part yet when one comes free."""
        if new is not None:
            yield key_of(new)
        else:
            yield from (key_of(n) for n in nodes.store.list() if not n["spec"].get("podCIDRs"))

    controller.watch(nodes.informer, waiting)
    return [controller]


CONTROLLER = ControllerSpec("node-ipam-controller", build, alias="nodeipam", account="node-controller")
