"""``--enforce-node-allocatable``: what of the node is held to its share by control groups (pkg/kubelet/apis/config/validation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubelet.cgroups.limits import Limits
from kubelet.cgroups.names import Name, parse_root
from kubelet.containers.resources import cpu_shares
from kubelet.options import Options
from kubeling.api import quantity
from kubeling.client.errors import StartError

PODS, SYSTEM, KUBE = "pods", "system-reserved", "kube-reserved"
_COMPRESSIBLE = "-compressible"
KNOWN = (PODS, SYSTEM, KUBE, SYSTEM + _COMPRESSIBLE, KUBE + _COMPRESSIBLE, "none")
NOT_WITHOUT_QOS = (
    "invalid configuration: enforceNodeAllocatable (--enforce-node-allocatable) is not supported unless "
    "cgroupsPerQOS (--cgroups-per-qos) is set to true"
)


@dataclass(frozen=True, slots=True)
class ReservedGroup:
    """A group of others', kept to what is reserved for it. ``shown`` is its name as it was given."""

    title: str
    shown: str
    name: Name
    limits: Limits


def enforcements(wanted: Sequence[str]) -> frozenset[str]:
    """Raises StartError."""
    for name in wanted:
        if name not in KNOWN:
            names = [f'"{known}"' for known in KNOWN]
            raise StartError(
                f'invalid configuration: option "{name}" specified for enforceNodeAllocatable (--enforce-node-allocatable). '
                f"Valid options are {', '.join(names[:-1])} or {names[-1]}"
            )
    if "none" in wanted and len(wanted) > 1:
        raise StartError(
            "invalid configuration: enforceNodeAllocatable (--enforce-node-allocatable) may not contain additional "
            'enforcements when "none" is specified'
        )
    return frozenset(wanted) - {"none"}


def reserved_groups(enforced: frozenset[str], options: Options) -> tuple[ReservedGroup, ...]:
    """Raises StartError when a group is not named."""
    found = []
    for kind, field, group, amounts in (
        (
            SYSTEM,
            "systemReservedCgroup (--system-reserved-cgroup)",
            options.system_reserved_cgroup,
            options.system_reserved,
        ),
        (KUBE, "kubeReservedCgroup (--kube-reserved-cgroup)", options.kube_reserved_cgroup, options.kube_reserved),
    ):
        for name in (kind, kind + _COMPRESSIBLE):
            if name not in enforced:
                continue
            if not group:
                raise StartError(
                    f'invalid configuration: {field} must be specified when "{kind}" or "{kind}{_COMPRESSIBLE}" included '
                    "in enforceNodeAllocatable (--enforce-node-allocatable)"
                )
            title = kind.replace("-", " ").title()
            limits = _limits(amounts, memory=name == kind)
            found.append(ReservedGroup(title, group, parse_root(group), limits))
    return tuple(found)


def _limits(amounts: Mapping[str, str], *, memory: bool) -> Limits:
    parsed = {name: quantity.parse(text) for name, text in amounts.items()}
    return Limits(
        cpu_shares=cpu_shares(parsed.get("cpu", quantity.ZERO).milli()),
        memory=parsed.get("memory", quantity.ZERO).integer() if memory else 0,
        pids=parsed.get("pid", quantity.ZERO).integer() if memory else 0,
    )
