"""What a pod may ask of this node's kernel and engine, refused with upstream's words where they cannot do it.

Sources: pkg/kubelet/sysctl, pkg/security/apparmor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelet.node.admission import Refusal
from kubelet.pods import spec as podspec
from kubeling.api.meta import Object, annotations_of

_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
_IPC_SYSCTLS, _IPC_PREFIXES = frozenset({"kernel.sem"}), ("kernel.shm", "kernel.msg", "fs.mqueue.")
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class NodeFeatures:
    """``unsafe_sysctls``: names, or prefixes that end in ``*``, that pods may set beyond the safe ones."""

    apparmor: bool = False
    unsafe_sysctls: tuple[str, ...] = ()


def apparmor_enabled(switch: Path = Path("/sys/module/apparmor/parameters/enabled")) -> bool:
    """Whether the kernel enforces AppArmor profiles."""
    try:
        return switch.read_text().strip().upper() == "Y"
    except OSError:  # a kernel without it
        return False


def admit_features(pod: Object, features: NodeFeatures) -> Refusal | None:
    """A reason and a message, or None when the node can do all that the pod's security contexts ask for."""
    context = podspec.spec_of(pod).get("securityContext") or {}
    if not features.apparmor and any(_wants_apparmor(pod)):
        return "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    return next(_forbidden_sysctls(pod, context, features), None)


def _wants_apparmor(pod: Object) -> Iterator[bool]:
    contexts = [podspec.spec_of(pod), *podspec.all_containers(pod)]
    for context in contexts:
        profile = ((context.get("securityContext") or {}).get("appArmorProfile") or {}).get("type", "Unconfined")
        yield profile != "Unconfined"
    for key, value in annotations_of(pod).items():
        yield key.startswith(_APPARMOR_ANNOTATION) and value != "unconfined"


def _forbidden_sysctls(pod: Object, context: Mapping[str, Any], features: NodeFeatures) -> Iterator[Refusal]:
    spec = podspec.spec_of(pod)
    for entry in context.get("sysctls") or ():
        given = entry["name"]
        name = given.replace("/", ".")
        if name.startswith("net.") and spec.get("hostNetwork"):
            yield "SysctlForbidden", f'forbidden sysctl: "{given}" not allowed with host net enabled'
        elif (name in _IPC_SYSCTLS or name.startswith(_IPC_PREFIXES)) and spec.get("hostIPC"):
            yield "SysctlForbidden", f'forbidden sysctl: "{given}" not allowed with host ipc enabled'
        elif name not in _SAFE_SYSCTLS and not _listed(name, features.unsafe_sysctls):
            yield "SysctlForbidden", f'forbidden sysctl: "{given}" not allowlisted'


def _listed(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)
