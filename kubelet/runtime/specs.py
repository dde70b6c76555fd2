"""What the runtime is asked to make: immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    handler: str = ""  # the engine's name of the runtime; empty for its default
    cgroup_parent: str = ""


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
    handler: str = ""  # as the sandbox's
    stop_signal: str = ""
    stop_seconds: int = 30  # what a stopping engine gives it
    spec_hash: str = ""
