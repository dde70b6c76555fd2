"""Containers that the kubelet makes for itself, which belong to no pod: gone when their work is done, or when it starts again."""

from __future__ import annotations

import json
import logging
from typing import Any

import aiodocker
import aiohttp

from kubelet.runtime import docker_config as config
from kubelet.runtime import pause

log = logging.getLogger(__name__)
HELPER = "kubeling.helper"


def helper_labels(cluster: str, node: str) -> dict[str, str]:
    return {config.CLUSTER: cluster, HELPER: node}


async def remove_helpers(engine: aiodocker.Docker, cluster: str, node: str) -> None:
    """Those of a kubelet of this node that was killed at work. Raises DockerError, ClientError and OSError."""
    wanted = [f"{name}={value}" for name, value in helper_labels(cluster, node).items()]
    for container in await engine.containers.list(all=True, filters=json.dumps({"label": wanted})):
        log.info("Removing helper container %s of an earlier run", container.id)
        try:
            await container.delete(force=True, v=True)
        except aiodocker.DockerError as err:
            if err.status not in (404, 409):  # it has gone, or goes just now
                raise


class NegativeScore:
    """Whether the machine lets containers have a negative OOM score; runc's message does not always say so."""

    def __init__(self, cluster: str, node: str) -> None:
        self._labels = helper_labels(cluster, node)
        self._known: bool | None = None

    async def find_out(self, engine: aiodocker.Docker) -> None:
        """Tries before somebody waits for it."""
        try:
            await self.allowed(engine)
        except (aiodocker.DockerError, aiohttp.ClientError, OSError) as err:
            log.debug("Negative OOM scores: %s", err)

    async def allowed(self, engine: aiodocker.Docker) -> bool:
        """Found out once, by trying. Raises DockerError, ClientError and OSError, and then tries again the next time."""
        if self._known is None:
            self._known = await self._try(engine)
        return self._known

    async def _try(self, engine: aiodocker.Docker) -> bool:
        body: dict[str, Any] = {
            "Image": pause.IMAGE,
            "Labels": self._labels,
            "HostConfig": {"OomScoreAdj": -1, "NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}},
        }
        container = await engine.containers.create(body)
        try:
            await container.start()
        except aiodocker.DockerError as err:
            await engine.version()  # one that is going down refuses everything: that is no answer
            log.info("This machine allows no negative OOM scores (%s): doing without", err.message)
            return False
        finally:
            await container.delete(force=True)
        return True
