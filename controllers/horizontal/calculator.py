"""How many pods the usage of pods asks for: pure.

Source of the rules: the documentation "Horizontal Pod Autoscaling", algorithm details, and pkg/controller/podautoscaler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.lib.pods import phase_of
from kubeling.api import podresources
from kubeling.api.meta import Object, condition_of, has_condition, is_deleting, name_of, parse_time


class MetricsUnusable(Exception):
    """No number of pods follows from the metrics; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A pod's usage in thousandths, measured over ``window`` before ``at``."""

    value: int
    at: datetime
    window: timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """``initialization``: how long after its start a pod's CPU usage may be unusual; ``readiness_delay``: how long a
    pod that is not ready may never have been."""

    initialization: timedelta
    readiness_delay: timedelta
    tolerance_up: float
    tolerance_down: float


@dataclass(frozen=True, slots=True)
class Groups:
    """Pods by name: those that count, not ready ones, and ones without a figure; others are left out."""

    ready: frozenset[str]
    unready: frozenset[str]
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Proposal:
    """``utilization`` in per cent (None for a target that is an average value), ``average`` usage in thousandths."""

    replicas: int
    utilization: int | None
    average: int


def group(
    pods: Iterable[Object], metrics: Mapping[str, Usage], resource: str, settings: Settings, now: datetime
) -> Groups:
    """Sorts the pods. Usage of CPU while a pod starts says nothing about its load. Raises MetricsUnusable where no pod
    is left that counts."""
    found: dict[str, set[str]] = {"ready": set(), "unready": set(), "missing": set()}
    for pod in pods:
        if is_deleting(pod) or phase_of(pod) == "Failed":
            continue
        name = name_of(pod)
        if phase_of(pod) == "Pending":
            found["unready"].add(name)
        elif name not in metrics:
            found["missing"].add(name)
        elif resource == "cpu" and _starting(pod, metrics[name], settings, now):
            found["unready"].add(name)
        else:
            found["ready"].add(name)
    if not found["ready"]:
        raise MetricsUnusable("did not receive metrics for targeted pods (pods might be unready)")
    return Groups(frozenset(found["ready"]), frozenset(found["unready"]), frozenset(found["missing"]))


def _starting(pod: Object, metric: Usage, settings: Settings, now: datetime) -> bool:
    condition, started = condition_of(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if condition is None or not started:
        return True
    since, begun = parse_time(condition["lastTransitionTime"]), parse_time(started)
    unready = condition.get("status") == "False"
    if begun + settings.initialization > now:
        return unready or metric.at < since + metric.window
    return unready and begun + settings.readiness_delay > since


def requests_of(pods: Iterable[Object], resource: str, container: str = "") -> dict[str, int]:
    """What each pod requests, in thousandths: what is given for the whole pod, else the sum of its containers, or the
    named container's request. Raises MetricsUnusable where that is not said."""
    return {name_of(pod): _request(pod, resource, container) for pod in pods}


def _request(pod: Object, resource: str, container: str) -> int:
    if not container and podresources.pod_level(pod, "requests"):
        asked = podresources.pod_requests(pod).get(resource)
        if asked is None:
            raise MetricsUnusable(f"missing pod-level request for {resource} in Pod {name_of(pod)}")
        return asked.milli()
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    chosen = [c for c in (*spec["containers"], *sidecars) if container in ("", c["name"])]
    if not chosen:
        raise MetricsUnusable(f"container {container} not found in Pod {name_of(pod)}")
    total = 0
    for one in chosen:
        asked = podresources.of_container(one, "requests").get(resource)
        if asked is None:
            raise MetricsUnusable(f"missing request for {resource} in container {one['name']} of Pod {name_of(pod)}")
        total += asked.milli()
    return total


def for_utilization(
    current: int, target: int, metrics: Mapping[str, Usage], groups: Groups, requests: Mapping[str, int],
    settings: Settings,
) -> Proposal:  # fmt: skip
    """For a target in per cent of what the pods request."""
    counted = _counted(metrics, groups)

    def percent(values: Mapping[str, int]) -> int:
        asked = sum(requests[name] for name in values if name in requests)
        if not asked:
            raise MetricsUnusable("no metrics returned matched known pods")
        return sum(v for name, v in values.items() if name in requests) * 100 // asked

    def when_missing(name: str) -> int:
        return max(100, target) * requests.get(name, 0) // 100

    replicas = _replicas(current, counted, groups, lambda v: percent(v) / target, when_missing, settings)
    return Proposal(replicas, percent(counted), sum(counted.values()) // len(counted))


def for_average(
    current: int, target: int, metrics: Mapping[str, Usage], groups: Groups, settings: Settings
) -> Proposal:
    """For a target that is an average of the pods' usage, in thousandths."""
    counted = _counted(metrics, groups)

    def ratio(values: Mapping[str, int]) -> float:
        return (sum(values.values()) // len(values)) / target

    replicas = _replicas(current, counted, groups, ratio, lambda _: target, settings)
    return Proposal(replicas, None, sum(counted.values()) // len(counted))


def by_ratio(current: int, usage: int, target: int, pods: Iterable[Object], settings: Settings) -> int:
    """For a target that is the whole value of one figure: the ratio counts for the pods that are ready."""
    ratio = usage / target
    if not current:
        return math.ceil(ratio)
    if _tolerable(ratio, settings):
        return current
    found = list(pods)
    if not found:
        raise MetricsUnusable(
            "unable to calculate ready pods: no pods returned by selector while calculating replica count"
        )
    ready = [p for p in found if phase_of(p) == "Running" and has_condition(p, "Ready")]
    return math.ceil(ratio * len(ready))


def per_pod(observed: int, usage: int, target: int, settings: Settings) -> Proposal:
    """For a target that is each pod's share of one figure, ``observed`` being how many pods there are."""
    ratio = usage / (target * observed) if observed else math.inf
    replicas = observed if _tolerable(ratio, settings) else math.ceil(usage / target)
    return Proposal(replicas, None, math.ceil(usage / observed) if observed else usage)


def _counted(metrics: Mapping[str, Usage], groups: Groups) -> dict[str, int]:
    return {name: metric.value for name, metric in metrics.items() if name in groups.ready}


def _replicas(
    current: int, counted: Mapping[str, int], groups: Groups, ratio_of: Callable[[Mapping[str, int]], float],
    when_missing: Callable[[str], int], settings: Settings,
) -> int:  # fmt: skip
    """Assumes the worst of pods without figures: they may only dampen a change, never turn it round."""
    ratio = ratio_of(counted)
    unready = groups.unready if ratio > 1 else frozenset()
    if not unready and not groups.missing:
        return current if _tolerable(ratio, settings) else math.ceil(ratio * len(groups.ready))
    values = dict(counted)
    if ratio != 1:
        values |= {name: when_missing(name) if ratio < 1 else 0 for name in groups.missing}
    values |= dict.fromkeys(unready, 0)
    new = ratio_of(values)
    if _tolerable(new, settings) or (ratio < 1 < new) or (new < 1 < ratio):
        return current
    replicas = math.ceil(new * len(values))
    turned = (new < 1 and replicas > current) or (new > 1 and replicas < current)
    return current if turned else replicas


def _tolerable(ratio: float, settings: Settings) -> bool:
    return 1 - settings.tolerance_down <= ratio <= 1 + settings.tolerance_up
