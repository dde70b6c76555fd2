"""Figures of ``custom.metrics.k8s.io`` and ``external.metrics.k8s.io``, as adapters behind an APIService serve them.

Values are in thousandths. Source: k8s.io/metrics, its clients, and pkg/controller/podautoscaler/metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from controllers.horizontal.calculator import MetricsUnusable, Usage
from kubeling.api import quantity, selectors
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, parse_time
from kubeling.client.discovery import KnownKinds
from kubeling.client.rest import GENERIC, Client

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
CUSTOM_VERSIONS = ("v1beta2", "v1beta1")  # best first
EXTERNAL_VERSION = "v1beta1"
DEFAULT_WINDOW_SECONDS = 60


class CustomMetrics:
    """Reads single metrics. Raises MetricsUnusable with upstream's text."""

    def __init__(self, client: Client, kinds: KnownKinds) -> None:
        self._client = client
        self._kinds = kinds

    async def of_pods(self, namespace: str, selector: str, metric: Object) -> dict[str, Usage]:
        """A metric of each of the selected pods, by the pod's name."""
        path = f"/namespaces/{quote(namespace)}/pods/{quote('*')}/{quote(metric['name'], safe='')}"
        items = await self._custom(path, metric, selector)
        if not items:
            raise MetricsUnusable("no metrics returned from custom metrics API")
        return {item["describedObject"]["name"]: _usage(item) for item in items}

    async def of_object(self, namespace: str, described: Object, metric: Object) -> int:
        """A metric of one object."""
        name, metric_name = quote(described["name"], safe=""), quote(metric["name"], safe="")
        if described["kind"] == "Namespace" and "/" not in described.get("apiVersion", "v1"):
            path = f"/namespaces/{name}/metrics/{metric_name}"
        else:
            found = await self._kinds.of_kind(described.get("apiVersion", "v1"), described["kind"])
            if found is None:
                group = described.get("apiVersion", "").rpartition("/")[0]
                raise _unreachable("custom", f'no matches for kind "{described["kind"]}" in group "{group}"')
            where = f"/namespaces/{quote(namespace)}" if found.namespaced else ""
            path = f"{where}/{found.qualified}/{name}/{metric_name}"
        items = await self._custom(path, metric, "")
        if len(items) != 1:
            why = f"the custom metrics API server returned {len(items)} results when we asked for exactly one"
            raise _unreachable("custom", why)
        return quantity.parse(items[0]["value"]).milli()

    async def external(self, namespace: str, metric: Object) -> int:
        """The sum of all series of a metric that belongs to no object of the cluster."""
        path = f"/apis/{EXTERNAL}/{EXTERNAL_VERSION}/namespaces/{quote(namespace)}/{quote(metric['name'], safe='')}"
        try:
            answer = await self._client.request("GET", path, params={"labelSelector": selector_text(metric)})
        except StatusError as err:
            raise _unreachable("external", _told(err, f"get {metric['name']}.{EXTERNAL}")) from err
        items = answer.get("items") or []
        if not items:
            raise MetricsUnusable("no metrics returned from external metrics API")
        return sum(quantity.parse(item["value"]).milli() for item in items)

    async def _custom(self, path: str, metric: Object, selector: str) -> list[Any]:
        params = {"labelSelector": selector, "metricLabelSelector": selector_text(metric)}
        try:
            version = await self._custom_version()
            answer = await self._client.request("GET", f"/apis/{CUSTOM}/{version}{path}", params=params)
        except StatusError as err:
            raise _unreachable("custom", _told(err, f"get {path.rpartition('/')[2]}.{CUSTOM}")) from err
        return list(answer.get("items") or ())

    async def _custom_version(self) -> str:
        try:
            group = await self._client.request("GET", f"/apis/{CUSTOM}")
        except StatusError as err:
            if not is_not_found(err):
                raise
            raise _unreachable("custom", f"no custom metrics API ({CUSTOM}) registered") from err
        served = {v["version"] for v in group.get("versions") or ()}
        return next((v for v in CUSTOM_VERSIONS if v in served), CUSTOM_VERSIONS[-1])


def selector_text(metric: Object) -> str:
    """The metric's own selector as a query parameter."""
    return str(selectors.from_label_selector(metric["selector"])) if metric.get("selector") else ""


def _unreachable(which: str, why: str) -> MetricsUnusable:
    return MetricsUnusable(f"unable to fetch metrics from {which} metrics API: {why}")


def _told(err: StatusError, request: str) -> str:
    """client-go adds the request to its own messages, which say no more than that nothing came."""
    return f"{err} ({request})" if str(err) in GENERIC.values() else str(err)


def _usage(item: Mapping[str, Any]) -> Usage:
    window = timedelta(seconds=item.get("windowSeconds") or item.get("window") or DEFAULT_WINDOW_SECONDS)
    return Usage(quantity.parse(item["value"]).milli(), parse_time(item["timestamp"]), window)
