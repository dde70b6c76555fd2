"""The ttl annotation of nodes: how long a kubelet may use a Secret or ConfigMap it has read, longer in larger clusters.

Source: pkg/controller/ttl.
"""

from __future__ import annotations

from collections.abc import Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.meta import Key, annotations_of
from kubeling.api.resources import NODES
from kubeling.client.rest import PatchKind

ANNOTATION = "node.alpha.kubernetes.io/ttl"
BANDS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 1 << 31, 300))
"""(fewest nodes, most nodes, seconds): they overlap, so that a cluster at a border does not swing."""


def next_band(band: int, nodes: int) -> int:
    """The band for that many nodes, from the one that holds now."""
    while nodes > BANDS[band][1]:
        band += 1
    while nodes < BANDS[band][0]:
        band -= 1
    return band


class TtlReconciler:
    """Keeps one node's annotation; remembers the band."""

    def __init__(self, nodes: Collection) -> None:
        self._nodes = nodes
        self._band = 0

    async def reconcile(self, key: Key) -> None:
        self._band = next_band(self._band, len(self._nodes.store))
        node = self._nodes.get(key)
        wanted = str(BANDS[self._band][2])
        if node is not None and annotations_of(node).get(ANNOTATION) != wanted:
            patch = {"metadata": {"annotations": {ANNOTATION: wanted}}}
            await self._nodes.patch(node, patch, kind=PatchKind.STRATEGIC)


def build(context: Context) -> Sequence[Runnable]:
    nodes = context.collection(NODES)
    controller = context.controller("ttlcontroller", TtlReconciler(nodes))
    controller.watch(nodes.informer)
    return [controller]


CONTROLLER = ControllerSpec("ttl-controller", build, alias="ttl")
