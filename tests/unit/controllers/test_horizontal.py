"""HorizontalPodAutoscaler: the sizes that figures give, and how far they are followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.horizontal import calculator
from controllers.horizontal.calculator import MetricsUnusable, Settings, Usage
from controllers.horizontal.limits import History, limit
from controllers.horizontal.metrics import Found, MetricFailed, Metrics, Target, usage_of
from kubeling.api.meta import Object, rfc3339
from kubeling.api.selectors import parse_labels

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
        ({"scaleUp": rules(2)}, 3, 9, History(), 5, "ReadyForNewScale", "ScaleUpLimit"),
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
    return await Metrics(Answering(list(items))).evaluate(metric, target, SETTINGS, NOW)  # type: ignore[arg-type]  # enough of a client


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
