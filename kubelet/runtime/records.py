"""What the runtime says there is: immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kubelet.runtime.specs import PodRef, Resources


class State(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


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
    cgroup_parent: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a container's first process began as; ``groups`` are its supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container as it is. ``error`` is set when it could not be started. ``spec_hash`` names what it was made from.

    ``identity`` is None where it cannot be told: before the start, after the end.
    """

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
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class PodRecord:
    """All that a runtime holds of one pod, each newest first."""

    pod: PodRef
    sandboxes: tuple[SandboxRecord, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def latest_ended(self, name: str) -> ContainerRecord | None:
        """The newest container of that name that has ended."""
        return next((c for c in self.containers if c.name == name and c.state is State.EXITED), None)

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
    """An image of the engine; ``size`` in bytes."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    user: str = ""
    created: float = 0.0
    volumes: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What a container status shows as imageID: ``docker-pullable://<digest>`` of an image that came from a registry, else
        ``docker://<id>``."""
        return f"docker-pullable://{self.digests[0]}" if self.digests else f"docker://{self.id}"


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
class DeviceUsage:
    """What was read from and written to a disk; ``number`` is major and minor."""

    number: tuple[int, int]
    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


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
    user_nanos: int = 0
    system_nanos: int = 0
    periods: int = 0  # of the CPU quota: all, those in which the container was held back, and for how long in all
    throttled_periods: int = 0
    throttled_nanos: int = 0
    cache: int = 0
    mapped_file: int = 0
    swap: int | None = None  # None where the kernel does not count it
    highest: int | None = None  # memory; None where nobody remembers it
    failures: int | None = None  # how often the memory limit was hit
    devices: tuple[DeviceUsage, ...] = ()
