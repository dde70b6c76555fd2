"""What the metrics of an autoscaler ask for: figures of the metrics APIs put before the calculator."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from controllers.horizontal import calculator
from controllers.horizontal.calculator import MetricsUnusable, Proposal, Settings, Usage
from controllers.horizontal.custom import CustomMetrics
from kubeling.api import quantity, selectors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of, parse_time
from kubeling.api.quantity import Quantity
from kubeling.api.selectors import Selector
from kubeling.client.discovery import KnownKinds
from kubeling.client.rest import Client

_PART = re.compile(r"([0-9.]+)(h|ms|us|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class MetricFailed(Exception):
    """A metric of the autoscaler gives no number. ``reason`` is that of the event and the condition, the text is theirs too;
    ``summary`` is how the whole computation's failure quotes it."""

    def __init__(self, reason: str, message: str, summary: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.summary = summary


@dataclass(frozen=True, slots=True)
class Found:
    """What one metric asks for, its name in texts and its entry in ``status.currentMetrics``."""

    replicas: int
    name: str
    status: Object


@dataclass(frozen=True, slots=True)
class Target:
    """The pods behind the scale: wanted number, observed number, selector, and the pods of the namespace that it selects."""

    namespace: str
    replicas: int
    observed: int
    selector: Selector
    pods: Sequence[Object]


_SUMMARIES = {
    "Pods": "pods metric value",
    "Object": "object metric value",
    "External": "{name} external metric value",
    "Resource": "{name} resource metric value",
    "ContainerResource": "{name} container metric value",
}
UNKNOWN: Object = {"type": ""}
"""What ``status.currentMetrics`` says in the place of a metric that failed: the entries stand beside those of the spec."""


class Metrics:
    """Works out single metrics."""

    def __init__(self, client: Client, kinds: KnownKinds) -> None:
        self._client = client
        self._custom = CustomMetrics(client, kinds)

    async def evaluate(self, metric: Object, target: Target, settings: Settings, now: datetime) -> Found:
        """Raises MetricFailed."""
        kind = metric["type"]
        source = metric[kind[0].lower() + kind[1:]]
        try:
            match kind:
                case "Pods":
                    return await self._pods(source, target, settings, now)
                case "Object":
                    return await self._object(source, target, settings)
                case "External":
                    return await self._external(source, target, settings)
            return await self._resource(source, target, settings, now, container=kind == "ContainerResource")
        except MetricsUnusable as err:
            name = source.get("container") or (source.get("metric") or source)["name"]
            summary = f"failed to get {_SUMMARIES[kind].format(name=name)}: {_reported(kind, source)}{err}"
            raise MetricFailed(f"FailedGet{kind}Metric", str(err), summary) from err

    async def _pods(self, source: Object, target: Target, settings: Settings, now: datetime) -> Found:
        metric = source["metric"]
        try:
            figures = await self._custom.of_pods(target.namespace, str(target.selector), metric)
        except MetricsUnusable as err:
            raise MetricsUnusable(f"unable to get metric {metric['name']}: {err}") from err
        groups = _groups(target, figures, "", settings, now)
        wanted = quantity.parse(source["target"]["averageValue"]).milli()
        proposal = calculator.for_average(target.replicas, wanted, figures, groups, settings)
        status = {"metric": metric, "current": {"averageValue": _text(proposal.average)}}
        return Found(proposal.replicas, f"pods metric {metric['name']}", {"type": "Pods", "pods": status})

    async def _object(self, source: Object, target: Target, settings: Settings) -> Found:
        metric, described, goal = source["metric"], source["describedObject"], source["target"]
        try:
            usage = await self._custom.of_object(target.namespace, described, metric)
        except MetricsUnusable as err:
            # upstream's sentence, in upstream's order
            who = f"{described['kind']} on {target.namespace} {described['name']}"
            raise MetricsUnusable(f"unable to get metric {metric['name']}: {who}/{err}") from err
        status: Object = {"describedObject": described, "metric": metric}
        if goal["type"] == "Value" and goal.get("value") is not None:
            wanted = quantity.parse(goal["value"]).milli()
            replicas = calculator.by_ratio(target.replicas, usage, wanted, target.pods, settings)
            name, current = f"{described['kind']} metric {metric['name']}", {"value": _text(usage)}
        else:
            wanted = quantity.parse(goal["averageValue"]).milli()
            proposal = calculator.per_pod(target.observed, usage, wanted, settings)
            replicas, name = (
                proposal.replicas,
                f"external metric {metric['name']}({selectors.go_text(metric.get('selector'))})",
            )
            current = {"averageValue": _text(proposal.average)}
        return Found(replicas, name, {"type": "Object", "object": {**status, "current": current}})

    async def _external(self, source: Object, target: Target, settings: Settings) -> Found:
        metric, goal = source["metric"], source["target"]
        shown = selectors.go_text(metric.get("selector"))
        try:
            usage = await self._custom.external(target.namespace, metric)
        except MetricsUnusable as err:
            failure = f"unable to get external metric {target.namespace}/{metric['name']}/{shown}: {err}"
            raise MetricsUnusable(failure) from err
        if goal["type"] == "Value":
            wanted = quantity.parse(goal["value"]).milli()
            replicas = calculator.by_ratio(target.replicas, usage, wanted, target.pods, settings)
            current = {"value": _text(usage)}
        else:
            wanted = quantity.parse(goal["averageValue"]).milli()
            proposal = calculator.per_pod(target.observed, usage, wanted, settings)
            replicas, current = proposal.replicas, {"averageValue": _text(proposal.average)}
        status = {"metric": metric, "current": current}
        return Found(replicas, f"external metric {metric['name']}({shown})", {"type": "External", "external": status})

    async def _resource(
        self, source: Object, target: Target, settings: Settings, now: datetime, *, container: bool
    ) -> Found:
        try:
            proposal = await self._propose(source, target, settings, now)
        except MetricsUnusable as err:
            what = "utilization" if source["target"].get("averageUtilization") is not None else "usage"
            raise MetricsUnusable(f"failed to get {source['name']} {what}: {err}") from err
        return _found(source, proposal, container)

    async def _propose(self, source: Object, target: Target, settings: Settings, now: datetime) -> Proposal:
        resource, container, goal = source["name"], source.get("container", ""), source["target"]
        try:
            metrics = await self._read(target, resource, container)
        except MetricsUnusable as err:
            raise MetricsUnusable(f"unable to get metrics for resource {resource}: {err}") from err
        groups = _groups(target, metrics, resource, settings, now)
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
        for item in answer["items"]:
            if container and all(c["name"] != container for c in item["containers"]):
                where = f"{item['metadata'].get('namespace', '')}/{name_of(item)}"
                missing = f"container {container} not present in metrics for pod {where}"
                raise MetricsUnusable(f"failed to get container metrics: {missing}")
        found = {name_of(item): usage_of(item, resource, container) for item in answer["items"]}
        return {name: usage for name, usage in found.items() if usage is not None}


def _reported(kind: str, source: Object) -> str:
    """What comes between the summary's own words and the failure."""
    name, average = (source.get("metric") or {}).get("name"), source["target"].get("type") == "AverageValue"
    match kind:
        case "External":
            return f"failed to get {name} external metric: " if average else f"failed to get external metric {name}: "
        case "Object":
            return f"failed to get {name} object metric: " if average else ""
    return ""


def _groups(
    target: Target, figures: Mapping[str, Usage], resource: str, settings: Settings, now: datetime
) -> calculator.Groups:
    if not target.pods:
        raise MetricsUnusable("no pods returned by selector while calculating replica count")
    return calculator.group(target.pods, figures, resource, settings, now)


def _text(milli: int) -> str:
    return str(Quantity(Decimal(milli).scaleb(-3)))


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
    current: Object = {"averageValue": _text(proposal.average)}
    if proposal.utilization is not None:
        current = {"averageUtilization": proposal.utilization, **current}
    kind, key = ("ContainerResource", "containerResource") if container else ("Resource", "resource")
    status: Object = {"name": source["name"], "current": current}
    if container:
        status["container"] = source["container"]
    name = f"{source['name']} resource"
    if proposal.utilization is not None:
        what = "container resource" if container else "resource"
        name = f"{source['name']} {what} utilization (percentage of request)"
    return Found(proposal.replicas, name, {"type": kind, key: status})
