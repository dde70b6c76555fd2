"""From options to node settings."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from kubelet.node.changes import RECONCILED
from kubelet.node.machine import Machine
from kubelet.node.status import NodeSettings, reservation_problem
from kubelet.node.thresholds import Threshold, kept_free, parse_thresholds
from kubelet.options import Options
from kubelet.volumes.mounts import can_restrict
from kubeling.api import quantity
from kubeling.api.meta import Object
from kubeling.client.errors import StartError

_RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")


def parse_taint(text: str) -> Object:
    """``key=value:effect`` or ``key:effect``. Raises StartError."""
    head, colon, effect = text.rpartition(":")
    if not colon or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise StartError(f"invalid taint {text!r} in --register-with-taints: want key=value:effect")
    key, _, value = head.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def _sum(left: dict[str, str], right: dict[str, str]) -> dict[str, str]:
    return left | {k: str(quantity.parse(left.get(k, "0")) + quantity.parse(v)) for k, v in right.items()}


_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def refuse_labels(labels: Iterable[str]) -> None:
    """A node may not give itself the labels that others trust (roles, for one). Raises StartError."""
    unknown = sorted(label for label in labels if _reserved(label))
    if unknown:
        raise StartError(
            f"unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{' '.join(unknown)}]\n"
            "--node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix "
            f"({', '.join(_PREFIXES)}) or be in the specifically allowed set ({', '.join(sorted(RECONCILED))})"
        )


def _reserved(label: str) -> bool:
    namespace = label.partition("/")[0] if "/" in label else ""
    ours = any(namespace == d or namespace.endswith("." + d) for d in ("kubernetes.io", "k8s.io"))
    allowed = label in RECONCILED or any(namespace == p or namespace.endswith("." + p) for p in _PREFIXES)
    return ours and not allowed


def eviction_thresholds(options: Options) -> tuple[Threshold, ...]:
    """Raises StartError."""
    try:
        return parse_thresholds(
            options.eviction_hard,
            options.eviction_soft,
            options.eviction_soft_grace_period,
            options.eviction_minimum_reclaim,
            pods_enforced="pods" in options.enforce_node_allocatable,
        )
    except ValueError as err:
        raise StartError(str(err)) from err


def node_settings(options: Options, machine: Machine, address: str) -> NodeSettings:
    """``address`` stands in for --node-ip. Raises StartError for values that cannot be used."""
    refuse_labels(options.node_labels)
    taints = [parse_taint(t) for t in options.register_with_taints]
    if not options.register_schedulable:
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    version = options.kubernetes_version
    for name in (*options.system_reserved, *options.kube_reserved):
        if name not in _RESERVABLE and not name.startswith("hugepages-"):
            raise StartError(f'cannot reserve "{name}" resource')
    try:
        reserved = _sum(dict(options.system_reserved), dict(options.kube_reserved))
    except quantity.QuantityError as err:
        raise StartError(f"--system-reserved or --kube-reserved: {err}") from err
    settings = NodeSettings(
        name=(options.hostname_override or socket.gethostname()).lower(),
        ip=options.node_ip or address,
        port=options.port,
        labels=dict(options.node_labels),
        taints=tuple(taints),
        max_pods=min(options.max_pods, options.pods_per_core * machine.cpus or options.max_pods),
        version="v" + (version if version.count(".") > 1 else version + ".0"),
        reserved=reserved,
        kept_free=kept_free(eviction_thresholds(options)),
        provider_id=options.provider_id,
        unschedulable=not options.register_schedulable,
        register=options.register_node,
        max_images=options.node_status_max_images,
        recursive_read_only=options.runtime == "docker" and can_restrict(),
    )
    if problem := reservation_problem(machine, settings):
        raise StartError(problem)
    return settings
