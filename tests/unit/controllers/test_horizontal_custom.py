"""Autoscaling by custom and external metrics: what is asked of the adapters, and what follows from their answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from controllers.horizontal import calculator
from controllers.horizontal.calculator import MetricsUnusable, Settings
from controllers.horizontal.metrics import Found, MetricFailed, Metrics, Target
from kubeling.api.errors import failure
from kubeling.api.meta import Object, rfc3339
from kubeling.api.selectors import parse_labels
from kubeling.client.clock import FakeClock
from kubeling.client.discovery import KnownKinds
from kubeling.client.rest import Client
from kubeling.client.transport import Transport

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = Settings(timedelta(minutes=5), timedelta(seconds=30), 0.1, 0.1)
SELECTOR = {"matchLabels": {"verb": "GET"}}
CUSTOM, EXTERNAL = "/apis/custom.metrics.k8s.io", "/apis/external.metrics.k8s.io/v1beta1"
INGRESS = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"}
PODS_PATH = f"{CUSTOM}/v1beta2/namespaces/ns/pods/*/hits"
OBJECT_PATH = f"{CUSTOM}/v1beta2/namespaces/ns/ingresses.networking.k8s.io/main/hits"
EXTERNAL_PATH = f"{EXTERNAL}/namespaces/ns/queue"


def pod(name: str, *, ready: bool = True, phase: str = "Running") -> Object:
    since = rfc3339(NOW - timedelta(hours=1))
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}
    spec = {"containers": [{"name": "c"}]}
    status = {"phase": phase, "startTime": since, "conditions": [condition]}
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("current", "usage", "target", "pods", "wanted"),
    [
        (2, 200, 100, [pod("a"), pod("b")], 4),
        (2, 205, 200, [pod("a"), pod("b")], 2),
        (4, 50, 100, [pod("a"), pod("b"), pod("c"), pod("d")], 2),
        (4, 200, 100, [pod("a"), pod("b", ready=False), pod("c", phase="Pending")], 2),
        (0, 250, 100, [], 3),
        (2, 100, 100, [], 2),
    ],
)
def test_size_by_the_whole_value(current: int, usage: int, target: int, pods: list[Object], wanted: int) -> None:
    assert calculator.by_ratio(current, usage, target, pods, SETTINGS) == wanted


def test_a_ratio_without_pods_gives_nothing() -> None:
    with pytest.raises(MetricsUnusable, match="unable to calculate ready pods: no pods returned by selector"):
        calculator.by_ratio(2, 200, 100, [], SETTINGS)


@pytest.mark.parametrize(
    ("observed", "usage", "target", "wanted", "average"),
    [(2, 900, 100, 9, 450), (3, 310, 100, 3, 104), (3, 331, 100, 4, 111), (5, 100, 100, 1, 20), (0, 250, 100, 3, 250)],
)
def test_size_by_each_pods_share(observed: int, usage: int, target: int, wanted: int, average: int) -> None:
    proposal = calculator.per_pod(observed, usage, target, SETTINGS)
    assert (proposal.replicas, proposal.average) == (wanted, average)


class Adapters:
    """Serves the groups' discovery and the answers given by path; remembers the queries."""

    def __init__(self, answers: dict[str, list[Object]], versions: tuple[str, ...] = ("v1beta1", "v1beta2")) -> None:
        self.answers, self.versions = answers, versions
        self.queries: list[tuple[str, dict[str, str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/api":
            return httpx.Response(200, json={"kind": "APIGroupDiscoveryList", "items": []})
        if path == "/apis":
            resource = {
                "resource": "ingresses",
                "responseKind": {"kind": "Ingress", "version": "v1"},
                "scope": "Namespaced",
                "verbs": ["get"],
                "singularResource": "ingress",
            }
            versions = [{"version": "v1", "resources": [resource]}]
            item = {"metadata": {"name": "networking.k8s.io"}, "versions": versions}
            return httpx.Response(200, json={"kind": "APIGroupDiscoveryList", "items": [item]})
        if path == CUSTOM and self.versions:
            return httpx.Response(200, json={"versions": [{"version": v} for v in self.versions]})
        self.queries.append((path, dict(request.url.params)))
        if path in self.answers:
            return httpx.Response(200, json={"items": self.answers[path]})
        bare = failure(404, "NotFound", "the server could not find the requested resource")
        return httpx.Response(404, json=bare.status)


def value(name: str, text: str) -> Object:
    return {"describedObject": {"name": name}, "timestamp": rfc3339(NOW), "value": text, "metricName": name}


async def evaluate(adapters: Adapters, metric: Object, *pods: Object, current: int = 2) -> Found:
    client = Client(Transport("http://test", mock=httpx.MockTransport(adapters)))
    target = Target("ns", current, len(pods), parse_labels("a=b"), list(pods))
    return await Metrics(client, KnownKinds(client, FakeClock())).evaluate(metric, target, SETTINGS, NOW)


def goal(type_: str, text: str) -> Object:
    return {"type": type_, "averageValue" if type_ == "AverageValue" else "value": text}


async def test_pods_metric() -> None:
    adapters = Adapters({PODS_PATH: [value("a", "300m"), value("b", "500m")]})
    source = {"metric": {"name": "hits", "selector": SELECTOR}, "target": goal("AverageValue", "200m")}
    found = await evaluate(adapters, {"type": "Pods", "pods": source}, pod("a"), pod("b"))
    assert (found.replicas, found.name) == (4, "pods metric hits")
    assert found.status == {"type": "Pods", "pods": {"metric": source["metric"], "current": {"averageValue": "400m"}}}
    assert adapters.queries == [(PODS_PATH, {"labelSelector": "a=b", "metricLabelSelector": "verb=GET"})]


@pytest.mark.parametrize(
    ("target", "replicas", "name", "current"),
    [
        (goal("Value", "10"), 6, "Ingress metric hits", {"value": "30"}),
        (goal("AverageValue", "10"), 3, "external metric hits(nil)", {"averageValue": "15"}),
    ],
)
async def test_object_metric(target: Object, replicas: int, name: str, current: Object) -> None:
    adapters = Adapters({OBJECT_PATH.replace("v1beta2", "v1beta1"): [value("main", "30")]}, ("v1beta1",))
    source = {"describedObject": INGRESS, "metric": {"name": "hits"}, "target": target}
    found = await evaluate(adapters, {"type": "Object", "object": source}, pod("a"), pod("b"))
    assert (found.replicas, found.name) == (replicas, name)
    status = {"describedObject": INGRESS, "metric": {"name": "hits"}, "current": current}
    assert found.status == {"type": "Object", "object": status}


async def test_metric_of_a_namespace() -> None:
    adapters = Adapters({f"{CUSTOM}/v1beta2/namespaces/ns/metrics/hits": [value("ns", "30")]})
    described = {"kind": "Namespace", "name": "ns", "apiVersion": "v1"}
    source = {"describedObject": described, "metric": {"name": "hits"}, "target": goal("Value", "15")}
    assert (await evaluate(adapters, {"type": "Object", "object": source}, pod("a"))).replicas == 2


SHOWN = "&LabelSelector{MatchLabels:map[string]string{verb: GET,},MatchExpressions:[]LabelSelectorRequirement{},}"


@pytest.mark.parametrize(
    ("target", "replicas", "current"),
    [(goal("Value", "10"), 8, {"value": "40"}), (goal("AverageValue", "10"), 4, {"averageValue": "20"})],
)
async def test_external_metric(target: Object, replicas: int, current: Object) -> None:
    adapters = Adapters({EXTERNAL_PATH: [value("", "30"), value("", "10")]})
    metric = {"name": "queue", "selector": SELECTOR}
    found = await evaluate(
        adapters, {"type": "External", "external": {"metric": metric, "target": target}}, pod("a"), pod("b")
    )
    assert (found.replicas, found.name) == (replicas, f"external metric queue({SHOWN})")
    assert found.status == {"type": "External", "external": {"metric": metric, "current": current}}
    assert adapters.queries == [(EXTERNAL_PATH, {"labelSelector": "verb=GET"})]


UNREGISTERED = (
    "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
)
NOT_FOUND = "the server could not find the requested resource"


@pytest.mark.parametrize(
    ("metric", "versions", "reason", "message", "summary"),
    [
        (
            {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": goal("AverageValue", "1")}},
            (),
            "FailedGetPodsMetric",
            f"unable to get metric m: {UNREGISTERED}",
            "failed to get pods metric value: ",
        ),
        (
            {
                "type": "Object",
                "object": {"describedObject": INGRESS, "metric": {"name": "m"}, "target": goal("Value", "1")},
            },
            (),
            "FailedGetObjectMetric",
            f"unable to get metric m: Ingress on ns main/{UNREGISTERED}",
            "failed to get object metric value: ",
        ),
        (
            {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": goal("AverageValue", "1")}},
            ("v1beta1",),
            "FailedGetPodsMetric",
            f"unable to get metric m: unable to fetch metrics from custom metrics API: {NOT_FOUND} (get m.custom.metrics.k8s.io)",
            "failed to get pods metric value: ",
        ),
        (
            {"type": "External", "external": {"metric": {"name": "m"}, "target": goal("AverageValue", "1")}},
            (),
            "FailedGetExternalMetric",
            "unable to get external metric ns/m/nil: unable to fetch metrics from external "
            f"metrics API: {NOT_FOUND} (get m.external.metrics.k8s.io)",
            "failed to get m external metric value: failed to get m external metric: ",
        ),
        (
            {
                "type": "Object",
                "object": {"describedObject": INGRESS, "metric": {"name": "m"}, "target": goal("AverageValue", "1")},
            },
            (),
            "FailedGetObjectMetric",
            f"unable to get metric m: Ingress on ns main/{UNREGISTERED}",
            "failed to get object metric value: failed to get m object metric: ",
        ),
    ],
)
async def test_a_metric_that_fails_says_why(
    metric: Object, versions: tuple[str, ...], reason: str, message: str, summary: str
) -> None:
    with pytest.raises(MetricFailed) as caught:
        await evaluate(Adapters({}, versions), metric, pod("a"))
    assert (caught.value.reason, str(caught.value)) == (reason, message)
    assert caught.value.summary == summary + message


@pytest.mark.parametrize("items", [[], [value("a", "1"), value("b", "1")]])
async def test_an_object_has_exactly_one_value(items: list[Any]) -> None:
    source = {"describedObject": INGRESS, "metric": {"name": "hits"}, "target": goal("Value", "15")}
    with pytest.raises(MetricFailed, match=f"returned {len(items)} results when we asked for exactly one"):
        await evaluate(Adapters({OBJECT_PATH: items}), {"type": "Object", "object": source}, pod("a"))
