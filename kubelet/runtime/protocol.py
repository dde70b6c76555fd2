"""The container runtime as the rest of the kubelet sees it.

Specs (``specs``) go in, records (``records``) come out; both are immutable values. A runtime reports changes as ``RuntimeEvent``
and is otherwise asked. Failures that belong in a pod's status are ``RuntimeFailure``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kubelet.runtime.records import ContainerUsage, ImageRecord, PodRecord, RuntimeEvent, SandboxRecord
from kubelet.runtime.specs import ContainerSpec, PodRef, Resources, SandboxSpec


class RuntimeFailure(Exception):
    """The runtime refused or could not do something; ``str()`` is its own message."""


class RuntimeUnavailable(RuntimeFailure):
    """The engine does not answer at all."""


class NotFound(RuntimeFailure):
    """No such container, image or exec session."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """``since`` is Unix time with fraction; ``tail`` -1 for all lines."""

    follow: bool = False
    since: float = 0.0
    tail: int = -1
    timestamps: bool = False
    stdout: bool = True
    stderr: bool = True


class IOStream(Protocol):
    """Attached standard streams of a process."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece as (1 for stdout or 2 for stderr, data), None at the end."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def close_write(self) -> None:
        """Ends the process's standard input; its output still arrives."""
        ...

    async def close(self) -> None: ...


class ExecSession(Protocol):
    @property
    def stream(self) -> IOStream: ...

    async def resize(self, width: int, height: int) -> None: ...

    async def exit_code(self) -> int:
        """To be asked after the stream's end."""
        ...


class Runtime(Protocol):
    """The engine. Everything may raise RuntimeFailure; what names a container may raise NotFound."""

    name: str

    async def start(self) -> None:
        """Connects, prepares the pause image and the pod network. Raises RuntimeUnavailable."""
        ...

    async def close(self) -> None: ...

    async def version(self) -> Mapping[str, Any]:
        """``runtime`` (``docker://20.10``), ``os_image``, ``kernel``, ``root_dir``, ``cgroup_version``, ``cgroup_driver``."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Changes of this node's containers; ends when the connection does."""
        ...

    async def pods(self) -> dict[str, PodRecord]:
        """All pods of this node by UID, from one listing, details read where they are not known."""
        ...

    async def pod(self, ref: PodRef) -> PodRecord: ...

    async def run_sandbox(self, spec: SandboxSpec) -> SandboxRecord: ...

    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    async def create_container(self, spec: ContainerSpec, sandbox: SandboxRecord, image: ImageRecord) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def signal(self, container_id: str, signal: str) -> None:
        """Sends a signal; the container's own stop signal when ``signal`` is empty. A dead container is no error."""
        ...

    async def remove_container(self, container_id: str) -> None: ...

    async def update_resources(self, container_id: str, resources: Resources) -> None: ...

    async def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False, stderr: bool = True
    ) -> ExecSession: ...

    async def attach(self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True) -> IOStream: ...

    async def resize(self, container_id: str, width: int, height: int) -> None: ...

    def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[bytes]: ...

    async def usage(self, container_id: str) -> ContainerUsage | None: ...

    async def layer(self, container_id: str) -> tuple[int, int]:
        """Bytes and files of what the container has written beside its volumes; no bytes and files for one that has gone."""
        ...

    async def disk_usage(self, container_id: str) -> int:
        """Bytes of the container's writable layer and its logs."""
        ...

    async def images(self) -> list[ImageRecord]: ...

    async def image(self, name: str) -> ImageRecord | None: ...

    async def pull(self, name: str, auth: Mapping[str, str] | None) -> None: ...

    async def remove_image(self, image_id: str) -> None: ...

    async def image_layers(self, image_id: str) -> tuple[str, ...]:
        """Folders of the image's layers on this machine, the uppermost first; none where the engine keeps them otherwise."""
        ...

    async def image_file(self, name: str, path: str) -> bytes:
        """A file of an image; empty when it is not there."""
        ...

    async def extract_image(self, name: str, folder: str) -> None:
        """Unpacks an image's file system into a folder (image volumes)."""
        ...

    async def dial(self, sandbox: SandboxRecord, port: int) -> tuple[Any, Any]:
        """A stream reader and writer connected to a port on the pod's loopback."""
        ...
