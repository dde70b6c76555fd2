"""Pod spec to runtime specs: sandboxes and containers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelet.containers.expand import expand
from kubelet.containers.failure import ConfigError
from kubelet.containers.files import container_hostname
from kubelet.containers.resources import PERIOD, ResourcePolicy, container_resources
from kubelet.containers.security import container_security
from kubelet.pods import spec as podspec
from kubelet.runtime.records import ImageRecord, PodRecord
from kubelet.runtime.specs import ContainerSpec, Device, Mount, PortMapping, SandboxSpec
from kubelet.volumes.subpath import recursive_read_only
from kubeling.api.meta import Object

IMAGE_LABEL = "kubeling.image-volume."  # with the volume's name: what the container's status shows of its image
READ_ONLY_LABEL = "kubeling.recursive-read-only"  # mount paths as JSON
_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What of the node enters a container."""

    name: str
    ip: str
    cluster_domain: str
    memory: int
    seccomp_profiles: Path
    pids_limit: int = 0
    seccomp_default: bool = False
    cpu_quota: bool = True
    cpu_period: int = PERIOD

    @property
    def resources(self) -> ResourcePolicy:
        return ResourcePolicy(self.memory, self.pids_limit, self.cpu_quota, self.cpu_period)

    recursive_read_only: bool = False


@dataclass(frozen=True, slots=True)
class VolumePath:
    """A volume where the kubelet has prepared it. ``persistent`` names the persistent volume behind it. ``sealed``: the mount
    itself is read-only and more, which being told so again would take from it. ``image``: below the path, each image
    that the volume's reference comes to has a folder of its own. ``group`` is one that containers get beside their own.
    ``plugin`` is upstream's name of what mounted a persistent volume."""

    path: str
    read_only: bool = False
    block: bool = False
    persistent: str = ""
    sealed: bool = False
    image: bool = False
    group: int | None = None
    plugin: str = ""


def sandbox_spec(pod: Object, attempt: int, node: NodeFacts, handler: str = "", cgroup_parent: str = "") -> SandboxSpec:
    """The runtime's spec of the pod's sandbox; ``handler`` names the runtime, empty for the engine's default."""
    spec = podspec.spec_of(pod)
    context = spec.get("securityContext") or {}
    ports = tuple(
        PortMapping(p["containerPort"], p["hostPort"], p.get("protocol") or "TCP", p.get("hostIP") or "")
        for c in [*podspec.containers(pod), *podspec.init_containers(pod)]
        for p in c.get("ports") or ()
        if p.get("hostPort")
    )
    return SandboxSpec(
        pod=podspec.ref_of(pod),
        attempt=attempt,
        hostname=container_hostname(pod, node.cluster_domain, node.name),
        host_network=bool(spec.get("hostNetwork")),
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        ports=ports,
        sysctls={s["name"]: s.get("value", "") for s in context.get("sysctls") or ()},
        handler=handler,
        cgroup_parent=cgroup_parent,
    )


def container_mounts(
    container: Mapping[str, Any],
    volumes: Mapping[str, VolumePath],
    variables: Mapping[str, str],
    *,
    recursive: bool = False,
) -> list[tuple[str, Mount, str]]:
    """Volume, bind mount of all of it, and the sub path that is asked for (empty for the volume's root). ``recursive``: this node
    can make mounts read-only all the way down. Raises ConfigError."""
    result = []
    for mount in container.get("volumeMounts") or ():
        name = mount["name"]
        volume = volumes.get(name)
        if volume is None:
            raise ConfigError(f'cannot find volume "{name}" to mount into container "{container["name"]}"')
        sub_path = mount.get("subPath") or ""
        if template := mount.get("subPathExpr"):
            sub_path = _sub_path(template, variables)
        target = mount["mountPath"]
        target = target if target.startswith("/") else "/" + target
        read_only = (bool(mount.get("readOnly")) or volume.read_only) and not volume.sealed
        propagation = _PROPAGATION.get(mount.get("mountPropagation") or "", "rprivate")
        deep = recursive_read_only(mount, supported=recursive)
        result.append((name, Mount(volume.path, target, read_only, propagation, deep), sub_path))
    return result


def read_only_label(container: Mapping[str, Any], mounts: Iterable[Mount]) -> dict[str, str]:
    """The paths of the container's mounts that are read-only all the way down."""
    deep = {m.target for m in mounts if m.recursive_read_only}
    paths = [m["mountPath"] for m in container.get("volumeMounts") or () if m["mountPath"] in deep]
    return {READ_ONLY_LABEL: json.dumps(paths)} if paths else {}


def with_groups(spec: ContainerSpec, volumes: Iterable[VolumePath]) -> ContainerSpec:
    """With the groups that the pod's volumes belong to."""
    more = sorted({v.group for v in volumes if v.group is not None} - set(spec.security.groups))
    groups = (*spec.security.groups, *more)
    return dataclasses.replace(spec, security=dataclasses.replace(spec.security, groups=groups)) if more else spec


def container_devices(container: Mapping[str, Any], volumes: Mapping[str, VolumePath]) -> tuple[Device, ...]:
    """Block volumes as devices. Raises ConfigError."""
    found = []
    for device in container.get("volumeDevices") or ():
        volume = volumes.get(device["name"])
        if volume is None or not volume.block:
            raise ConfigError(f'cannot find volume "{device["name"]}" to pass into container "{container["name"]}"')
        found.append(Device(volume.path, device["devicePath"], volume.read_only))
    return tuple(found)


def _sub_path(template: str, variables: Mapping[str, str]) -> str:
    def missing(name: str) -> str:
        raise ConfigError(f"missing value for {name!r}")

    return expand(template, variables, missing)


def container_spec(
    pod: Object,
    container: Object,
    attempt: int,
    *,
    node: NodeFacts,
    image: ImageRecord,
    variables: Mapping[str, str],
    mounts: Sequence[Mount],
    devices: Sequence[Device] = (),
    observed: PodRecord,
    passwd: str = "",
    handler: str = "",
) -> ContainerSpec:
    """The runtime's spec of one container. Raises ConfigError."""
    spec = podspec.spec_of(pod)

    def expanded(field: str) -> tuple[str, ...] | None:
        words = container.get(field)
        return tuple(expand(w, variables) for w in words) if words else None

    command, args = expanded("command"), expanded("args")
    if command is not None and args is None:
        args = ()
    target = observed.latest(container["targetContainerName"]) if container.get("targetContainerName") else None
    return ContainerSpec(
        pod=podspec.ref_of(pod),
        name=container["name"],
        attempt=attempt,
        image=container["image"],
        command=command,
        args=args,
        env=tuple(variables.items()),
        working_dir=container.get("workingDir") or "",
        mounts=tuple(mounts),
        devices=tuple(devices),
        resources=container_resources(pod, container, node.resources),
        security=container_security(
            pod, container, image, node.seccomp_profiles, seccomp_default=node.seccomp_default, passwd=passwd
        ),
        spec_hash=podspec.spec_hash(container),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        share_pid=bool(spec.get("shareProcessNamespace")),
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        host_network=bool(spec.get("hostNetwork")),
        pid_of=target.id if target else "",
        handler=handler,
        stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
        stop_seconds=podspec.grace_period(pod),
    )
