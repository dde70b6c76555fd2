"""The node's own address on the pods' bridge: with it several nodes can share one machine, each reachable for itself."""

from __future__ import annotations

import asyncio
import ipaddress
import logging

from kubelet.runtime.docker_network import PodNetwork

log = logging.getLogger(__name__)


async def take_address(address: str, network: PodNetwork) -> None:
    """Puts the address on the bridge, when it lies in the network. Without the right to, only a warning."""
    if not network.bridge or ipaddress.ip_address(address) not in ipaddress.ip_network(network.cidr):
        return
    try:
        process = await asyncio.create_subprocess_exec(
            "ip",
            "address",
            "replace",
            f"{address}/32",
            "dev",
            network.bridge,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
    except OSError as err:
        log.warning("Cannot put node address %s on %s: %s", address, network.bridge, err)
        return
    if process.returncode:
        log.warning("Cannot put node address %s on %s: %s", address, network.bridge, errors.decode().strip())
