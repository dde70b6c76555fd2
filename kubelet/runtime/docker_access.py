"""Into running containers through the Docker engine: exec, attach, logs, ports, usage."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import aiodocker
import aiohttp

from kubelet.runtime.docker_images import call, failure_of
from kubelet.runtime.docker_records import DockerRecords
from kubelet.runtime.docker_streams import DockerExec, DockerStream, demultiplexed
from kubelet.runtime.docker_usage import usage_from
from kubelet.runtime.logfiles import LogReader, readable_log
from kubelet.runtime.netns import connect_in_namespace
from kubelet.runtime.protocol import ExecSession, IOStream, LogRequest, NotFound, RuntimeUnavailable
from kubelet.runtime.records import (
    ContainerRecord,
    ContainerUsage,
    SandboxRecord,
    State,
)
from kubelet.volumes.usage import folder_size, folder_usage


class DockerAccess(DockerRecords):
    """The part of the runtime that works in containers that are there. Whoever derives from it sets ``_engine``."""

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

    async def layer(self, container_id: str) -> tuple[int, int]:
        try:
            found = await call(self._engine._query_json(f"containers/{container_id}/json"))
            folder = Path(((found.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir") or "/nowhere")
            if await asyncio.to_thread(os.access, folder, os.R_OK | os.X_OK):
                return await asyncio.to_thread(folder_usage, folder)
            # an engine on another machine, or one that keeps layers otherwise: it counts bytes alone
            found = await call(self._engine._query_json(f"containers/{container_id}/json", params={"size": "1"}))
        except NotFound:
            return 0, 0
        return int(found.get("SizeRw") or 0), 0

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
