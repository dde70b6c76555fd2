"""Why a pod does not fit, and how that is told. Wording and order are upstream's (FitError)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rejection:
    """A plugin's no. ``final``: evicting pods from the node would not help (upstream's UnschedulableAndUnresolvable)."""

    reasons: tuple[str, ...]
    final: bool = False
    plugin: str = ""

    @property
    def message(self) -> str:
        return ", ".join(self.reasons)


def reject(reason: str, *, final: bool = False, plugin: str = "") -> Rejection:
    return Rejection((reason,), final, plugin)


class PluginError(Exception):
    """A plugin cannot say yes or no: this attempt to schedule the pod ends with the text as a scheduler's error."""


NO_NODES = "no nodes available to schedule pods"


@dataclass(slots=True)
class Diagnosis:
    """What kept a pod from every node.

    ``by_node`` holds the nodes that were looked at, ``absent`` stands for all others; ``prefilter`` is the no that made looking
    at nodes needless. ``postfilter`` is what became of the attempt to make place.
    """

    nodes: int
    by_node: dict[str, Rejection] = field(default_factory=dict)
    absent: Rejection | None = None
    prefilter: Rejection | None = None
    postfilter: str = ""

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that said no."""
        found = [
            *self.by_node.values(),
            *([self.absent] if self.absent else []),
            *([self.prefilter] if self.prefilter else []),
        ]
        return frozenset(p for r in found for p in r.plugin.split(",") if p)

    def rejection(self, node: str) -> Rejection | None:
        """Why not this node."""
        return self.prefilter or self.by_node.get(node) or self.absent

    def message(self) -> str:
        """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: ...``"""
        if self.nodes == 0:
            return NO_NODES
        text = f"0/{self.nodes} nodes are available:"
        if self.prefilter is not None:
            text += f" {self.prefilter.message}."
        elif reasons := self._reasons():
            text += f" {', '.join(sorted(f'{count} {reason}' for reason, count in reasons.items()))}."
        return f"{text} {self.postfilter}" if self.postfilter else text

    def _reasons(self) -> Counter[str]:
        reasons = Counter(reason for rejection in self.by_node.values() for reason in rejection.reasons)
        others = self.nodes - len(self.by_node)
        if self.absent is not None and others > 0:
            for reason in self.absent.reasons:
                reasons[reason] += others
        return reasons
