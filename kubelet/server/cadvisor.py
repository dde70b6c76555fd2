"""Prometheus text of /metrics/cadvisor: the container metrics that dashboards use, with cAdvisor's names and labels."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubelet.node.machine import memory_info
from kubelet.node.signals import memory_available
from kubelet.pods import spec as podspec
from kubelet.runtime.pause import IMAGE as PAUSE_IMAGE
from kubelet.runtime.records import ContainerUsage, DeviceUsage, InterfaceUsage
from kubelet.runtime.specs import Resources
from kubelet.server.metrics import family, line
from kubelet.server.stats import Sample, by_pod, node_cpu_nanos
from kubeling.api.meta import Object

_NANO = 1e-9


@dataclass(frozen=True, slots=True)
class MachineFigures:
    """``root``: figures of everything that runs, by the metric's name. Sizes in bytes."""

    cpus: int
    memory: int
    swap: int
    at: datetime
    root: Mapping[str, float]


def read_machine_figures(now: datetime) -> MachineFigures:
    """Raises OSError."""
    memory = memory_info()
    root = {
        "container_cpu_usage_seconds_total": node_cpu_nanos() * _NANO,
        "container_memory_usage_bytes": memory["MemTotal"] - memory["MemFree"],
        "container_memory_working_set_bytes": memory["MemTotal"] - memory_available(memory),
        "container_memory_rss": memory.get("AnonPages", 0),
        "container_memory_cache": memory.get("Cached", 0),
        "container_memory_swap": memory["SwapTotal"] - memory["SwapFree"],
    }
    return MachineFigures(os.cpu_count() or 1, memory["MemTotal"], memory["SwapTotal"], now, root)


# of a pod's container, by the container's id; empty where it is not known
GroupPath = Callable[[Object, str], str]
Row = tuple[Sample, Mapping[str, str], float]

# name, kind, description, further labels, figure; None: it is not known
Figure = tuple[str, str, str, Mapping[str, str], Callable[[ContainerUsage], float | None]]
_COUNTER, _GAUGE, _WHOLE = "counter", "gauge", {"cpu": "total"}
_USAGE: tuple[Figure, ...] = (
    (
        "container_cpu_cfs_periods_total",
        _COUNTER,
        "Number of elapsed enforcement period intervals.",
        {},
        lambda u: u.periods or None,
    ),
    (
        "container_cpu_cfs_throttled_periods_total",
        _COUNTER,
        "Number of throttled period intervals.",
        {},
        lambda u: u.throttled_periods if u.periods else None,
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        _COUNTER,
        "Total time duration the container has been throttled.",
        {},
        lambda u: u.throttled_nanos * _NANO if u.periods else None,
    ),
    (
        "container_cpu_system_seconds_total",
        _COUNTER,
        "Cumulative system cpu time consumed in seconds.",
        {},
        lambda u: u.system_nanos * _NANO,
    ),
    (
        "container_cpu_usage_seconds_total",
        _COUNTER,
        "Cumulative cpu time consumed in seconds.",
        _WHOLE,
        lambda u: u.cpu_nanos * _NANO,
    ),
    (
        "container_cpu_user_seconds_total",
        _COUNTER,
        "Cumulative user cpu time consumed in seconds.",
        {},
        lambda u: u.user_nanos * _NANO,
    ),
    (
        "container_last_seen",
        _GAUGE,
        "Last time a container was seen by the exporter",
        {},
        lambda u: int(u.at.timestamp()) if u.at else None,
    ),
    ("container_memory_cache", _GAUGE, "Number of bytes of page cache memory.", {}, lambda u: u.cache),
    ("container_memory_failcnt", _COUNTER, "Number of memory usage hits limits", {}, lambda u: u.failures),
    ("container_memory_mapped_file", _GAUGE, "Size of memory mapped files in bytes.", {}, lambda u: u.mapped_file),
    (
        "container_memory_max_usage_bytes",
        _GAUGE,
        "Maximum memory usage recorded in bytes",
        {},
        lambda u: u.highest,
    ),
    ("container_memory_rss", _GAUGE, "Size of RSS in bytes.", {}, lambda u: u.rss),
    ("container_memory_swap", _GAUGE, "Container swap usage in bytes.", {}, lambda u: u.swap),
    (
        "container_memory_usage_bytes",
        _GAUGE,
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        {},
        lambda u: u.memory_bytes,
    ),
    ("container_memory_working_set_bytes", _GAUGE, "Current working set in bytes.", {}, lambda u: u.working_set),
    ("container_processes", _GAUGE, "Number of processes running inside the container.", {}, lambda u: u.pids),
)

