"""HorizontalPodAutoscaler: the sizes that figures give, and how far they are followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.horizontal import CONTROLLER, calculator
from controllers.horizontal.calculator import MetricsUnusable, Settings, Usage
from controllers.horizontal.limits import History, limit
from controllers.horizontal.metrics import Found, MetricFailed, Metrics, Target, usage_of
from kubeling.api.meta import Object, rfc3339
from kubeling.api.resources import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, PODS
from kubeling.api.selectors import parse_labels
from kubeling.client.clock import FakeClock
from kubeling.client.discovery import KnownKinds
from tests.unit.controllers.world import World

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = Settings(timedelta(minutes=5), timedelta(seconds=30), 0.1, 0.1)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def pod(name: str, phase: str = "Running", ready: bool = True, started: float = 60, **metadata: Any) -> Object:
    since = rfc3339(ago(started))
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}
    return {
        "metadata": {"name": name, "namespace": "ns", **metadata},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]},
        "status": {"phase": phase, "startTime": since, "conditions": [condition]},
    }


def size(current: int, target: int, figures: list[int | None], *others: Object) -> int:
    """The size for pods that request 100m each and use so many thousandths (None: no figure)."""
    pods = [*(pod(f"p{i}") for i in range(len(figures))), *others]
    metrics = {f"p{i}": Usage(v, NOW, timedelta(seconds=15)) for i, v in enumerate(figures) if v is not None}
    metrics |= {p["metadata"]["name"]: Usage(500, NOW, timedelta(seconds=15)) for p in others}
    groups = calculator.group(pods, metrics, "cpu", SETTINGS, NOW)
    requests = calculator.requests_of(pods, "cpu")
    return calculator.for_utilization(current, target, metrics, groups, requests, SETTINGS).replicas


@pytest.mark.parametrize(
    ("current", "target", "figures", "others", "wanted"),
    [
        pytest.param(3, 30, [30, 50, 70], (), 5, id="up"),
        pytest.param(5, 50, [10, 30, 50, 20, 40], (), 3, id="down"),
        pytest.param(3, 50, [52, 54, 50], (), 3, id="within the tolerance"),
        pytest.param(3, 30, [30, 50, None], (), 3, id="a missing pod counts nothing on the way up"),
        pytest.param(4, 50, [10, 10, 10, None], (), 3, id="a missing pod counts its full request on the way down"),
        pytest.param(2, 50, [100], (pod("u", "Pending", False),), 2, id="an unready pod dampens"),
        pytest.param(2, 50, [100], (pod("u", ready=False, started=2),), 2, id="a starting pod dampens"),
        pytest.param(1, 50, [100], (pod("f", "Failed"),), 2, id="a failed pod is left out"),
        pytest.param(1, 50, [100], (pod("d", deletionTimestamp=rfc3339(NOW)),), 2, id="a deleted pod is left out"),
    ],
)
def test_size_for_utilization(current: int, target: int, figures: Any, others: Any, wanted: int) -> None:
    assert size(current, target, figures, *others) == wanted


def test_what_cannot_be_worked_out_is_told() -> None:
    bare = pod("bare")
    bare["spec"]["containers"][0]["resources"] = {}
    with pytest.raises(MetricsUnusable, match="missing request for cpu in container c of Pod bare"):
        calculator.requests_of([bare], "cpu")
    with pytest.raises(MetricsUnusable, match="did not receive metrics for targeted pods"):
        size(1, 50, [None])


def test_a_named_container_must_be_there() -> None:
    assert calculator.requests_of([pod("p")], "cpu", "c") == {"p": 100}
    with pytest.raises(MetricsUnusable, match="container d not found in Pod p"):
        calculator.requests_of([pod("p")], "cpu", "d")


def test_what_the_whole_pod_requests_counts_instead_of_its_containers() -> None:
    whole = pod("p")
    whole["spec"]["resources"] = {"requests": {"cpu": "250m"}}
    assert calculator.requests_of([whole], "cpu") == {"p": 250}
    assert calculator.requests_of([whole], "cpu", "c") == {"p": 100}
    with pytest.raises(MetricsUnusable, match="missing pod-level request for memory in Pod p"):
        calculator.requests_of([whole], "memory")


def test_average_value() -> None:
    metrics = {"a": Usage(200, NOW, timedelta(0)), "b": Usage(100, NOW, timedelta(0))}
    groups = calculator.group([pod("a"), pod("b")], metrics, "memory", SETTINGS, NOW)
    assert calculator.for_average(2, 50, metrics, groups, SETTINGS).replicas == 6


def rules(value: int, kind: str = "Pods", **more: Any) -> Object:
    return {"policies": [{"type": kind, "value": value, "periodSeconds": 60}], **more}


@pytest.mark.parametrize(
    ("spec", "current", "wanted", "history", "result", "able", "limited"),
    [
        ({}, 3, 5, History(), 5, "ReadyForNewScale", "DesiredWithinRange"),
        ({}, 3, 9, History(), 6, "ReadyForNewScale", "ScaleUpLimit"),
        ({}, 1, 9, History(), 4, "ReadyForNewScale", "ScaleUpLimit"),
        ({}, 8, 30, History(), 10, "ReadyForNewScale", "TooManyReplicas"),
        ({}, 3, 0, History(), 1, "ReadyForNewScale", "TooFewReplicas"),
        ({}, 6, 2, History([(ago(4), 5)]), 5, "ScaleDownStabilized", "DesiredWithinRange"),
        ({}, 6, 2, History([(ago(6), 5)]), 2, "ReadyForNewScale", "DesiredWithinRange"),
        ({}, 3, 4, History([(ago(1), 9)]), 6, "ScaleDownStabilized", "ScaleUpLimit"),
        ({}, 3, 4, History([(ago(5), 5)]), 5, "ScaleDownStabilized", "DesiredWithinRange"),
        ({"scaleUp": rules(2)}, 3, 9, History(), 5, "ReadyForNewScale", "ScaleUpLimit"),
        (
            {"scaleUp": rules(2)},
            5,
            9,
            History([], [(ago(0.5), 2), (ago(0.4), -1)]),
            6,
            "ReadyForNewScale",
            "ScaleUpLimit",
        ),
        (
            {"scaleUp": rules(9, stabilizationWindowSeconds=60)},
            5,
            9,
            History([(ago(0.5), 3)]),
            5,
            "ScaleUpStabilized",
            "DesiredWithinRange",
        ),
        ({"scaleUp": rules(2)}, 5, 9, History([], [(ago(0.5), 2)]), 5, "ReadyForNewScale", "ScaleUpLimit"),
        ({"scaleUp": rules(50, "Percent")}, 3, 9, History(), 5, "ReadyForNewScale", "ScaleUpLimit"),
        ({"scaleUp": rules(2, selectPolicy="Disabled")}, 3, 9, History(), 3, "ReadyForNewScale", "ScaleUpLimit"),
        (
            {"scaleUp": rules(9, stabilizationWindowSeconds=60)},
            *(3, 9, History([(ago(0.5), 4)]), 4, "ScaleUpStabilized", "DesiredWithinRange"),
        ),
        (
            {"scaleDown": rules(1, stabilizationWindowSeconds=0)},
            *(6, 2, History([(ago(1), 6)]), 5, "ReadyForNewScale", "ScaleDownLimit"),
        ),
        (
            {"scaleDown": rules(10, "Percent", stabilizationWindowSeconds=0)},
            *(9, 2, History([], [(ago(0.5), -1)]), 9, "ReadyForNewScale", "ScaleDownLimit"),
        ),
    ],
)
def test_limits(
    spec: Object, current: int, wanted: int, history: History, result: int, able: str, limited: str
) -> None:
    full: Object = {"minReplicas": 1, "maxReplicas": 10, **({"behavior": spec} if spec else {})}
    found = limit(full, current, wanted, history, NOW, 300)
    assert (found.replicas, found.able[1], found.limited[1]) == (result, able, limited)
    assert found.limited[0] == ("False" if limited == "DesiredWithinRange" else "True")


ITEM: Object = {
    "metadata": {"name": "p0"},
    "timestamp": rfc3339(NOW),
    "window": "1m0.5s",
    "containers": [{"name": "c", "usage": {"cpu": "30m"}}, {"name": "d", "usage": {"cpu": "1500u"}}],
}


def test_usage_of_pod_metrics() -> None:
    assert usage_of(ITEM, "cpu") == Usage(32, NOW, timedelta(seconds=60.5))
    assert usage_of(ITEM, "cpu", "d") == Usage(2, NOW, timedelta(seconds=60.5))
    assert usage_of(ITEM, "memory") is None


class Answering:
    """The one request that metrics take."""

    def __init__(self, items: list[Object]) -> None:
        self._items = items

    async def request(self, method: str, path: str, *, params: Any = None) -> Any:
        assert (path, params) == ("/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods", {"labelSelector": "a=b"})
        return {"items": self._items}


async def evaluate(metric: Object, *items: Object) -> Found:
    target = Target("ns", 1, 1, parse_labels("a=b"), [pod("p0")])
    client: Any = Answering(list(items))
    return await Metrics(client, KnownKinds(client, FakeClock())).evaluate(metric, target, SETTINGS, NOW)


async def test_a_metric_gives_size_name_and_status() -> None:
    target = {"type": "Utilization", "averageUtilization": 10}
    found = await evaluate({"type": "Resource", "resource": {"name": "cpu", "target": target}}, ITEM)
    assert (found.replicas, found.name) == (4, "cpu resource utilization (percentage of request)")
    current = {"averageUtilization": 32, "averageValue": "32m"}
    assert found.status == {"type": "Resource", "resource": {"name": "cpu", "current": current}}


@pytest.mark.parametrize(
    ("metric", "reason", "message"),
    [
        (
            {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 10}}},
            "FailedGetResourceMetric",
            "failed to get cpu utilization: unable to get metrics for resource cpu: "
            "no metrics returned from resource metrics API",
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {"name": "cpu", "container": "c", "target": {"averageValue": "1"}},
            },
            "FailedGetContainerResourceMetric",
            "failed to get cpu usage: unable to get metrics for resource cpu: "
            "no metrics returned from resource metrics API",
        ),
    ],
)
async def test_a_metric_that_fails_says_why(metric: Object, reason: str, message: str) -> None:
    with pytest.raises(MetricFailed) as caught:
        await evaluate(metric)
    assert (caught.value.reason, str(caught.value)) == (reason, message)


async def test_a_container_that_the_metrics_do_not_name_is_told() -> None:
    target = {"type": "AverageValue", "averageValue": "10m"}
    source = {"name": "cpu", "container": "x", "target": target}
    with pytest.raises(MetricFailed) as caught:
        await evaluate({"type": "ContainerResource", "containerResource": source}, ITEM)
    why = (
        "failed to get cpu usage: unable to get metrics for resource cpu: failed to get container metrics: "
        "container x not present in metrics for pod /p0"
    )
    assert str(caught.value) == why
    assert caught.value.summary == f"failed to get x container metric value: {why}"


async def test_an_average_value_of_a_container_is_called_as_that_of_a_pod() -> None:
    source = {"name": "cpu", "container": "c", "target": {"type": "AverageValue", "averageValue": "10m"}}
    found = await evaluate({"type": "ContainerResource", "containerResource": source}, ITEM)
    assert (found.replicas, found.name) == (3, "cpu resource")


METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
OTHER = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Mi"}}}


def cluster(w: World, usage: str, *metrics: Object, replicas: int = 2, **spec: Any) -> None:
    """A Deployment whose pods request 100m and use so much each, and its autoscaler."""
    labels, now = {"app": "web"}, rfc3339(w.clock.now())
    w.create(DEPLOYMENTS, "web", {"replicas": replicas, "selector": {"matchLabels": labels}})
    items = []
    for number in range(replicas):
        container = {"name": "c", "resources": {"requests": {"cpu": "100m"}}}
        made = w.create(PODS, f"p{number}", {"containers": [container]}, labels=labels)
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
        w.set_status(made, phase="Running", conditions=[condition], startTime="2020-01-01T00:00:00Z")
        used = [{"name": "c", "usage": {"cpu": usage}}]
        items.append({"metadata": {"name": f"p{number}", "namespace": "ns"}, "timestamp": now, "window": "15s",
                      "containers": used})  # fmt: skip
    w.api.served[METRICS] = {"items": items}
    autoscaler(w, "web", *metrics, **spec)


def autoscaler(w: World, name: str, *metrics: Object, **spec: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    bounds = {"minReplicas": 1, "maxReplicas": 10, **spec}
    w.create(HORIZONTAL_POD_AUTOSCALERS, name, {"scaleTargetRef": target, "metrics": list(metrics), **bounds})


def told(w: World, name: str = "web") -> Object:
    hpa = w.get(HORIZONTAL_POD_AUTOSCALERS, name)
    return {c["type"]: (c["status"], c["reason"]) for c in hpa["status"]["conditions"]}


async def test_a_rescale_is_told_in_status_and_event() -> None:
    async with World(CONTROLLER) as w:
        cluster(w, "100m", CPU)
        await w.clock.advance(1)
        assert w.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 4
        status = w.get(HORIZONTAL_POD_AUTOSCALERS, "web")["status"]
        assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 4)
        assert told(w) == {
            "AbleToScale": ("True", "SucceededRescale"),
            "ScalingActive": ("True", "ValidMetricFound"),
            "ScalingLimited": ("False", "DesiredWithinRange"),
        }
        text = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
        assert w.events() == [("SuccessfulRescale", text)]


async def test_metrics_that_fail_keep_their_place_in_the_status() -> None:
    async with World(CONTROLLER) as w:
        cluster(w, "100m", OTHER, CPU)
        await w.clock.advance(1)
        shown = w.get(HORIZONTAL_POD_AUTOSCALERS, "web")["status"]["currentMetrics"]
        assert [m["type"] for m in shown] == ["", "Resource"]


async def test_without_any_figure_the_last_ones_are_no_longer_shown() -> None:
    async with World(CONTROLLER) as w:
        cluster(w, "50m", CPU)
        await w.clock.advance(1)
        w.api.served[METRICS] = {"items": []}
        await w.clock.advance(16)
        status = w.get(HORIZONTAL_POD_AUTOSCALERS, "web")["status"]
        assert status["currentMetrics"] == [{"type": ""}]
        assert told(w)["ScalingActive"] == ("False", "FailedGetResourceMetric")
        assert [reason for reason, _ in w.events()] == ["FailedGetResourceMetric", "FailedComputeMetricsReplicas"]
        w.api.update(DEPLOYMENTS, "ns", "web", lambda d: d["spec"].update(replicas=0))
        await w.clock.advance(16)
        assert "currentMetrics" not in w.get(HORIZONTAL_POD_AUTOSCALERS, "web")["status"]
        assert told(w)["ScalingActive"] == ("False", "ScalingDisabled")


async def test_pods_of_two_autoscalers_are_scaled_by_neither() -> None:
    async with World(CONTROLLER) as w:
        cluster(w, "50m", CPU)
        autoscaler(w, "other", CPU)
        await w.clock.advance(31)
        why = "pods by selector app=web are controlled by multiple HPAs: [ns/other ns/web]"
        for name in ("web", "other"):
            assert told(w, name)["ScalingActive"] == ("False", "AmbiguousSelector")
        assert {("AmbiguousSelector", why), ("FailedComputeMetricsReplicas", why)} <= set(w.events())
        w.api.delete(HORIZONTAL_POD_AUTOSCALERS, "ns", "other")
        await w.clock.advance(16)
        assert told(w)["ScalingActive"] == ("True", "ValidMetricFound")


async def test_a_target_that_is_not_there_is_told() -> None:
    async with World(CONTROLLER) as w:
        autoscaler(w, "web", CPU)
        target = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t"}
        w.create(HORIZONTAL_POD_AUTOSCALERS, "thing", {"scaleTargetRef": target, "maxReplicas": 3})
        await w.clock.advance(1)
        for name in ("web", "thing"):
            assert told(w, name) == {"AbleToScale": ("False", "FailedGetScale")}
        assert ("FailedGetScale", 'no matches for kind "Thing" in group "example.com"') in w.events()
