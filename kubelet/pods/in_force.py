"""Resources as statuses tell them: what is granted, and what is in force (pkg/kubelet/kubelet_pods.go)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kubelet.cgroups.limits import is_limited
from kubelet.containers.resources import MIN_SHARES, PERIOD
from kubelet.pods import spec as podspec
from kubelet.pods.qos import BEST_EFFORT, qos_class
from kubelet.pods.requests import Amounts, pod_limits, pod_requests
from kubelet.runtime.records import ContainerRecord, State
from kubelet.runtime.specs import Resources
from kubeling.api import quantity
from kubeling.api.meta import Object

_LEAST_SHARES, _LEAST_LIMIT = MIN_SHARES, 10  # thousandths of a processor; below them the kernel makes no difference


def told_of_container(container: Mapping[str, Any], record: ContainerRecord | None) -> Object:
    """``allocatedResources`` and ``resources`` of a container that the engine has, empty for one that it has not."""
    if record is None or record.state is State.CREATED:
        return {}
    allocated = container.get("resources") or {}
    found: Object = {"allocatedResources": dict(allocated["requests"])} if allocated.get("requests") else {}
    shown = {kind: dict(allocated[kind]) for kind in ("limits", "requests") if allocated.get(kind)}
    if record.state is State.RUNNING and record.resources is not None:
        _overlay(shown, record.resources)
    return found | {"resources": shown}


def _overlay(shown: Object, actual: Resources) -> None:
    if "limits" in shown:
        if actual.cpu_quota:
            milli = actual.cpu_quota * 1000 // (actual.cpu_period or PERIOD)
            _put(shown["limits"], "cpu", _milli(milli), above=_LEAST_LIMIT)
        if actual.memory:
            _put(shown["limits"], "memory", _bytes(actual.memory))
    if "requests" in shown and actual.cpu_shares:
        _put(shown["requests"], "cpu", _milli(-(-actual.cpu_shares * 1000 // 1024)), above=_LEAST_SHARES)


def _milli(amount: int) -> quantity.Quantity:
    return quantity.Quantity(Decimal(amount) / 1000)


def _bytes(amount: int) -> quantity.Quantity:
    return quantity.Quantity(Decimal(amount), "BinarySI")


def _put(shown: Object, name: str, actual: quantity.Quantity, above: int = -1) -> None:
    """What is equal is left as it was written; so is what differs by less than the kernel can tell."""
    written = quantity.parse(shown.get(name) or "0")
    if actual.value != written.value and max(actual.milli(), written.milli()) > above:
        shown[name] = str(actual)


def told_of_pod(pod: Object, *, running: bool) -> Object:
    """``allocatedResources`` and ``resources`` of the whole pod, which sum its containers' where it has none of its own."""
    requests, limits = pod_requests(pod), pod_limits(pod)
    own = podspec.spec_of(pod).get("resources") or {}
    found: Object = {"allocatedResources": _texts(requests)} if requests else {}
    if running:  # then its control group tells, which knows processors and memory
        requests = _in_group(requests, own.get("requests"))
        if qos_class(pod) == BEST_EFFORT:
            limits = {}
        limits = _in_group({k: v for k, v in limits.items() if is_limited(pod, k)}, own.get("limits"))
    shown = {kind: _texts(amounts) for kind, amounts in (("limits", limits), ("requests", requests)) if amounts}
    return found | {"resources": shown}


def _in_group(amounts: Amounts, own: Mapping[str, Any] | None) -> Amounts:
    written = {k: quantity.parse(v) for k, v in (own or {}).items()}
    return written | {k: v for k, v in amounts.items() if k in ("cpu", "memory")}


def _texts(amounts: Amounts) -> dict[str, str]:
    return {name: str(amount) for name, amount in sorted(amounts.items())}
