"""In which order the containers of an ending pod get their signal (kuberuntime_termination_order.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kubelet.pods import spec as podspec
from kubeling.api.meta import Object


class Turns:
    """All at once, but sidecars: they wait for the regular containers, and each for the sidecars after it."""

    def __init__(self, pod: Object, running: Iterable[str]) -> None:
        self._ended = {name: asyncio.Event() for name in running}
        regular = [c["name"] for c in podspec.containers(pod)]
        self._before: dict[str, list[str]] = {}
        later: list[str] = []
        for container in reversed(podspec.init_containers(pod)):
            if podspec.is_sidecar(container):
                self._before[container["name"]] = [*regular, *later]
                later.append(container["name"])

    async def wait(self, name: str) -> None:
        """Returns when it is that container's turn."""
        for other in self._before.get(name, ()):
            if (event := self._ended.get(other)) is not None:
                await event.wait()

    def ended(self, name: str) -> None:
        if (event := self._ended.get(name)) is not None:
            event.set()
