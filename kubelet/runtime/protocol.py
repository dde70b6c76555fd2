"""The container runtime as the rest of the kubelet sees it.

Specs go in, records come out; both are immutable values. A runtime reports changes as ``RuntimeEvent`` and is
otherwise asked. Failures that belong in a pod's status are ``RuntimeFailure``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class RuntimeFailure(Exception):
    """The runtime refused or could not do something; ``str()`` is its own message."""


class RuntimeUnavailable(RuntimeFailure):
    """The engine does not answer at all."""


class NotFound(RuntimeFailure):
    """No such container, image or exec session."""


class State(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class PodRef:
    """Who a container belongs to."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount; ``propagation`` is ``rprivate``, ``rslave`` or ``rshared``."""

    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"
    recursive_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """cgroup settings. Zero means not set; ``cpu_quota`` is microseconds a ``cpu_period``."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory: int = 0
    pids: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """What a container may do. ``user`` is ``uid[:gid]`` or empty for the image's; ``seccomp`` is ``unconfined``,
    empty for the runtime's default, or a profile's JSON; ``apparmor`` likewise a profile's name; ``selinux`` are
    ``part:value`` pairs."""

    user: str = ""
    groups: tuple[int, ...] = ()
    privileged: bool = False
    read_only_root: bool = False
    no_new_privileges: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    seccomp: str = "unconfined"
    apparmor: str = ""
    selinux: tuple[str, ...] = ()
    unmasked_proc: bool = False


@dataclass(frozen=True, slots=True)
class PortMapping:
    container_port: int
    host_port: int
    protocol: str = "TCP"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    pod: PodRef
    attempt: int
    hostname: str
    labels: Mapping[str, str] = field(default_factory=dict)
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    ports: tuple[PortMapping, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A block device of the host's at a path in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to make. ``command`` and ``args`` are None where the image's own hold."""

    pod: PodRef
    name: str
    attempt: int
    image: str
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    env: tuple[tuple[str, str], ...]
    working_dir: str
    mounts: tuple[Mount, ...]
    resources: Resources
    security: Security
    devices: tuple[Device, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    share_pid: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    host_network: bool = False
    pid_of: str = ""
    stop_signal: str = ""
    stop_seconds: int = 30  # what a stopping engine gives it
    spec_hash: str = ""


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    id: str
    pod: PodRef
    attempt: int
    running: bool
    created_at: datetime
    ip: str = ""
    host_network: bool = False
    pid: int = 0


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container as it is. ``error`` is set when it could not be started. ``spec_hash`` names what it was made from."""

    id: str
    pod: PodRef
    name: str
    attempt: int
    state: State
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    image: str = ""
    image_id: str = ""
    spec_hash: str = ""
    sandbox_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    tty: bool = False
    pid: int = 0
    resources: Resources | None = None
    log_path: str = ""


@dataclass(frozen=True, slots=True)
class PodRecord:
    """All that a runtime holds of one pod, each newest first."""

    pod: PodRef
    sandboxes: tuple[SandboxRecord, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def previous(self, name: str) -> ContainerRecord | None:
        """The one before the newest."""
        found = [c for c in self.containers if c.name == name]
        return found[1] if len(found) > 1 else None

    @property
    def sandbox(self) -> SandboxRecord | None:
        """The newest running sandbox."""
        return next((s for s in self.sandboxes if s.running), None)

    @property
    def running(self) -> tuple[ContainerRecord, ...]:
        return tuple(c for c in self.containers if c.state is State.RUNNING)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of the engine. ``ref`` is what a container status shows as imageID; ``size`` in bytes."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    user: str = ""
    created: float = 0.0
    volumes: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        return self.digests[0] if self.digests else self.id


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something of that pod changed."""

    pod_uid: str
    action: str
    container_id: str


@dataclass(frozen=True, slots=True)
class InterfaceUsage:
    """Counters of a network interface since its beginning."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """One sample. CPU in nanoseconds since start, memory in bytes; ``interfaces`` are those of the whole pod."""

    cpu_nanos: int
    memory_bytes: int
    working_set: int
    pids: int
    at: datetime | None = None
    rss: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    interfaces: tuple[InterfaceUsage, ...] = ()


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
        """``runtime`` (``docker://20.10``), ``os_image``, ``kernel``, ``root_dir``, ``cgroup_version``."""
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

    async def disk_usage(self, container_id: str) -> int:
        """Bytes of the container's writable layer and its logs."""
        ...

    async def images(self) -> list[ImageRecord]: ...

    async def image(self, name: str) -> ImageRecord | None: ...

    async def pull(self, name: str, auth: Mapping[str, str] | None) -> None: ...

    async def remove_image(self, image_id: str) -> None: ...

    async def extract_image(self, name: str, folder: str) -> None:
        """Unpacks an image's file system into a folder (image volumes)."""
        ...

    async def dial(self, sandbox: SandboxRecord, port: int) -> tuple[Any, Any]:
        """A stream reader and writer connected to a port on the pod's loopback."""
        ...
