"""Prometheus text of usage: /metrics/resource and /metrics/cadvisor."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubelet.node.machine import memory_info
from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import ContainerUsage
from kubelet.server.stats import Sample, node_cpu_nanos

_NANO = 1e-9


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _line(name: str, labels: dict[str, str], value: float) -> str:
    shown = ",".join(f'{k}="{_escape(v)}"' for k, v in labels.items())
    return f"{name}{{{shown}}} {value:g}" if shown else f"{name} {value:.9g}"


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
        (_line("container_cpu_usage_seconds_total", _labels(s), s.usage.cpu_nanos * _NANO) for s in samples),
    )
    lines += _family(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
        (_line("container_memory_working_set_bytes", _labels(s), s.usage.working_set) for s in samples),
    )
    lines += _family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
        (_line("container_start_time_seconds", _labels(s), s.started.timestamp()) for s in samples if s.started),
    )
    lines += _family(
        "node_cpu_usage_seconds_total",
        "counter",
        cpu.format("node"),
        [_line("node_cpu_usage_seconds_total", {}, node_cpu_nanos() * _NANO)],
    )
    working = memory["MemTotal"] - memory["MemAvailable"]
    lines += _family(
        "node_memory_working_set_bytes",
        "gauge",
        "Current working set of the node in bytes",
        [_line("node_memory_working_set_bytes", {}, working)],
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
        rows = [_line(name, {"namespace": n, "pod": p}, sum(map(value, found))) for (n, p), found in pods.items()]
        lines += _family(name, kind, text, rows)
    lines += _family(
        "resource_scrape_error",
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
        ["resource_scrape_error 0"],
    )
    return "\n".join(lines) + "\n"


_CADVISOR: tuple[tuple[str, str, str, Callable[[ContainerUsage], float]], ...] = (
    (
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed in seconds.",
        lambda u: u.cpu_nanos * _NANO,
    ),
    ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes.", lambda u: u.memory_bytes),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", lambda u: u.working_set),
    ("container_processes", "gauge", "Number of processes running inside the container.", lambda u: u.pids),
    ("container_network_receive_bytes_total", "counter", "Cumulative count of bytes received", lambda u: u.rx_bytes),
    (
        "container_network_transmit_bytes_total",
        "counter",
        "Cumulative count of bytes transmitted",
        lambda u: u.tx_bytes,
    ),
)


def cadvisor_metrics(samples: list[Sample]) -> str:
    """The container metrics of cAdvisor that dashboards use."""

    def labels(sample: Sample) -> dict[str, str]:
        image = (podspec.container_named(sample.pod, sample.container) or {}).get("image", "")
        return {**_labels(sample), "image": image, "name": sample.container}

    lines = []
    for name, kind, text, value in _CADVISOR:
        lines += _family(name, kind, text, (_line(name, labels(s), value(s.usage)) for s in samples))
    return "\n".join(lines) + "\n"
