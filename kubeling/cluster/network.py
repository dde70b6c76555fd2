"""The Docker network of a cluster, and what carries its labels on the engine.

Every pod of a cluster sits on one bridge network named ``kubeling-<cluster>``. Its lower half is for node addresses, the
upper half is what Docker hands out to pods.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiodocker
import aiohttp

from kubeling.cluster.errors import ClusterError

CLUSTER_LABEL = "kubeling.cluster"
_FIRST = ipaddress.IPv4Network("10.244.0.0/16")
_TRIES = 12
ENGINE_ADVICE = (
    "install and start it (`apt-get install docker.io`, `systemctl start docker` or `dockerd &`), "
    "or point DOCKER_HOST at a running engine"
)
STUCK_ADVICE = "restart it (`systemctl restart docker`, or kill dockerd and start it again) and repeat the command"
SILENT_SECONDS = 60.0
"""Without a byte of an answer, after which the engine is taken to be stuck: Docker up to 20.10.26 may be, for ever (see
kubelet/runtime/docker_turns.py)."""


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """A bridge network as it exists: its subnet and the host's address in it."""

    name: str
    subnet: ipaddress.IPv4Network
    gateway: str

    def node_address(self, index: int) -> str:
        """The address of the n-th node, counted from 0."""
        return str(self.subnet[index + 2])


def _connect() -> aiodocker.Docker:
    return aiodocker.Docker(timeout=aiohttp.ClientTimeout(sock_read=SILENT_SECONDS))


@asynccontextmanager
async def docker_engine(connect: Callable[[], aiodocker.Docker] = _connect) -> AsyncIterator[aiodocker.Docker]:
    """A connection to the Docker engine. Raises ClusterError when none answers, or no longer."""
    try:
        engine = connect()
    except (ValueError, AssertionError, aiodocker.DockerError) as err:  # aiodocker asserts that it found a socket
        raise ClusterError(f"no Docker engine found{f': {err}' if str(err) else ''}", ENGINE_ADVICE) from err
    try:
        try:
            await engine.version()
        except (aiodocker.DockerError, aiohttp.ClientError, OSError) as err:
            raise ClusterError(f"the Docker engine does not answer: {err}", ENGINE_ADVICE) from err
        yield engine
    except TimeoutError as err:
        raise ClusterError("the Docker engine accepts requests but does not answer them", STUCK_ADVICE) from err
    finally:
        await engine.close()


def candidate_subnets(wanted: str) -> list[ipaddress.IPv4Network]:
    """The subnets to try in turn: the one asked for, or 10.244.0.0/16 and the next ones."""
    if wanted:
        return [ipaddress.IPv4Network(wanted)]
    start = int(_FIRST.network_address)
    return [ipaddress.IPv4Network((start + (i << 16), 16)) for i in range(_TRIES)]


def network_settings(name: str, cluster: str, subnet: ipaddress.IPv4Network) -> dict[str, Any]:
    """The body of Docker's ``POST /networks/create``."""
    upper_half = list(subnet.subnets(prefixlen_diff=1))[1]
    return {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Labels": {CLUSTER_LABEL: cluster},
        "IPAM": {"Config": [{"Subnet": str(subnet), "IPRange": str(upper_half), "Gateway": str(subnet[1])}]},
        "Options": {"com.docker.network.bridge.name": bridge_name(name)},
    }


def bridge_name(network: str) -> str:
    """An interface name (at most 15 characters) that stays the same for a network's name."""
    if len(network) <= 15:
        return network
    import zlib

    return f"kl-{zlib.crc32(network.encode()):08x}"


async def ensure_network(engine: aiodocker.Docker, name: str, cluster: str, wanted: str) -> PodNetwork:
    """The cluster's network, made when missing on the first subnet that is free. Raises ClusterError."""
    found = await _find(engine, name)
    if found is not None:
        if wanted and str(found.subnet) != wanted:
            raise ClusterError(
                f"Docker network {name} exists with subnet {found.subnet}, not {wanted}",
                f"remove it (`docker network rm {name}`) or leave out the pod CIDR",
            )
        return found
    failure = "no subnet is free"
    for subnet in candidate_subnets(wanted):
        try:
            await engine.networks.create(network_settings(name, cluster, subnet))
        except aiodocker.DockerError as err:
            failure = err.message
            if "overlap" in err.message.lower():
                continue
            break
        created = await _find(engine, name)
        if created is not None:
            return created
    raise ClusterError(
        f"cannot create Docker network {name}: {failure}",
        "free a subnet (`docker network prune`) or choose one in the config",
    )


async def _find(engine: aiodocker.Docker, name: str) -> PodNetwork | None:
    for summary in await engine.networks.list(filters={"name": [name]}):
        if summary["Name"] == name:
            config = summary["IPAM"]["Config"][0]
            subnet = ipaddress.IPv4Network(config["Subnet"])
            return PodNetwork(name, subnet, config.get("Gateway") or str(subnet[1]))
    return None


async def remove_containers(engine: aiodocker.Docker, cluster: str) -> int:
    """Removes every container of a cluster, running or not; returns how many there were."""
    containers = await engine.containers.list(all=True, filters={"label": [f"{CLUSTER_LABEL}={cluster}"]})

    async def remove(container: Any) -> None:
        try:
            await container.delete(force=True, v=True)
        except aiodocker.DockerError as err:
            if err.status not in (404, 409):  # gone already, or being removed by somebody else
                raise

    guests = [c for c in containers if c["HostConfig"]["NetworkMode"].startswith("container:")]
    for batch in _batches(guests, 16):
        await asyncio.gather(*(remove(c) for c in batch))
    for container in containers:  # several that leave one network at once may bring the engine to a standstill
        if container not in guests:
            await remove(container)
    return len(containers)


def _batches(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))


async def remove_network(engine: aiodocker.Docker, name: str) -> bool:
    """Removes the network; False when there was none. Raises ClusterError."""
    try:
        network = await engine.networks.get(name)
        await network.delete()
    except aiodocker.DockerError as err:
        if err.status == 404:
            return False
        advice = (
            "see `docker network inspect`; a restart of the Docker engine forgets endpoints of containers that are gone"
        )
        raise ClusterError(f"cannot remove Docker network {name}: {err.message}", advice) from err
    return True
