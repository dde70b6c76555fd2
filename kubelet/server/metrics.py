"""Prometheus text of usage: /metrics/resource."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from kubelet.node.machine import memory_info
from kubelet.node.signals import memory_available
from kubelet.pods import spec as podspec
from kubelet.runtime.records import ContainerUsage
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


def family(name: str, kind: str, text: str, lines: Iterable[str]) -> list[str]:
    """One metric; ``text`` begins with its stability where it has one."""
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]


def _labels(sample: Sample) -> dict[str, str]:
    ref = podspec.ref_of(sample.pod)
    return {"container": sample.container, "namespace": ref.namespace, "pod": ref.name}


_CPU, _MEMORY = "Cumulative cpu time consumed by the {} in core-seconds", "Current working set of the {} in bytes"
_SWAP = "Current amount of the {} swap usage in bytes. Reported only on non-windows systems"
# of containers and of pods: the end of the name, kind, description, figure
_FIGURES: tuple[tuple[str, str, str, Callable[[ContainerUsage], float]], ...] = (
    ("cpu_usage_seconds_total", "counter", f"[STABLE] {_CPU}", lambda u: u.cpu_nanos * _NANO),
    ("memory_working_set_bytes", "gauge", f"[STABLE] {_MEMORY}", lambda u: u.working_set),
    ("swap_usage_bytes", "gauge", f"[ALPHA] {_SWAP}", lambda u: u.swap or 0),
)


def resource_metrics(samples: Sequence[Sample], now: datetime) -> str:
    """What metrics-server reads: CPU, memory and swap of the node, of containers and of pods, each with the time of its sample."""
    by_name: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        ref = podspec.ref_of(sample.pod)
        by_name.setdefault((ref.namespace, ref.name), []).append(sample)
    lines: list[str] = []
    for end, kind, text, figure in _FIGURES:
        name = f"container_{end}"
        rows = [line(name, _labels(s), figure(s.usage), s.usage.at) for s in samples if _has(s, end)]
        lines += family(name, kind, text.format("container"), rows) if rows else []
    name = "container_start_time_seconds"
    started = [line(name, _labels(s), s.started.timestamp()) for s in samples if s.started]
    text = "[STABLE] Start time of the container since unix epoch in seconds"
    lines += family(name, "gauge", text, started) if started else []
    lines += _of_node(now)
    for end, kind, text, figure in _FIGURES:
        name = f"pod_{end}"
        rows = [
            line(name, {"namespace": n, "pod": p}, sum(figure(s.usage) for s in found), _newest(found))
            for (n, p), found in by_name.items()
            if all(_has(s, end) for s in found)
        ]
        lines += family(name, kind, text.format("pod"), rows) if rows else []
    return "\n".join([*lines, *_scraped(failed=False)]) + "\n"


def failed_scrape() -> str:
    """Instead of figures, when the engine does not tell any."""
    return "\n".join(_scraped(failed=True)) + "\n"


def _has(sample: Sample, end: str) -> bool:
    return not end.startswith("swap") or sample.usage.swap is not None


def _newest(samples: Iterable[Sample]) -> datetime | None:
    return max((s.usage.at for s in samples if s.usage.at), default=None)


def _of_node(now: datetime) -> list[str]:
    memory = memory_info()
    figures = (
        ("node_cpu_usage_seconds_total", "counter", f"[STABLE] {_CPU.format('node')}", node_cpu_nanos() * _NANO),
        (
            "node_memory_working_set_bytes",
            "gauge",
            f"[STABLE] {_MEMORY.format('node')}",
            memory["MemTotal"] - memory_available(memory),
        ),
        (
            "node_swap_usage_bytes",
            "gauge",
            "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems",
            memory["SwapTotal"] - memory["SwapFree"],
        ),
    )
    return [t for name, kind, text, value in figures for t in family(name, kind, text, [line(name, {}, value, now)])]


def _scraped(*, failed: bool) -> list[str]:
    name, text = "resource_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise"
    return family(name, "gauge", f"[STABLE] {text}", [line(name, {}, int(failed))])


def health_slis(checks: Sequence[str], wrong: Collection[str], made: Mapping[tuple[str, str], int]) -> str:
    """/metrics/slis: each health check as it is now, and how often each was ``made``, by name and status."""
    rows = [line("kubernetes_healthcheck", {"name": c, "type": "healthz"}, float(c not in wrong)) for c in checks]
    name, text = "kubernetes_healthcheck", "This metric records the result of a single healthcheck."
    lines = family(name, "gauge", f"[STABLE] {text}", rows)
    name, text = "kubernetes_healthchecks_total", "This metric records the results of all healthcheck."
    rows = [line(name, {"name": c, "status": s, "type": "healthz"}, count) for (c, s), count in made.items()]
    lines += family(name, "counter", f"[STABLE] {text}", rows) if rows else []
    return "\n".join(lines) + "\n"
