"""Network endpoints that have outlived their container.

Docker 20.10 loses one when a container is removed by force while it starts or while the engine goes down: its address is in use
for ever, its name cannot be had again, and the network cannot be removed. Disconnecting it by its name, by force, frees all three.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

import aiodocker
import aiohttp
from aiodocker.networks import DockerNetwork

from kubelet.runtime.metrics import ENDPOINTS_FREED

log = logging.getLogger(__name__)
_LOOK_SECONDS = 20.0


def ownerless(endpoints: Mapping[str, Mapping[str, Any]], held: Collection[str]) -> dict[str, str]:
    """Names of endpoints by their id. ``endpoints`` is what the network shows as its containers, ``held`` are the ids and names
    of all containers: an endpoint that is being made carries its container's name before it is listed under its id."""
    return {
        shown["EndpointID"]: shown["Name"]
        for owner, shown in endpoints.items()
        if owner not in held and shown["Name"] not in held
    }


class EndpointHealer:
    """Frees endpoints of one network that nobody held at two looks in a row: the first may fall into a removal."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._suspects: set[str] = set()

    async def run(self, engine: aiodocker.Docker) -> None:
        """For ever; an engine that does not answer is asked again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look(engine)
            except (aiodocker.DockerError, aiohttp.ClientError, OSError) as err:
                log.debug("Endpoints of network %s: %s", self._network, err)

    async def look(self, engine: aiodocker.Docker) -> list[str]:
        """The names of those that were freed. Raises DockerError, ClientError and OSError."""
        network = await engine.networks.get(self._network)
        endpoints = (await network.show()).get("Containers") or {}
        containers = await engine.containers.list(all=True)
        held = {c.id for c in containers} | {name.removeprefix("/") for c in containers for name in c["Names"]}
        found = ownerless(endpoints, held)
        due = [name for number, name in found.items() if number in self._suspects]
        self._suspects = found.keys() - self._suspects
        return [name for name in due if await self._free(network, name)]

    async def _free(self, network: DockerNetwork, name: str) -> bool:
        try:
            await network.disconnect({"Container": name, "Force": True})
        except (
            aiodocker.DockerError
        ) as err:  # another kubelet of this cluster was quicker, or the next look tries again
            log.debug("Endpoint %s: %s", name, err.message)
            return False
        ENDPOINTS_FREED.inc()
        log.warning("Freed the network endpoint of %s, a container that is gone", name)
        return True