_DISKS: tuple[tuple[str, str, Callable[[DeviceUsage], int]], ...] = (
    ("container_fs_reads_bytes_total", "Cumulative count of bytes read", lambda d: d.read_bytes),
    ("container_fs_reads_total", "Cumulative count of reads completed", lambda d: d.reads),
    ("container_fs_writes_bytes_total", "Cumulative count of bytes written", lambda d: d.written_bytes),
    ("container_fs_writes_total", "Cumulative count of writes completed", lambda d: d.writes),
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


def _id(sample: Sample, container_id: str, path: GroupPath) -> str:
    return path(sample.pod, container_id) or f"/docker/{container_id}"


def _labels(sample: Sample, path: GroupPath) -> dict[str, str]:
    ref = podspec.ref_of(sample.pod)
    image = (podspec.container_named(sample.pod, sample.container) or {}).get("image", "")
    return {
        "container": sample.container,
        "id": _id(sample, sample.record.id, path),
        "image": image,
        "name": sample.record.id,
        "namespace": ref.namespace,
        "pod": ref.name,
    }


@functools.cache
def device_name(number: tuple[int, int]) -> str:
    """Of a block device; empty where the machine does not know it."""
    found = Path(f"/sys/dev/block/{number[0]}:{number[1]}")
    return f"/dev/{found.resolve().name}" if found.exists() else ""


def _of_sandbox(sample: Sample, path: GroupPath) -> dict[str, str]:
    """A pod's network belongs to its sandbox."""
    name = sample.record.sandbox_id
    return {"container": "", "id": _id(sample, name, path), "image": PAUSE_IMAGE, "name": name}


def _families(samples: list[Sample], path: GroupPath) -> Iterator[tuple[str, str, str, list[Row]]]:
    """Name, kind, description, and the rows with what is added to a sample's labels."""
    for name, kind, text, more, value in _USAGE:
        yield name, kind, text, [(s, more, found) for s in samples if (found := value(s.usage)) is not None]
    for name, text, count in _DISKS:
        yield (
            name,
            _COUNTER,
            text,
            [(s, {"device": device_name(d.number)}, float(count(d))) for s in samples for d in s.usage.devices],
        )
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
                (found[0], {**_of_sandbox(found[0], path), "interface": i.name}, counter(i))
                for found in by_pod(samples).values()
                for i in next((s.usage.interfaces for s in found if s.usage.interfaces), ())
            ],
        )


_ROOT = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}


def cadvisor_metrics(samples: list[Sample] | None, machine: MachineFigures, path: GroupPath) -> str:
    """Containers, pods' networks, the machine under the id ``/``, and what the machine has. ``samples`` is None where the engine
    has told nothing; ``path`` is that of a container's control group."""
    lines = []
    for name, kind, text, rows in _families(samples or [], path):
        shown = [line(name, {**_labels(s, path), **more}, value, s.usage.at) for s, more, value in rows]
        if (root := machine.root.get(name)) is not None:
            shown.append(line(name, {**_ROOT, **(_WHOLE if "cpu_usage" in name else {})}, root, machine.at))
        lines += family(name, kind, text, shown) if shown else []
    for name, text, value in (
        (
            "container_scrape_error",
            "1 if there was an error while getting container metrics, 0 otherwise",
            int(samples is None),
        ),
        ("machine_cpu_cores", "Number of logical CPU cores.", machine.cpus),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", machine.memory),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.", machine.swap),
    ):
        lines += family(name, _GAUGE, text, [line(name, {}, value)])
    return "\n".join(lines) + "\n"
