"""The Docker network that all pods of a cluster share."""

from __future__ import annotations

import ipaddress
import zlib
from typing import Any

import aiodocker
import aiohttp

from kubelet.runtime.protocol import RuntimeFailure

_FIRST = int(ipaddress.IPv4Address("10.244.0.0"))
_CANDIDATES = 12
_INTERFACE_LIMIT = 15


class PodNetwork:
    """``kubeling-<cluster>``: made when missing, with the CIDR asked for or the first free one of 10.244.0.0/16 and on."""

    def __init__(self, name: str, cluster: str, cidr: str = "") -> None:
        self.name, self._cluster, self.cidr = name, cluster, cidr
        self.gateway = self.bridge = ""

    async def ensure(self, engine: aiodocker.Docker) -> None:
        """Raises RuntimeFailure when no such network can be had."""
        if await self._adopt(engine):
            return
        failure = ""
        for subnet in self._candidates():
            try:
                await engine.networks.create(self._settings(subnet))
            except aiodocker.DockerError as err:
                failure = err.message
                if err.status == 409 or await self._adopt(engine):
                    break
            else:
                break
        if not await self._adopt(engine):
            raise RuntimeFailure(f"cannot create the Docker network {self.name}: {failure}")

    async def let_go(self, engine: aiodocker.Docker, container: str) -> bool:
        """Takes the container out of the network; False where that cannot be done: it is not in it, or it has gone."""
        try:
            path = f"networks/{self.name}/disconnect"
            await engine._query_json(path, "POST", data={"Container": container, "Force": False})
        except (aiodocker.DockerError, aiohttp.ClientError, OSError):
            return False
        return True

    def _candidates(self) -> list[ipaddress.IPv4Network]:
        if self.cidr:
            return [ipaddress.IPv4Network(self.cidr)]
        return [ipaddress.IPv4Network((_FIRST + (i << 16), 16)) for i in range(_CANDIDATES)]

    def _settings(self, subnet: ipaddress.IPv4Network) -> dict[str, Any]:
        short = len(self.name) <= _INTERFACE_LIMIT
        bridge = self.name if short else f"kl-{zlib.crc32(self.name.encode()):08x}"
        upper_half = list(subnet.subnets(prefixlen_diff=1))[1]
        return {
            "Name": self.name,
            "Driver": "bridge",
            "CheckDuplicate": True,
            "Labels": {"kubeling.cluster": self._cluster},
            "IPAM": {"Config": [{"Subnet": str(subnet), "IPRange": str(upper_half), "Gateway": str(subnet[1])}]},
            "Options": {"com.docker.network.bridge.name": bridge},
        }

    async def _adopt(self, engine: aiodocker.Docker) -> bool:
        for found in await engine.networks.list(filters={"name": [self.name]}):
            if found["Name"] == self.name:
                settings = found["IPAM"]["Config"][0]
                self.cidr = settings["Subnet"]
                self.gateway = settings.get("Gateway", "")
                named = (found.get("Options") or {}).get("com.docker.network.bridge.name")
                self.bridge = named or f"br-{found['Id'][:12]}"
                return True
        return False
