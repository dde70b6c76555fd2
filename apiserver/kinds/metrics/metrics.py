"""NodeMetrics and PodMetrics: made for each request from the last readings, nothing is stored. Model: metrics-server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from apiserver.kinds.metrics.scraper import Scraper
from apiserver.kinds.metrics.usage import Measured, Usage, node_usage, pod_usage, total
from apiserver.registry.actions import ActionRequest, ActionResult
from apiserver.registry.kind import Column, Kind, Printer
from kubeling.api import errors, quantity
from kubeling.api.meta import Key, Object, key_of, labels_of, name_of, namespace_of, rfc3339
from kubeling.api.quantity import Quantity
from kubeling.api.resource import Resource
from kubeling.api.resources import NODES, PODS
from kubeling.api.selectors import SelectorError, parse_fields, parse_labels

SCRAPER = "metrics scraper"
"""Name in ``Services.extra``."""
GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NODE_RESOURCE = Resource(GROUP, VERSION, "NodeMetrics", "nodes", False, verbs=("get", "list"))
POD_RESOURCE = Resource(GROUP, VERSION, "PodMetrics", "pods", True, verbs=("get", "list"))

Make = Callable[[Scraper, Object, datetime], Object | None]


def _amounts(usage: Usage) -> Object:
    return {
        "cpu": str(Quantity(Decimal(usage.cpu).scaleb(-9))),
        "memory": str(Quantity(Decimal(usage.memory), "BinarySI")),
    }


def _base(obj: Object, measured: Measured, now: datetime) -> Object:
    metadata: Object = {"name": name_of(obj), "creationTimestamp": rfc3339(now)}
    if namespace_of(obj):
        metadata["namespace"] = namespace_of(obj)
    if labels_of(obj):
        metadata["labels"] = dict(labels_of(obj))
    return {
        "metadata": metadata,
        "timestamp": rfc3339(measured.at),
        "window": f"{measured.window:.3f}".rstrip("0").rstrip(".") + "s",
    }


def node_metrics(scraper: Scraper, node: Object, now: datetime) -> Object | None:
    """None while there are no figures."""
    pair = scraper.readings(name_of(node))
    measured = node_usage(*pair) if pair else None
    return {**_base(node, measured, now), "usage": _amounts(measured.usage[""])} if measured else None


def pod_metrics(scraper: Scraper, pod: Object, now: datetime) -> Object | None:
    """None while there are no figures."""
    pair = scraper.readings((pod.get("spec") or {}).get("nodeName") or "")
    measured = pod_usage(*pair, key_of(pod)) if pair else None
    if measured is None:
        return None
    containers = [{"name": name, "usage": _amounts(usage)} for name, usage in measured.usage.items()]
    return {**_base(pod, measured, now), "containers": containers}


def _reader(resource: Resource, source: Resource, singular: str, make: Make) -> Callable[[ActionRequest], Any]:
    async def read(request: ActionRequest) -> ActionResult:
        """GET of one or of all that the selectors leave."""
        scraper: Scraper = request.services.extra[SCRAPER]
        name, namespace = request.info.name, request.info.namespace
        registry = request.registries.of(source)
        if name:
            obj = registry.cached(name, namespace)
            found = make(scraper, obj, request.now) if obj is not None else None
            if found is None:
                raise errors.not_found(GROUP, singular, str(Key(namespace, name)))
            return ActionResult({"kind": resource.kind, "apiVersion": resource.api_version, **found})
        objects = _selected(request, registry.cached_list(namespace))
        made = [make(scraper, obj, request.now) for obj in objects]
        items = [item for item in made if item is not None]
        return ActionResult(
            {"kind": resource.list_kind_name, "apiVersion": resource.api_version, "metadata": {}, "items": items}
        )

    return read


def _selected(request: ActionRequest, objects: Sequence[Object]) -> list[Object]:
    try:
        labels = parse_labels(request.param("labelSelector"))
        fields = parse_fields(request.param("fieldSelector"))
    except SelectorError as err:
        raise errors.bad_request(str(err)) from err

    def value_of(obj: Object) -> Callable[[str], str]:
        return lambda field: str(obj["metadata"].get(field.removeprefix("metadata.")) or "")

    return [o for o in objects if labels.matches(labels_of(o)) and fields.matches(value_of(o))]


def _usage_of(obj: Object) -> Usage:
    amounts = [obj["usage"]] if "usage" in obj else [c["usage"] for c in obj.get("containers") or ()]
    return total(
        Usage(int(quantity.parse(a["cpu"]).value.scaleb(9)), quantity.parse(a["memory"]).integer()) for a in amounts
    )


def _row(obj: Object, now: datetime) -> list[Any]:
    amounts = _amounts(_usage_of(obj))
    return [name_of(obj), amounts["cpu"], amounts["memory"], obj["window"]]


_PRINTER = Printer(
    (
        Column("Name", format="name", description="Name of the resource"),
        Column("cpu", format="quantity"),
        Column("memory", format="quantity"),
        Column("Window", format="duration"),
    ),
    _row,
)

NODE_METRICS = Kind(
    NODE_RESOURCE, printer=_PRINTER, actions={"": _reader(NODE_RESOURCE, NODES, "nodemetrics", node_metrics)}
)
POD_METRICS = Kind(POD_RESOURCE, printer=_PRINTER, actions={"": _reader(POD_RESOURCE, PODS, "podmetrics", pod_metrics)})
