"""A runtime that only pretends: for clusters of hundreds of nodes on one machine, and for tests.

Containers run from start to signal; they leave nothing behind and take no time. An image named ``.../exit:N`` ends at once
with that code, so that jobs and crash loops can be simulated too.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from kubelet.runtime.metrics import measured
from kubelet.runtime.protocol import ExecSession, IOStream, LogRequest, NotFound, RuntimeFailure
from kubelet.runtime.records import (
    ContainerRecord,
    ContainerUsage,
    ImageRecord,
    PodRecord,
    RuntimeEvent,
    SandboxRecord,
    State,
)
from kubelet.runtime.specs import ContainerSpec, PodRef, Resources, SandboxSpec
from kubeling.client.clock import Clock

_SIZE = 1_000_000
_KILLED, _TERMINATED = 137, 143
_addresses = itertools.count(2)


@measured
class SimulatedRuntime:
    """Keeps records in memory. ``address`` gives the n-th pod its IP."""

    name = "simulated"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sandboxes: dict[str, SandboxRecord] = {}
        self._containers: dict[str, ContainerRecord] = {}
        self._events: asyncio.Queue[RuntimeEvent] = asyncio.Queue()

    async def start(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to close."""

    async def version(self) -> Mapping[str, Any]:
        return {"runtime": "simulated://1.0.0", "os_image": "Simulated", "kernel": "", "root_dir": "/", "handlers": ()}

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        while True:
            yield await self._events.get()

    def _tell(self, uid: str, action: str, container_id: str) -> None:
        self._events.put_nowait(RuntimeEvent(uid, action, container_id))

    async def pods(self) -> dict[str, PodRecord]:
        refs = {s.pod for s in self._sandboxes.values()} | {c.pod for c in self._containers.values()}
        return {ref.uid: await self.pod(ref) for ref in refs}

    async def pod(self, ref: PodRef) -> PodRecord:
        sandboxes = [s for s in self._sandboxes.values() if s.pod.uid == ref.uid]
        containers = [c for c in self._containers.values() if c.pod.uid == ref.uid]
        return PodRecord(
            ref,
            tuple(sorted(sandboxes, key=lambda s: s.attempt, reverse=True)),
            tuple(sorted(containers, key=lambda c: c.attempt, reverse=True)),
        )

    async def run_sandbox(self, spec: SandboxSpec) -> SandboxRecord:
        number = next(_addresses)
        ip = f"10.244.{number // 254 % 254}.{number % 254 + 1}"
        record = SandboxRecord(uuid.uuid4().hex, spec.pod, spec.attempt, True, self._clock.now(), ip, spec.host_network)
        self._sandboxes[record.id] = record
        return record

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self._sandboxes.pop(sandbox_id, None)

    async def create_container(self, spec: ContainerSpec, sandbox: SandboxRecord, image: ImageRecord) -> str:
        record = ContainerRecord(
            id=uuid.uuid4().hex,
            pod=spec.pod,
            name=spec.name,
            attempt=spec.attempt,
            state=State.CREATED,
            created_at=self._clock.now(),
            image=spec.image,
            image_id=image.id,
            spec_hash=spec.spec_hash,
            sandbox_id=sandbox.id,
            labels=spec.labels,
        )
        self._containers[record.id] = record
        return record.id

    def _record(self, container_id: str) -> ContainerRecord:
        try:
            return self._containers[container_id]
        except KeyError:
            raise NotFound(f"No such container: {container_id}") from None

    async def start_container(self, container_id: str) -> None:
        record = self._record(container_id)
        now = self._clock.now()
        self._containers[container_id] = dataclasses.replace(record, state=State.RUNNING, started_at=now)
        self._tell(record.pod.uid, "start", container_id)
        name, _, code = record.image.rpartition(":")
        if name.endswith("/exit") and code.isdigit():
            self._end(container_id, int(code))

    def _end(self, container_id: str, code: int) -> None:
        record = self._record(container_id)
        if record.state is State.RUNNING:
            ended = dataclasses.replace(record, state=State.EXITED, finished_at=self._clock.now(), exit_code=code)
            self._containers[container_id] = ended
            self._tell(record.pod.uid, "die", container_id)

    async def signal(self, container_id: str, signal: str) -> None:
        if container_id in self._containers:
            self._end(container_id, _KILLED if signal == "SIGKILL" else _TERMINATED)

    async def remove_container(self, container_id: str) -> None:
        self._containers.pop(container_id, None)

    async def update_resources(self, container_id: str, resources: Resources) -> None:
        self._record(container_id)

    async def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False, stderr: bool = True
    ) -> ExecSession:
        raise RuntimeFailure("a simulated container runs no commands")

    async def attach(self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True) -> IOStream:
        raise RuntimeFailure("a simulated container has no streams")

    async def resize(self, container_id: str, width: int, height: int) -> None:
        self._record(container_id)

    async def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[bytes]:
        record = self._record(container_id)
        yield f"simulated container {record.name}\n".encode()

    async def usage(self, container_id: str) -> ContainerUsage | None:
        return ContainerUsage(0, 0, 0, 1, at=self._clock.now()) if container_id in self._containers else None

    async def layer(self, container_id: str) -> tuple[int, int]:
        return 0, 0

    async def disk_usage(self, container_id: str) -> int:
        return 0

    async def images(self) -> list[ImageRecord]:
        return []

    async def image(self, name: str) -> ImageRecord | None:
        return ImageRecord(f"sha256:{uuid.uuid5(uuid.NAMESPACE_URL, name).hex}", (name,), (), _SIZE)

    async def pull(self, name: str, auth: Mapping[str, str] | None) -> None:
        """Every image is there."""

    async def remove_image(self, image_id: str) -> None:
        """There is nothing to remove."""

    async def image_layers(self, image_id: str) -> tuple[str, ...]:
        return ()

    async def image_file(self, name: str, path: str) -> bytes:
        return b""

    async def extract_image(self, name: str, folder: str) -> None:
        """The folder stays empty."""

    async def dial(self, sandbox: SandboxRecord, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise RuntimeFailure("a simulated pod listens on no port")
