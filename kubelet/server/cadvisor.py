"""Prometheus text of /metrics/cadvisor: the container metrics that dashboards use, with cAdvisor's names and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kubelet.pods import spec as podspec
from kubelet.runtime.pause import IMAGE as PAUSE_IMAGE
from kubelet.runtime.records import ContainerUsage, InterfaceUsage
from kubelet.runtime.specs import Resources
from kubelet.server.metrics import line
from kubelet.server.stats import Sample, by_pod

_NANO = 1e-9
Row = tuple[Sample, Mapping[str, str], float]

_USAGE: tuple[tuple[str, str, str, Mapping[str, str], Callable[[ContainerUsage], float]], ...] = (
    (
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed in seconds.",
        {"cpu": "total"},
        lambda u: u.cpu_nanos * _NANO,
    ),
    ("container_memory_rss", "gauge", "Size of RSS in bytes.", {}, lambda u: u.rss),
    (
        "container_memory_usage_bytes",
        "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        {},
        lambda u: u.memory_bytes,
    ),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", {}, lambda u: u.working_set),
    ("container_processes", "gauge", "Number of processes running inside the container.", {}, lambda u: u.pids),
)

_SPEC: tuple[tuple[str, str, Callable[[Resources], float]], ...] = (
    ("container_spec_cpu_period", "CPU period of the container.", lambda r: r.cpu_period),
    ("container_spec_cpu_quota", "CPU quota of the container.", lambda r: r.cpu_quota),
    ("container_spec_cpu_shares", "CPU share of the container.", lambda r: r.cpu_shares),
    ("container_spec_memory_limit_bytes", "Memory limit for the container.", lambda r: r.memory),
)

_NETWORK: tuple[tuple[str, str, Callable[[InterfaceUsage], int]], ...] = tuple(
    (f"container_network_{verb}_{what}_total", text.format(past), field)
    for verb, past, fields in (
        (
            "receive",
            "receiv",
            (lambda i: i.rx_bytes, lambda i: i.rx_errors, lambda i: i.rx_dropped, lambda i: i.rx_packets),
        ),
        (
            "transmit",
            "transmitt",
            (lambda i: i.tx_bytes, lambda i: i.tx_errors, lambda i: i.tx_dropped, lambda i: i.tx_packets),
        ),
    )
    for (what, text), field in zip(
        (
            ("bytes", "Cumulative count of bytes {}ed"),
            ("errors", "Cumulative count of errors encountered while {}ing"),
            ("packets_dropped", "Cumulative count of packets dropped while {}ing"),
            ("packets", "Cumulative count of packets {}ed"),
        ),
        fields,
        strict=True,
    )
)


def _labels(sample: Sample) -> dict[str, str]:
    ref = podspec.ref_of(sample.pod)
    image = (podspec.container_named(sample.pod, sample.container) or {}).get("image", "")
    return {
        "container": sample.container,
        "id": f"/docker/{sample.record.id}",
        "image": image,
        "name": sample.record.id,
        "namespace": ref.namespace,
        "pod": ref.name,
    }


def _families(samples: list[Sample]) -> Iterator[tuple[str, str, str, list[Row]]]:
    """Name, kind, description, and the rows with what is added to a sample's labels."""
    for name, kind, text, more, value in _USAGE:
        yield name, kind, text, [(s, more, value(s.usage)) for s in samples]
    faults: list[Row] = [
        (s, {"failure_type": kind, "scope": "container"}, float(count))
        for s in samples
        for kind, count in (("pgfault", s.usage.page_faults), ("pgmajfault", s.usage.major_page_faults))
    ]
    yield "container_memory_failures_total", "counter", "Cumulative count of memory allocation failures.", faults
    for name, text, spec in _SPEC:
        yield name, "gauge", text, [(s, {}, spec(s.record.resources)) for s in samples if s.record.resources]
    text = "Start time of the container since unix epoch in seconds."
    started: list[Row] = [(s, {}, float(int(s.started.timestamp()))) for s in samples if s.started]
    yield "container_start_time_seconds", "gauge", text, started
    for name, text, counter in _NETWORK:
        yield (
            name,
            "counter",
            text,
            [
                (found[0], {**_OF_POD, "id": f"/docker/{found[0].record.sandbox_id}", "interface": i.name}, counter(i))
                for found in by_pod(samples).values()
                for i in next((s.usage.interfaces for s in found if s.usage.interfaces), ())
            ],
        )


# a pod's network belongs to its sandbox
_OF_POD = {"container": "", "image": PAUSE_IMAGE, "name": ""}


def cadvisor_metrics(samples: list[Sample], cpus: int, memory: int) -> str:
    """``memory`` of the machine in bytes."""
    lines = []
    for name, kind, text, rows in _families(samples):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [line(name, {**_labels(s), **more}, value, s.usage.at) for s, more, value in rows]
    for name, text, value in (
        ("machine_cpu_cores", "Number of logical CPU cores.", cpus),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", memory),
    ):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", line(name, {}, value)]
    return "\n".join(lines) + "\n"
