"""From plain counts to Prometheus's text format, written here because ``prometheus_client`` takes seconds for what upstream
has of series. Help texts begin with the stability level, numbers are printed and labels sorted as upstream's are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from apiserver.metrics.histogram import Histogram

Labels = tuple[str, ...]
REQUEST_BUCKETS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def number(value: float) -> str:
    """As Go prints a float: shortest, with an exponent from a million on."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if 1e-4 <= abs(value) < 1e6:
        return repr(float(value))
    digits = len(Decimal(repr(float(value))).normalize().as_tuple().digits)
    return f"{value:.{digits - 1}e}"


def _head(name: str, help_: str, type_: str) -> str:
    return f"# HELP {name} {help_}\n# TYPE {name} {type_}\n"


def _written(names: Sequence[str], values: Labels) -> str:
    """``a="1",b="2"`` in the order of names."""
    return ",".join(f'{n}="{v.translate(_ESCAPED)}"' for n, v in sorted(zip(names, values, strict=True)))


def _samples(name: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]) -> Iterable[str]:
    for label_values, value in values:
        text = _written(labels, label_values)
        yield f"{name}{{{text}}} {number(value)}\n" if text else f"{name} {number(value)}\n"


def counter(name: str, help_: str, labels: Sequence[str], counts: Mapping[Labels, float]) -> str:
    """``name`` without ``_total``."""
    name = f"{name}_total"
    return _head(name, help_, "counter") + "".join(_samples(name, labels, counts.items()))


def gauge(name: str, help_: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]) -> str:
    return _head(name, help_, "gauge") + "".join(_samples(name, labels, values))


def histogram(name: str, help_: str, labels: Sequence[str], found: Mapping[Labels, Histogram]) -> str:
    parts = [_head(name, help_, "histogram")]
    for label_values, histogram_ in found.items():
        text = _written(labels, label_values)
        before, braced = (f"{text},", f"{{{text}}}") if text else ("", "")
        running = 0
        for bound, count in zip(histogram_.bounds, histogram_.counts, strict=False):
            running += count
            parts.append(f'{name}_bucket{{{before}le="{number(bound)}"}} {running}\n')
        total = histogram_.total
        parts.append(f'{name}_bucket{{{before}le="+Inf"}} {total}\n{name}_sum{braced} {number(histogram_.sum)}\n')
        parts.append(f"{name}_count{braced} {total}\n")
    return "".join(parts)
