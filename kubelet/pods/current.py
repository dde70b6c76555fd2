"""The pod that a worker has in its charge: its newest version, what it may have, how it is to end."""

from __future__ import annotations

import asyncio

from kubelet.pods import spec as podspec
from kubelet.pods.allocation import Allocation
from kubelet.pods.ending import PodEnd
from kubelet.pods.kit import Kit
from kubelet.pods.pace import Pace
from kubelet.runtime.records import PodRecord
from kubeling.api.meta import Object, rfc3339


class CurrentPod:
    """``start_time`` is when this kubelet took the pod up, as RFC 3339."""

    def __init__(self, pod: Object, kit: Kit) -> None:
        self.pod = pod
        self.ref = podspec.ref_of(pod)
        self.end = PodEnd()
        self.pace = Pace(kit.clock)
        self.allocation = Allocation(pod, kit.recorder, kit.fits)
        self.start_time = rfc3339(kit.clock.now())
        self.end_asked = asyncio.Event()
        self._kit = kit

    @property
    def allocated(self) -> Object:
        """The pod with the resources that it may have now: a resize that waits is not in it."""
        return self.allocation.allocated(self.pod)

    @property
    def ending(self) -> bool:
        return self.end_asked.is_set()

    def ask_end(self) -> None:
        self.end_asked.set()
        self.pace.wake()

    async def observe(self) -> PodRecord:
        return await self._kit.runtime.pod(self.ref)

    def ip(self, observed: PodRecord) -> str:
        """The pod's address, empty without a sandbox."""
        sandbox = observed.sandbox
        return self._kit.node.ip if podspec.is_host_network(self.pod) else sandbox.ip if sandbox else ""

    def backoff_key(self, container: Object) -> tuple[str, str, str]:
        """What a container's crash back-off is remembered under: a changed container begins anew."""
        return self.ref.uid, container["name"], podspec.spec_hash(container)
