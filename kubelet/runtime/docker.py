"""The Docker engine through aiodocker: the one module that knows that library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiodocker
import aiohttp
from aiodocker.containers import DockerContainer

from kubelet.runtime import docker_config as config
from kubelet.runtime import pause
from kubelet.runtime.docker_address import take_address
from kubelet.runtime.docker_images import DockerImages, call, failure_of
from kubelet.runtime.docker_network import PodNetwork
from kubelet.runtime.docker_streams import DockerExec, DockerStream, demultiplexed
from kubelet.runtime.docker_usage import usage_from
from kubelet.runtime.logfiles import LogReader, readable_log
from kubelet.runtime.netns import connect_in_namespace
from kubelet.runtime.protocol import (
    ContainerRecord,
    ContainerSpec,
    ContainerUsage,
    ExecSession,
    ImageRecord,
    IOStream,
    LogRequest,
    NotFound,
    PodRecord,
    PodRef,
    Resources,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeUnavailable,
    SandboxRecord,
    SandboxSpec,
    State,
)
from kubelet.volumes.usage import folder_size

log = logging.getLogger(__name__)
_EVENTS = ["start", "die", "oom", "destroy"]
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "amd64": "amd64", "arm64": "arm64"}


class DockerRuntime(DockerImages):
    """Runs one node's containers. Others on the same engine, told apart by labels, are never touched."""

    name = "docker"

    def __init__(
        self, *, cluster: str, node: str, network: PodNetwork, address: str = "", log_config: config.Json | None = None
    ) -> None:
        super().__init__(cluster)
        self._node, self._network, self._address = node, network, address
        self._log_config = log_config or config.log_config()
        self._known: dict[str, ContainerRecord | SandboxRecord] = {}
        self._of_pod: dict[str, set[str]] = {}
        self._changed: dict[str, int] = {}
        self._negative_score: asyncio.Task[bool]

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
        await self._network.ensure(self._engine)
        if self._address:
            await take_address(self._address, self._network)
        if await self.image(pause.IMAGE) is None:
            archive = pause.pause_archive(_ARCHITECTURES[version["Arch"]])
            await call(self._engine.images.import_image(archive))
        self._negative_score = asyncio.create_task(self._allows_negative_score())

    async def close(self) -> None:
        await asyncio.wait([self._negative_score])
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
        }

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def _filters(self) -> list[str]:
        return [f"{config.CLUSTER}={self._cluster}", f"{config.NODE}={self._node}"]

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        filters = json.dumps({"type": ["container"], "label": self._filters, "event": _EVENTS})
        subscriber = self._engine.events.subscribe(create_task=False)  # type: ignore[no-untyped-call]  # untyped in aiodocker
        task = asyncio.create_task(self._engine.events.run(filters=filters))
        try:
            while (event := await subscriber.get()) is not None:
                attributes = event["Actor"]["Attributes"]
                container_id, action, uid = event["Actor"]["ID"], event["Action"], attributes.get(config.POD_UID, "")
                if action == "destroy":
                    self._forget(container_id)
                else:
                    self._touch(uid, container_id)
                yield RuntimeEvent(uid, action, container_id)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, OSError, aiodocker.DockerError):
                await task

    def _touch(self, uid: str, container_id: str) -> None:
        """What is known of the container is out of date."""
        self._changed[container_id] = self._changed.get(container_id, 0) + 1
        self._known.pop(container_id, None)
        self._of_pod.setdefault(uid, set()).add(container_id)

    def _forget(self, container_id: str) -> None:
        self._known.pop(container_id, None)
        self._changed.pop(container_id, None)
        for uid in [u for u, ids in self._of_pod.items() if container_id in ids]:
            self._of_pod[uid].discard(container_id)
            if not self._of_pod[uid]:
                del self._of_pod[uid]

    async def _inspect(self, container_id: str) -> ContainerRecord | SandboxRecord | None:
        """The record; from memory while nothing was reported about it. None when it is gone."""
        found = self._known.get(container_id)
        if found is not None:
            return found
        seen = self._changed.get(container_id, 0)
        try:
            answer = await call(self._engine.containers.container(container_id).show())
        except NotFound:
            self._forget(container_id)
            return None
        is_sandbox = answer["Config"]["Labels"].get(config.CONTAINER_NAME) == config.POD_CONTAINER
        record = config.sandbox_record(answer) if is_sandbox else config.container_record(answer)
        if self._changed.get(container_id, 0) == seen:
            self._known[container_id] = record
        return record

    async def pods(self) -> dict[str, PodRecord]:
        filters = json.dumps({"label": self._filters})
        listed = await call(self._engine.containers.list(all=True, filters=filters))
        refs: dict[str, PodRef] = {}
        of_pod: dict[str, set[str]] = {}
        for summary in listed:
            ref = config.pod_of(summary["Labels"])
            refs[ref.uid] = ref
            of_pod.setdefault(ref.uid, set()).add(summary.id)
            known = self._known.get(summary.id)
            running = summary["State"] == "running"
            if known is not None and running != self._is_running(known):
                self._touch(ref.uid, summary.id)
        present = set().union(*of_pod.values()) if of_pod else set()
        for gone in [i for i in self._known if i not in present]:
            self._forget(gone)
        self._of_pod = of_pod
        return {uid: await self.pod(ref) for uid, ref in refs.items()}

    @staticmethod
    def _is_running(record: ContainerRecord | SandboxRecord) -> bool:
        return record.running if isinstance(record, SandboxRecord) else record.state == "running"

    async def pod(self, ref: PodRef) -> PodRecord:
        ids = sorted(self._of_pod.get(ref.uid, ()))
        records = [r for r in await asyncio.gather(*map(self._inspect, ids)) if r is not None]
        sandboxes = [r for r in records if isinstance(r, SandboxRecord)]
        containers = [r for r in records if isinstance(r, ContainerRecord)]
        return PodRecord(
            ref,
            tuple(sorted(sandboxes, key=lambda r: (r.attempt, r.created_at), reverse=True)),
            tuple(sorted(containers, key=lambda r: (r.attempt, r.created_at), reverse=True)),
        )

    # --- life of containers --------------------------------------------------------------------------------------

    async def _allows_negative_score(self) -> bool:
        """Whether the machine lets containers have a negative OOM score; runc's message does not always say so."""
        labels = {config.CLUSTER: self._cluster}
        body: dict[str, Any] = {
            "Image": pause.IMAGE,
            "Labels": labels,
            "HostConfig": {"OomScoreAdj": -1, "NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}},
        }
        container = await self._engine.containers.create(body)
        try:
            await container.start()
        except aiodocker.DockerError as err:
            log.info("This machine allows no negative OOM scores (%s): doing without", err.message)
            return False
        finally:
            await container.delete(force=True)
        return True

    async def _create(self, name: str, uid: str, body: dict[str, Any]) -> DockerContainer:
        if body["HostConfig"].get("OomScoreAdj", 0) < 0 and not await self._negative_score:
            body["HostConfig"]["OomScoreAdj"] = 0
        try:
            container = await self._engine.containers.create(body, name=name)
        except aiodocker.DockerError as err:
            if err.status != 409:
                raise
            # left over by a kubelet that died between creating and starting: never ran under this kubelet's eyes
            await self._settle_start(name)
            await self._engine.containers.container(name).delete(force=True, v=True)
            container = await self._engine.containers.create(body, name=name)
        self._of_pod.setdefault(uid, set()).add(container.id)
        return container

    async def _launch(self, name: str, uid: str, body: dict[str, Any]) -> str:
        container = await self._create(name, uid, body)
        try:
            await container.start()
        except aiodocker.DockerError:
            await self.remove_container(container.id)
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
        body = config.container_config(spec, sandbox.id, labels, self._log_config)
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

    # --- streams -------------------------------------------------------------------------------------------------

    async def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False, stderr: bool = True
    ) -> ExecSession:
        container = self._engine.containers.container(container_id)
        session = await call(container.exec(list(command), stdin=stdin, stdout=True, stderr=stderr, tty=tty))
        stream = DockerStream(session.start(detach=False))
        await call(stream.open())
        return DockerExec(session, stream)

    async def attach(self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True) -> IOStream:
        container = self._engine.containers.container(container_id)
        settings = (await call(container.show()))["Config"]
        # a container made for one attached client: what it said before the client came belongs to that client too
        stream = DockerStream(
            container.attach(stdin=stdin, stdout=stdout, stderr=stderr, logs=bool(settings.get("StdinOnce"))),
            container.wait,
        )
        await call(stream.open())
        return stream

    async def resize(self, container_id: str, width: int, height: int) -> None:
        await call(self._engine.containers.container(container_id).resize(h=height, w=width))

    async def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[bytes]:
        record = await self._inspect(container_id)
        if not isinstance(record, ContainerRecord):
            raise NotFound(f"No such container: {container_id}")

        async def ended() -> bool:
            now = await self._inspect(container_id)
            return not isinstance(now, ContainerRecord) or now.state is State.EXITED

        path = await asyncio.to_thread(readable_log, record.log_path)
        pieces = LogReader(path, request, ended).pieces() if path else self._logs_of_engine(record, request)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _logs_of_engine(self, record: ContainerRecord, request: LogRequest) -> AsyncGenerator[bytes]:
        """For an engine on another machine, whose files are not here. What it rotates while it is followed may be lost."""
        params: dict[str, str | int] = {
            "stdout": int(request.stdout),
            "stderr": int(request.stderr),
            "follow": int(request.follow),
            "timestamps": int(request.timestamps),
            "since": f"{request.since:.9f}" if request.since else "0",
            "tail": "all" if request.tail < 0 else str(request.tail),
        }
        try:
            async with self._engine._query(
                f"containers/{record.id}/logs", "GET", params=params, timeout=aiohttp.ClientTimeout()
            ) as response:
                async for piece in demultiplexed(response.content.iter_any(), raw=record.tty):
                    yield piece
        except aiodocker.DockerError as err:
            raise failure_of(err) from err
        except (aiohttp.ClientError, OSError) as err:
            raise RuntimeUnavailable(str(err)) from err

    async def usage(self, container_id: str) -> ContainerUsage | None:
        try:
            stats = await call(
                self._engine._query_json(f"containers/{container_id}/stats", params={"stream": "0", "one-shot": "1"})
            )
        except NotFound:
            return None
        return usage_from(stats)

    async def disk_usage(self, container_id: str) -> int:
        try:
            found = await call(self._engine._query_json(f"containers/{container_id}/json", params={"size": "1"}))
        except NotFound:
            return 0
        logs = Path(found["LogPath"]) if found.get("LogPath") else None
        return int(found.get("SizeRw") or 0) + (await asyncio.to_thread(folder_size, logs.parent) if logs else 0)

    async def dial(self, sandbox: SandboxRecord, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if sandbox.host_network:
            return await asyncio.open_connection("127.0.0.1", port)
        try:
            return await connect_in_namespace(sandbox.pid, port)
        except (PermissionError, FileNotFoundError):  # not root, or the engine's processes are not visible from here
            return await asyncio.open_connection(sandbox.ip, port)
