"""What is mounted into a container: its volumes, and the files that the kubelet keeps for each pod."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubelet.containers.build import NodeFacts, VolumePath, container_mounts
from kubelet.containers.files import Resolver, hosts_file, pod_resolver, wants_cluster_dns
from kubelet.pods import spec as podspec
from kubelet.pods.actions import Start
from kubelet.runtime.specs import Mount
from kubelet.volumes.subpath import FOLDER, Part, prepare
from kubeling.api.meta import Object

_NO_CLUSTER_DNS = (
    'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. '
    'Falling back to "Default" policy.'
)
HOSTS, RESOLV, TERMINATION = "etc-hosts", "etc-resolv.conf", "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """What pods' resolv.conf is made from."""

    servers: tuple[str, ...]
    domain: str
    host_file: Path


class PodMounts:
    """Blocking: to be called from a thread. ``may_mount`` False where no container reads what is mounted."""

    def __init__(self, pods_folder: Path, node: NodeFacts, dns: ClusterDns, *, may_mount: bool) -> None:
        self._folder, self._node, self._dns, self._may_mount = pods_folder, node, dns, may_mount

    def of(
        self, pod: Object, step: Start, volumes: Mapping[str, VolumePath], variables: Mapping[str, str], ip: str
    ) -> list[Mount]:
        """All mounts of one start. Raises ConfigError and OSError."""
        uid, container = podspec.ref_of(pod).uid, step.container
        (self._folder / uid).mkdir(parents=True, exist_ok=True)
        wanted = container_mounts(container, volumes, variables, recursive=self._node.recursive_read_only)
        mounts = [
            prepare(
                Part(
                    volume,
                    container["name"],
                    mount,
                    sub_path,
                    self._folder / uid / FOLDER / volume / container["name"] / str(number),
                    grows=not volumes[volume].sealed,
                ),
                may_mount=self._may_mount,
            )
            for number, (volume, mount, sub_path) in enumerate(wanted)
        ]
        targets = {m.target for m in mounts}
        if "/etc/hosts" not in targets:
            mounts.append(Mount(str(self._write_hosts(pod, ip)), "/etc/hosts"))
        if "/etc/resolv.conf" not in targets:
            mounts.append(Mount(str(self._write_resolver(pod)), "/etc/resolv.conf"))
        message = container.get("terminationMessagePath") or TERMINATION
        if message not in targets:
            path = termination_file(self._folder, uid, container["name"], step.attempt)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            path.chmod(0o666)
            mounts.append(Mount(str(path), message))
        return mounts

    def _write_hosts(self, pod: Object, ip: str) -> Path:
        path = self._folder / podspec.ref_of(pod).uid / HOSTS
        host_file = Path("/etc/hosts").read_text() if podspec.is_host_network(pod) else ""
        return _write(path, hosts_file(pod, ip, self._dns.domain, self._node.name, host_file))

    def _write_resolver(self, pod: Object) -> Path:
        path = self._folder / podspec.ref_of(pod).uid / RESOLV
        return _write(path, self._resolver(pod)[0].text())

    def _resolver(self, pod: Object) -> tuple[Resolver, tuple[str, ...]]:
        try:
            host = Resolver.parse(self._dns.host_file.read_text())
        except OSError:
            host = Resolver()
        return pod_resolver(pod, host, self._dns.servers, self._dns.domain).fitted()

    def dns_warnings(self, pod: Object) -> list[tuple[str, str]]:
        """Reasons and messages of the events that the pod's resolver configuration is worth."""
        told = [("DNSConfigForming", message) for message in self._resolver(pod)[1]]
        if wants_cluster_dns(pod) and not self._dns.servers:
            told.append(("MissingClusterDNS", f'pod: "{podspec.format_pod(pod)}". {_NO_CLUSTER_DNS}'))
        return told


def _write(path: Path, text: str) -> Path:
    """Writes in place: a bind mount follows the file, not its name."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.chmod(path, 0o644)  # noqa: PTH101  # whatever the umask
    return path


def termination_file(pods_folder: Path, uid: str, container: str, attempt: int) -> Path:
    """Where a run's termination message is kept."""
    return pods_folder / uid / "containers" / container / f"{attempt}.message"
