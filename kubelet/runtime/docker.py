"""The Docker engine as runtime: the life of sandboxes and containers. Only ``docker*`` modules know aiodocker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiodocker
import aiohttp
from aiodocker.containers import DockerContainer

from kubelet.runtime import docker_config as config
from kubelet.runtime import pause
from kubelet.runtime.docker_access import DockerAccess
from kubelet.runtime.docker_address import take_address
from kubelet.runtime.docker_endpoints import EndpointHealer
from kubelet.runtime.docker_helpers import NegativeScore, remove_helpers
from kubelet.runtime.docker_images import call, failure_of
from kubelet.runtime.docker_network import PodNetwork
from kubelet.runtime.docker_turns import Turns, must_take_turns
from kubelet.runtime.metrics import measured
from kubelet.runtime.protocol import NotFound, RuntimeFailure, RuntimeUnavailable
from kubelet.runtime.records import ImageRecord, SandboxRecord
from kubelet.runtime.specs import ContainerSpec, Resources, SandboxSpec

log = logging.getLogger(__name__)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "amd64": "amd64", "arm64": "arm64"}


@measured
class DockerRuntime(DockerAccess):
    """Runs one node's containers. Others on the same engine, told apart by labels, are never touched."""

    name = "docker"

    def __init__(
        self, *, cluster: str, node: str, network: PodNetwork, address: str = "", log_config: config.Json | None = None
    ) -> None:
        super().__init__(cluster, node)
        self._network, self._address = network, address
        self._log_config = log_config or config.log_config()
        self._negative_score = NegativeScore(cluster, node)
        self._leaving = Turns(f"leave/{network.name}")
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        try:
            self._engine = aiodocker.Docker()
        except (AssertionError, ValueError) as err:
            raise RuntimeUnavailable(f"no Docker engine found: {err or 'no socket at /var/run/docker.sock'}") from err
        self._engine.connector._limit = 0  # log followers and attached streams hold a connection each
        # An engine that shuts down refuses new connections at once, yet goes on serving those it has while its containers end:
        # with a connection a request nobody starts them again meanwhile.
        self._engine.connector._force_close = True
        try:
            await self._prepare()
        except BaseException:
            await self._engine.close()
            raise

    async def _prepare(self) -> None:
        version = await call(self._engine.version())
        self._leaving.needed = must_take_turns(version.get("Version", ""))
        await self._network.ensure(self._engine)
        if self._address:
            await take_address(self._address, self._network)
        if await self.image(pause.IMAGE) is None:
            archive = pause.pause_archive(_ARCHITECTURES[version["Arch"]])
            await call(self._engine.images.import_image(archive))
        await call(remove_helpers(self._engine, self._cluster, self._node))
        upkeep = self._negative_score.find_out(self._engine), EndpointHealer(self._network.name).run(self._engine)
        self._tasks = [asyncio.create_task(work) for work in upkeep]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._engine.close()

    async def version(self) -> Mapping[str, Any]:
        info = await call(self._engine.system.info())
        return {
            "runtime": f"docker://{info['ServerVersion']}",
            "os_image": info["OperatingSystem"],
            "kernel": info["KernelVersion"],
            "root_dir": info["DockerRootDir"],
            "architecture": _ARCHITECTURES.get(info["Architecture"], info["Architecture"]),
            "memory": info["MemTotal"],
            "cpus": info["NCPU"],
            "cgroup_version": info.get("CgroupVersion", "1"),
            "handlers": tuple(sorted(info.get("Runtimes") or ())),
            "cgroup_driver": info.get("CgroupDriver", "cgroupfs"),
        }

    # --- life of containers --------------------------------------------------------------------------------------

    async def _create(self, name: str, uid: str, body: dict[str, Any]) -> DockerContainer:
        if body["HostConfig"].get("OomScoreAdj", 0) < 0 and not await self._negative_score.allowed(self._engine):
            body["HostConfig"]["OomScoreAdj"] = 0
        try:
            container = await self._engine.containers.create(body, name=name)
        except aiodocker.DockerError as err:
            if err.status != 409:
                raise
            # left over by a kubelet that died between creating and starting: never ran under this kubelet's eyes
            await self._settle_start(name)
            async with self._leaving.turn():
                await self._engine.containers.container(name).delete(force=True, v=True)
            container = await self._engine.containers.create(body, name=name)
        self._of_pod.setdefault(uid, set()).add(container.id)
        return container

    async def _launch(self, name: str, uid: str, body: dict[str, Any]) -> str:
        container = await self._create(name, uid, body)
        try:
            await container.start()
        except aiodocker.DockerError:
            await self._leave(container.id)
            raise
        self._touch(uid, container.id)
        return container.id

    async def run_sandbox(self, spec: SandboxSpec) -> SandboxRecord:
        labels = config.labels_for(self._cluster, self._node, config.POD_CONTAINER, spec.pod, spec.attempt, spec.labels)
        name = config.container_name(self._cluster, config.POD_CONTAINER, spec.pod, spec.attempt)
        sandbox_id = await call(
            self._launch(name, spec.pod.uid, config.sandbox_config(spec, self._network.name, labels))
        )
        record = await self._inspect(sandbox_id)
        if not isinstance(record, SandboxRecord):
            raise RuntimeFailure("the sandbox ended at once")
        return record

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._settle_start(sandbox_id)
        await self._leave(sandbox_id)

    async def _leave(self, sandbox_id: str) -> None:
        """Out of the network in turn where that must be; the rest, which takes longer, beside others."""
        if self._leaving.needed:
            async with self._leaving.turn():
                if not await self._network.let_go(self._engine, sandbox_id):
                    await self.remove_container(sandbox_id)
                    return
        await self.remove_container(sandbox_id)

    async def _settle_start(self, sandbox_id: str) -> None:
        """Waits for a start that somebody has asked for and no longer waits for (a kubelet that was killed, a sync broken off).

        Removing a container while the engine starts it leaks its network endpoint, and then the network can never be
        removed. Starting it once more returns when the first start is over, and is refused or does no harm.
        """
        container = self._engine.containers.container(sandbox_id)
        try:
            if (await call(container.show()))["State"]["Status"] == "created":
                await call(container.start())
        except RuntimeFailure as err:
            log.debug("Sandbox %s: %s", sandbox_id, err)

    async def create_container(self, spec: ContainerSpec, sandbox: SandboxRecord, image: ImageRecord) -> str:
        labels = config.labels_for(self._cluster, self._node, spec.name, spec.pod, spec.attempt, spec.labels)
        labels |= {config.SANDBOX: sandbox.id, config.HASH: spec.spec_hash}
        name = config.container_name(self._cluster, spec.name, spec.pod, spec.attempt)
        body = config.container_config(spec, sandbox, labels, self._log_config)
        container = await call(self._create(name, spec.pod.uid, body))
        return container.id

    async def start_container(self, container_id: str) -> None:
        try:
            await call(self._engine.containers.container(container_id).start())
        finally:
            self._known.pop(container_id, None)

    async def signal(self, container_id: str, signal: str) -> None:
        container = self._engine.containers.container(container_id)
        try:
            if not signal:
                signal = (await call(container.show()))["Config"].get("StopSignal") or "SIGTERM"
            await container.kill(signal=signal)
        except NotFound:
            return
        except aiodocker.DockerError as err:
            if err.status not in (404, 409):  # gone or not running
                raise failure_of(err) from err
        except (aiohttp.ClientError, OSError) as err:
            raise RuntimeUnavailable(str(err)) from err

    async def remove_container(self, container_id: str) -> None:
        try:
            await self._engine.containers.container(container_id).delete(force=True, v=True)
        except aiodocker.DockerError as err:
            if err.status == 409:  # somebody else removes it just now
                return
            if err.status != 404:
                raise failure_of(err) from err
        except (aiohttp.ClientError, OSError) as err:
            raise RuntimeUnavailable(str(err)) from err
        self._forget(container_id)

    async def update_resources(self, container_id: str, resources: Resources) -> None:
        # 0 would mean "as it is": a quota is lifted by -1
        body = {"CpuQuota": -1, **config.resource_config(resources)}
        try:
            await call(self._engine._query_json(f"containers/{container_id}/update", "POST", data=body))
        finally:
            self._known.pop(container_id, None)
