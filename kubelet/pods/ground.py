"""What a pod's containers stand on: its sandbox and its volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from kubelet.containers.build import VolumePath, sandbox_spec
from kubelet.pods.actions import PodActions
from kubelet.pods.current import CurrentPod
from kubelet.pods.kit import Kit
from kubelet.runtime.protocol import RuntimeFailure, RuntimeUnavailable


class PodGround:
    """One pod's. ``volumes`` are its volumes' paths by name, once they are set up."""

    def __init__(self, current: CurrentPod, kit: Kit) -> None:
        self._current, self._kit = current, kit
        self.volumes: Mapping[str, VolumePath] = {}
        self._fresh = False

    def refresh(self) -> None:
        """Something that the volumes show has changed."""
        self._fresh = False

    async def prepare(self, actions: PodActions) -> None:
        """Both at the same time. Raises RuntimeFailure and FailedVolume."""
        results = await asyncio.gather(self._set_up_volumes(), self._make_sandbox(actions), return_exceptions=True)
        for result in reversed(results):
            if isinstance(result, BaseException):
                raise result

    async def _set_up_volumes(self) -> None:
        if not self._fresh:
            self._fresh = True
            try:
                self.volumes = await self._kit.volumes.set_up(self._current.pod)
            except BaseException:
                self._fresh = False
                raise

    async def _make_sandbox(self, actions: PodActions) -> None:
        if not actions.create_sandbox:
            return
        pod, kit = self._current.pod, self._kit
        try:
            handler = await kit.starter.runtime_handler(pod)
            await kit.runtime.run_sandbox(sandbox_spec(pod, actions.attempt, kit.node, handler))
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as err:
            kit.recorder.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {err}")
            raise
