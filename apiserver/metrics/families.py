"""From plain counts to metric families; help texts begin with the stability level, as upstream's do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apiserver.metrics.histogram import Histogram

Labels = tuple[str, ...]
REQUEST_BUCKETS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip


def counter(name: str, help_: str, labels: Sequence[str], counts: Mapping[Labels, float]) -> Metric:
    """``name`` without ``_total``."""
    family = CounterMetricFamily(name, help_, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def gauge(name: str, help_: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def histogram(name: str, help_: str, labels: Sequence[str], found: Mapping[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=labels)
    for values, histogram_ in found.items():
        family.add_metric(values, histogram_.buckets(), histogram_.sum)
    return family
