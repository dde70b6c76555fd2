"""Usage from the kubelets' counters, and the objects made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apiserver.kinds.metrics.metrics import NODE_METRICS, node_metrics, pod_metrics
from apiserver.kinds.metrics.scraper import Scraper
from apiserver.kinds.metrics.usage import Usage, node_usage, pod_usage, reading_of
from kubeling.api.meta import Key, Object

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
T1 = T0 + timedelta(seconds=15)
POD = Key("d", "p")


def stats(cpu: int, memory: int = 1024, started: str = "s") -> Object:
    return {"startTime": started, "cpu": {"usageCoreNanoSeconds": cpu}, "memory": {"workingSetBytes": memory}}


def summary(node: Object, **containers: Object) -> Object:
    listed = [{"name": name, **figures} for name, figures in containers.items()]
    return {"node": node, "pods": [{"podRef": {"namespace": "d", "name": "p"}, "containers": listed}]}


def test_rates_are_differences_over_time() -> None:
    old = reading_of(summary(stats(10**9), c=stats(0)), T0)
    new = reading_of(summary(stats(16 * 10**9, 4096, "t"), c=stats(3 * 10**9, 2048)), T1)
    node, pod = node_usage(old, new), pod_usage(old, new, POD)
    assert node is not None and (node.usage[""], node.window, node.at) == (Usage(10**9, 4096), 15.0, T1)
    assert pod is not None and pod.usage == {"c": Usage(2 * 10**8, 2048)}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param({"c": stats(5)}, {"c": stats(4)}, id="counter fell"),
        pytest.param({"c": stats(5)}, {"c": stats(9, started="t")}, id="restarted"),
        pytest.param({"c": stats(5)}, {"c": stats(9), "d": stats(1)}, id="a container is new"),
        pytest.param({"c": stats(5)}, {}, id="nothing runs"),
    ],
)
def test_a_pod_without_two_readings_of_every_container_has_no_figures(before: Any, now: Any) -> None:
    old, new = reading_of(summary(stats(0), **before), T0), reading_of(summary(stats(1), **now), T1)
    assert pod_usage(old, new, POD) is None
    assert node_usage(None, new) is None


class Source:
    def __init__(self) -> None:
        self.answers: list[Object | Exception] = []

    async def summary(self, node: Object) -> Object:
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


NODE: Object = {"metadata": {"name": "n", "labels": {"a": "b"}}}
POD_OBJECT: Object = {"metadata": {"name": "p", "namespace": "d"}, "spec": {"nodeName": "n"}}


async def test_the_objects(registries: Any) -> None:
    source, times = Source(), [T0, T1]
    scraper = Scraper(registries, source, lambda: times.pop(0))
    source.answers = [
        summary(stats(0), c=stats(0)),
        summary(stats(15 * 10**9), c=stats(15 * 10**6, 3 << 20)),
        OSError(),
    ]
    await scraper.scrape([NODE])
    assert node_metrics(scraper, NODE, T1) is None
    await scraper.scrape([NODE])
    made = node_metrics(scraper, NODE, T1)
    assert made == {
        "metadata": {"name": "n", "creationTimestamp": "2026-11-21T12:00:15Z", "labels": {"a": "b"}},
        "timestamp": "2026-11-21T12:00:15Z",
        "window": "15s",
        "usage": {"cpu": "1", "memory": "1Ki"},
    }
    assert NODE_METRICS.printer is not None and NODE_METRICS.printer.row(made, T1) == ["n", "1", "1Ki", "15s"]
    pod = pod_metrics(scraper, POD_OBJECT, T1)
    assert pod is not None and pod["containers"] == [{"name": "c", "usage": {"cpu": "1m", "memory": "3Mi"}}]
    await scraper.scrape([NODE])
    assert scraper.readings("n") is None, "a kubelet that is gone leaves no figures"
