"""What a pod's containers stand on: its control group, its sandbox and its volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from kubelet.cgroups.manager import CgroupFailure
from kubelet.containers.build import VolumePath, sandbox_spec
from kubelet.containers.failure import ConfigError
from kubelet.dra.plugins import DraError
from kubelet.pods.actions import PodActions
from kubelet.pods.current import CurrentPod
from kubelet.pods.kit import Kit
from kubelet.runtime.protocol import RuntimeFailure, RuntimeUnavailable
from kubeling.api.meta import Object, annotations_of, labels_of

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


class PodGround:
    """One pod's. ``volumes`` are its volumes' paths by name, once they are set up."""

    def __init__(self, current: CurrentPod, kit: Kit) -> None:
        self._current, self._kit = current, kit
        self.volumes: Mapping[str, VolumePath] = {}
        self._shown: object = None  # what of the pod the volumes were set up from; None: they have to be

    def refresh(self) -> None:
        """Something that the volumes show has changed."""
        self._shown = None

    async def prepare(self, actions: PodActions) -> None:
        """Both at the same time. Raises RuntimeFailure and VolumesNotReady."""
        results = await asyncio.gather(self._set_up_volumes(), self._make_sandbox(actions), return_exceptions=True)
        for result in reversed(results):
            if isinstance(result, BaseException):
                raise result

    async def _set_up_volumes(self) -> None:
        pod = self._current.pod
        shown = _shown(pod)
        if self._shown == shown:
            return
        self._shown = shown
        try:
            found = await self._kit.volumes.set_up(pod)
        except BaseException:
            self._shown = None
            raise
        self.volumes = found.paths
        if found.retry_at is not None:
            self._shown = None
            self._current.pace.at(found.retry_at)

    async def _make_sandbox(self, actions: PodActions) -> None:
        if not actions.create_sandbox:
            return
        pod, kit = self._current.pod, self._kit
        await self._prepare_claims(pod)
        try:
            handler = await kit.starter.runtime_handler(pod)
            await kit.starter.tell_dns(pod)
            await self.widen()
            parent = kit.cgroups.parent(pod)
            await kit.runtime.run_sandbox(sandbox_spec(pod, actions.attempt, kit.node, handler, parent))
            await kit.cgroups.placed(pod)
        except RuntimeUnavailable:
            raise
        except (RuntimeFailure, ConfigError) as err:
            kit.recorder.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {err}")
            raise RuntimeFailure(str(err)) from err

    async def _prepare_claims(self, pod: Object) -> None:
        try:
            await self._kit.claims.prepare(pod)
        except DraError as err:
            text = f"Failed to prepare dynamic resources: {err}"
            self._kit.recorder.event(pod, "Warning", "FailedPrepareDynamicResources", text)
            raise RuntimeFailure(text) from err

    async def widen(self) -> None:
        """The pod's control group is there and has room for what is to run. Raises RuntimeFailure."""
        try:
            await self._kit.cgroups.prepare(self._current.allocated)
        except CgroupFailure as err:
            self._kit.recorder.event(self._current.pod, "Warning", "FailedCreatePodContainer", str(err))
            raise RuntimeFailure(str(err)) from err

    async def shrinks(self) -> tuple[int, int] | None:
        """The pod's new, lower memory limit and what it uses, in bytes. Raises RuntimeFailure."""
        try:
            return await self._kit.cgroups.shrinks(self._current.allocated)
        except CgroupFailure as err:
            raise RuntimeFailure(str(err)) from err

    async def settle(self) -> None:
        """The control group is no wider than what runs. Raises RuntimeFailure."""
        try:
            await self._kit.cgroups.settle(self._current.allocated)
        except CgroupFailure as err:
            self._current.allocation.failed(self._current.pod, str(err))
            raise RuntimeFailure(str(err)) from err


def _shown(pod: Object) -> object:
    """What of a pod its volumes may show, or which of them it uses."""
    spec = pod.get("spec") or {}
    containers = [(c.get("resources"), c.get("volumeMounts")) for field in _CONTAINERS for c in spec.get(field) or ()]
    return labels_of(pod), annotations_of(pod), containers
