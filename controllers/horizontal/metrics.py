"""What the metrics of an autoscaler ask for: the figures of ``metrics.k8s.io`` put before the calculator."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from controllers.horizontal import calculator
from controllers.horizontal.calculator import MetricsUnusable, Proposal, Settings, Usage
from kubeling.api import quantity
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of, parse_time
from kubeling.api.quantity import Quantity
from kubeling.api.selectors import Selector
from kubeling.client.rest import Client

_PART = re.compile(r"([0-9.]+)(h|ms|us|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UNAVAILABLE = {
    "Pods": ("FailedGetPodsMetric", "failed to get pods metric value: unable to get metric {}", "custom"),
    "Object": ("FailedGetObjectMetric", "failed to get object metric value: unable to get metric {}", "custom"),
    "External": ("FailedGetExternalMetric", "failed to get {} external metric", "external"),
}


class MetricFailed(Exception):
    """A metric of the autoscaler gives no number; ``reason`` is that of the event and the condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """What one metric asks for, its name in texts and its entry in ``status.currentMetrics``."""

    replicas: int
    name: str
    status: Object


@dataclass(frozen=True, slots=True)
class Target:
    """The pods behind the scale: wanted number, selector, and the pods of the namespace that it selects."""

    namespace: str
    replicas: int
    selector: Selector
    pods: Sequence[Object]


class Metrics:
    """Works out single metrics."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def evaluate(self, metric: Object, target: Target, settings: Settings, now: datetime) -> Found:
        """Raises MetricFailed."""
        kind = metric["type"]
        if kind in _UNAVAILABLE:
            # neither API exists in a cluster of ours: nothing registers an adapter
            reason, text, which = _UNAVAILABLE[kind]
            name = metric[kind.lower()]["metric"]["name"]
            why = f"unable to fetch metrics from {which} metrics API: no {which} metrics API ({which}.metrics.k8s.io) registered"
            raise MetricFailed(reason, f"{text.format(name)}: {why}")
        container = kind == "ContainerResource"
        source = metric["containerResource" if container else "resource"]
        try:
            proposal = await self._propose(source, target, settings, now)
        except MetricsUnusable as err:
            prefix = (
                f"{source['name']} container metric value" if container else f"{source['name']} resource metric value"
            )
            if source["target"].get("averageUtilization") is not None:
                prefix = f"{source['name']} utilization"
            raise MetricFailed(f"FailedGet{kind}Metric", f"failed to get {prefix}: {err}") from err
        return _found(source, proposal, container)

    async def _propose(self, source: Object, target: Target, settings: Settings, now: datetime) -> Proposal:
        resource, container, goal = source["name"], source.get("container", ""), source["target"]
        try:
            metrics = await self._read(target, resource, container)
        except MetricsUnusable as err:
            raise MetricsUnusable(f"unable to get metrics for resource {resource}: {err}") from err
        if not target.pods:
            raise MetricsUnusable("no pods returned by selector while calculating replica count")
        groups = calculator.group(target.pods, metrics, resource, settings, now)
        if goal.get("averageUtilization") is None:
            value = quantity.parse(goal["averageValue"]).milli()
            return calculator.for_average(target.replicas, value, metrics, groups, settings)
        requests = calculator.requests_of(target.pods, resource, container)
        wanted = goal["averageUtilization"]
        return calculator.for_utilization(target.replicas, wanted, metrics, groups, requests, settings)

    async def _read(self, target: Target, resource: str, container: str) -> dict[str, Usage]:
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{target.namespace}/pods"
        try:
            answer = await self._client.request("GET", path, params={"labelSelector": str(target.selector)})
        except StatusError as err:
            raise MetricsUnusable(f"unable to fetch metrics from resource metrics API: {err}") from err
        if not answer["items"]:
            raise MetricsUnusable("no metrics returned from resource metrics API")
        found = {name_of(item): usage_of(item, resource, container) for item in answer["items"]}
        return {name: usage for name, usage in found.items() if usage is not None}


def usage_of(item: Mapping[str, object], resource: str, container: str = "") -> Usage | None:
    """From PodMetrics: of all containers or the named one; None where one of them has no figure."""
    entries: Sequence[Object] = item["containers"]  # type: ignore[assignment]  # JSON
    values = [c["usage"].get(resource) for c in entries if not container or c["name"] == container]
    if not values or None in values:
        return None
    seconds = sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(str(item["window"])))
    total = sum(quantity.parse(v).milli() for v in values)
    return Usage(total, parse_time(str(item["timestamp"])), timedelta(seconds=seconds))


def _found(source: Object, proposal: Proposal, container: bool) -> Found:
    current: Object = {"averageValue": str(Quantity(Decimal(proposal.average).scaleb(-3)))}
    if proposal.utilization is not None:
        current = {"averageUtilization": proposal.utilization, **current}
    kind, key = ("ContainerResource", "containerResource") if container else ("Resource", "resource")
    status: Object = {"name": source["name"], "current": current}
    if container:
        status["container"] = source["container"]
    what = "container resource" if container else "resource"
    suffix = " utilization (percentage of request)" if proposal.utilization is not None else ""
    return Found(proposal.replicas, f"{source['name']} {what}{suffix}", {"type": kind, key: status})
