"""Prometheus text of usage: /metrics/resource."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from kubelet.node.machine import memory_info
from kubelet.pods import spec as podspec
from kubelet.server.stats import Sample, node_cpu_nanos

_NANO = 1e-9


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def line(name: str, labels: Mapping[str, str], value: float, at: datetime | None = None) -> str:
    """One series, with the time of its sample where that is known."""
    shown = ",".join(f'{k}="{_escape(v)}"' for k, v in sorted(labels.items()))
    number = str(int(value)) if value == int(value) else repr(value)
    stamp = f" {int(at.timestamp() * 1000)}" if at else ""
    return f"{name}{{{shown}}} {number}{stamp}" if shown else f"{name} {number}{stamp}"


def _family(name: str, kind: str, text: str, lines: Iterable[str]) -> list[str]:
    return [f"# HELP {name} [STABLE] {text}", f"# TYPE {name} {kind}", *lines]


def _labels(sample: Sample) -> dict[str, str]:
    ref = podspec.ref_of(sample.pod)
    return {"container": sample.container, "namespace": ref.namespace, "pod": ref.name}


def resource_metrics(samples: list[Sample]) -> str:
    """What metrics-server reads: CPU and memory of the node, of containers and of pods."""
    memory = memory_info()
    pods: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        ref = podspec.ref_of(sample.pod)
        pods.setdefault((ref.namespace, ref.name), []).append(sample)
    cpu = "Cumulative cpu time consumed by the {} in core-seconds"
    lines = _family(
        "container_cpu_usage_seconds_total",
        "counter",
        cpu.format("container"),
        (line("container_cpu_usage_seconds_total", _labels(s), s.usage.cpu_nanos * _NANO, s.usage.at) for s in samples),
    )
    lines += _family(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
        (line("container_memory_working_set_bytes", _labels(s), s.usage.working_set, s.usage.at) for s in samples),
    )
    lines += _family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
        (line("container_start_time_seconds", _labels(s), s.started.timestamp()) for s in samples if s.started),
    )
    lines += _family(
        "node_cpu_usage_seconds_total",
        "counter",
        cpu.format("node"),
        [line("node_cpu_usage_seconds_total", {}, node_cpu_nanos() * _NANO)],
    )
    working = memory["MemTotal"] - memory["MemAvailable"]
    lines += _family(
        "node_memory_working_set_bytes",
        "gauge",
        "Current working set of the node in bytes",
        [line("node_memory_working_set_bytes", {}, working)],
    )
    for name, kind, text, value in (
        ("pod_cpu_usage_seconds_total", "counter", cpu.format("pod"), lambda s: s.usage.cpu_nanos * _NANO),
        (
            "pod_memory_working_set_bytes",
            "gauge",
            "Current working set of the pod in bytes",
            lambda s: s.usage.working_set,
        ),
    ):
        rows = [line(name, {"namespace": n, "pod": p}, sum(map(value, found))) for (n, p), found in pods.items()]
        lines += _family(name, kind, text, rows)
    lines += _family(
        "resource_scrape_error",
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
        ["resource_scrape_error 0"],
    )
    return "\n".join(lines) + "\n"


def health_slis(checks: Sequence[str], wrong: Collection[str]) -> str:
    """/metrics/slis: each health check as it is now."""
    rows = [line("kubernetes_healthcheck", {"name": c, "type": "healthz"}, float(c not in wrong)) for c in checks]
    name, text = "kubernetes_healthcheck", "This metric records the result of a single healthcheck."
    return "\n".join(_family(name, "gauge", text, rows)) + "\n"
