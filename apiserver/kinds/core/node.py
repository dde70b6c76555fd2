"""Node: defaults, strategy and columns; its validation is in ``node_validation``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.core.node_validation import node_warnings, validate_node, validate_node_update
from apiserver.kinds.printing import AGE, NAME, NONE, UNKNOWN, age_of, column
from apiserver.kinds.strategies import StatusStrategy, keep
from apiserver.kinds.validation.pod.defaults import round_resources
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, labels_of, name_of
from kubeling.api.resources import NODES

_ROLE_PREFIX, _ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
_INFO_FIELDS = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


class NodeStrategy(Strategy):
    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        _agree_on_cidrs(spec)
        status = obj.setdefault("status", {})
        status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {"Port": 0})
        info = status.setdefault("nodeInfo", {})
        for field in _INFO_FIELDS:
            info.setdefault(field, "")
        if status.get("capacity") is not None and status.get("allocatable") is None:
            status["allocatable"] = dict(status["capacity"])
        for field in ("capacity", "allocatable"):
            round_resources(status, field)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_node(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_node(obj) + validate_node_update(obj, old)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return node_warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return node_warnings(obj)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")


def _agree_on_cidrs(spec: Object) -> None:
    """``podCIDR`` is the first of ``podCIDRs``; where the two differ, the single field wins."""
    one, many = spec.get("podCIDR"), spec.get("podCIDRs") or []
    if one and (not many or many[0] != one):
        spec["podCIDRs"] = [one]
    elif many and not one:
        spec["podCIDR"] = many[0]


class NodeStatusStrategy(StatusStrategy):
    """Spec stays."""

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_node_update(obj, old)


def _status(obj: Object) -> str:
    conditions = {c.get("type"): c.get("status") for c in obj.get("status", {}).get("conditions") or ()}
    shown = []
    if "Ready" in conditions:
        shown.append("Ready" if conditions["Ready"] == "True" else "NotReady")
    if not shown:
        shown.append("Unknown")
    if obj.get("spec", {}).get("unschedulable"):
        shown.append("SchedulingDisabled")
    return ",".join(shown)


def _roles(obj: Object) -> str:
    roles = set()
    for key, value in labels_of(obj).items():
        if key.startswith(_ROLE_PREFIX):
            role = key[len(_ROLE_PREFIX) :]
            if role:
                roles.add(role)
        elif key == _ROLE_LABEL and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _address(obj: Object, kind: str) -> str:
    addresses = obj.get("status", {}).get("addresses") or ()
    return next((a.get("address", "") for a in addresses if a.get("type") == kind), NONE)


def _kernel(info: Object) -> str:
    kernel, architecture = info.get("kernelVersion") or "", info.get("architecture") or ""
    if not kernel:
        return UNKNOWN
    return f"{kernel} ({architecture})" if architecture else kernel


def _row(obj: Object, now: datetime) -> list[Any]:
    info = obj.get("status", {}).get("nodeInfo") or {}
    return [
        name_of(obj),
        _status(obj),
        _roles(obj),
        age_of(obj, now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        _kernel(info),
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


_INFO, _ADDRESSES = "core.v1.NodeSystemInfo:", "core.v1.NodeStatus:addresses"
_COLUMNS = (
    NAME,
    column("Status", "The status of the node"),
    column("Roles", "The roles of the node"),
    AGE,
    column("Version", _INFO + "kubeletVersion"),
    column("Internal-IP", _ADDRESSES, priority=1),
    column("External-IP", _ADDRESSES, priority=1),
    column("OS-Image", _INFO + "osImage", priority=1),
    column("Kernel-Version", _INFO + "kernelVersion", priority=1),
    column("Container-Runtime", _INFO + "containerRuntimeVersion", priority=1),
)

_STRATEGY = NodeStrategy()
NODE = Kind(
    NODES,
    _STRATEGY,
    Printer(_COLUMNS, _row),
    status=NodeStatusStrategy(_STRATEGY),
    field_selectors={"spec.unschedulable": lambda obj: "true" if obj.get("spec", {}).get("unschedulable") else "false"},
    key="minions",
)
