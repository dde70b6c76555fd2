"""Defaults of old versions, where they differ from those of the stored ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apiserver.kinds.strategies import default_to
from apiserver.registry.kind import Strategy
from kubeling.api.meta import Object

Default = Callable[[Object], None]
"""Sets defaults in an object's spec."""

_UNLIMITED = 2**31 - 1


class LegacyStrategy(Strategy):
    """The defaults of an old version: first its own, then those that it has in common with the stored one."""

    def __init__(self, stored: Strategy, defaults: Sequence[Default]) -> None:
        self._stored = stored
        self._defaults = tuple(defaults)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {}) if self._defaults else {}
        for default in self._defaults:
            default(spec)
        self._stored.default(obj)


def selector_of_template(spec: Object) -> None:
    """Without a selector, the template's labels are it."""
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and spec.get("selector") is None:
        spec["selector"] = {"matchLabels": dict(labels)}


def extensions_deployment(spec: Object) -> None:
    """One pod more or less at a time, no deadline, all of the history."""
    _rolling(spec, 1)
    default_to(spec, "progressDeadlineSeconds", _UNLIMITED)
    default_to(spec, "revisionHistoryLimit", _UNLIMITED)


def apps_v1beta1_deployment(spec: Object) -> None:
    default_to(spec, "revisionHistoryLimit", 2)


def on_delete(spec: Object) -> None:
    """Pods are replaced when the user deletes them."""
    strategy = spec["updateStrategy"] = spec.get("updateStrategy") or {}
    if not strategy.get("type"):
        strategy["type"] = "OnDelete"


def path_types(spec: Object) -> None:
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            default_to(path, "pathType", "ImplementationSpecific")


def _rolling(spec: Object, value: int | str) -> None:
    strategy = spec["strategy"] = spec.get("strategy") or {}
    if (strategy.get("type") or "RollingUpdate") == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        default_to(rolling, "maxUnavailable", value)
        default_to(rolling, "maxSurge", value)
