"""A profile: the plugins that decide for the pods of one scheduler name, sorted by extension point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scheduler.framework.plugin import (
    BindPlugin,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    QueueSortPlugin,
    ReservePlugin,
    ScorePlugin,
)

POINTS: dict[str, Any] = {
    "preEnqueue": PreEnqueuePlugin,
    "queueSort": QueueSortPlugin,
    "filter": FilterPlugin,
    "postFilter": PostFilterPlugin,
    "score": ScorePlugin,
    "reserve": ReservePlugin,
    "permit": PermitPlugin,
    "preBind": PreBindPlugin,
    "bind": BindPlugin,
}
# upstream's points that are one with another here
ALIASES = {"preFilter": "filter", "preScore": "score"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A plugin of a profile: its class, its weight when it scores, and the points at which it is turned off."""

    plugin: type[Plugin]
    weight: int = 1
    off: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    @property
    def name(self) -> str:
        return self.plugin.name

    def active(self, point: str) -> bool:
        return point not in self.off and (self.only is None or point in self.only)


P = TypeVar("P")


@dataclass
class Profile:
    """The plugins made, by extension point in order. Build it with ``Profile.of``."""

    name: str
    plugins: dict[str, Plugin]
    weights: dict[str, int]
    percentage: int = 0
    by_point: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        entries: Iterable[Entry],
        *,
        name: str = "default-scheduler",
        args: Mapping[str, Mapping[str, Any]] | None = None,
        percentage: int = 0,
    ) -> Profile:
        """Makes each plugin once, with its section of ``args``; ``percentage`` of nodes to score, 0 is adaptive."""
        listed = list(entries)
        made = {e.name: e.plugin((args or {}).get(e.name) or {}) for e in listed}
        by_point = {
            point: tuple(made[e.name] for e in listed if e.active(point) and isinstance(made[e.name], kind))
            for point, kind in POINTS.items()
        }
        return cls(name, made, {e.name: e.weight for e in listed}, percentage, by_point)

    @property
    def pre_enqueue(self) -> tuple[PreEnqueuePlugin, ...]:
        return self.by_point["preEnqueue"]

    @property
    def queue_sort(self) -> QueueSortPlugin:
        sorter: QueueSortPlugin = self.by_point["queueSort"][0]
        return sorter

    @property
    def filters(self) -> tuple[FilterPlugin, ...]:
        return self.by_point["filter"]

    @property
    def post_filters(self) -> tuple[PostFilterPlugin, ...]:
        return self.by_point["postFilter"]

    @property
    def scorers(self) -> tuple[ScorePlugin, ...]:
        return self.by_point["score"]

    @property
    def reservers(self) -> tuple[ReservePlugin, ...]:
        return self.by_point["reserve"]

    @property
    def permitters(self) -> tuple[PermitPlugin, ...]:
        return self.by_point["permit"]

    @property
    def pre_binders(self) -> tuple[PreBindPlugin, ...]:
        return self.by_point["preBind"]

    @property
    def binders(self) -> tuple[BindPlugin, ...]:
        return self.by_point["bind"]
