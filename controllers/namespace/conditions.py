"""What a dying namespace tells about the rest of its content. Pure; texts are upstream's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubeling.api.meta import Object, with_condition


@dataclass
class Remains:
    """What one round of deletion left: instances by resource, by finalizer, failures, seconds worth waiting."""

    instances: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    discovery: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: int = 0

    @property
    def clean(self) -> bool:
        return not (self.instances or self.failures or self.discovery)


_INCOMPLETE = "unable to retrieve the complete list of server APIs"

# type: (reason, message) while all is well
_FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


def conditions_of(remains: Remains, before: list[Object], now: datetime) -> list[Object]:
    """All five conditions; one that does not change keeps its transition time."""
    wrong = _wrong(remains)
    conditions = list(before)
    for type_, (reason, message) in _FINE.items():
        if type_ in wrong:
            conditions = with_condition(conditions, type_, "True", now, *wrong[type_])
        else:
            conditions = with_condition(conditions, type_, "False", now, reason, message)
    return conditions


def _wrong(remains: Remains) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    if remains.discovery:
        parts = ", ".join(f"{gv}: {why}" for gv, why in sorted(remains.discovery.items()))
        text = f"Discovery failed for some groups, {len(remains.discovery)} failing: {_INCOMPLETE}: {parts}"
        found["NamespaceDeletionDiscoveryFailure"] = ("DiscoveryFailed", text)
    if remains.failures:
        parts = ", ".join(sorted(remains.failures))
        text = f"Failed to delete all resource types, {len(remains.failures)} remaining: {parts}"
        found["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", text)
    if remains.instances:
        parts = ", ".join(f"{name} has {n} resource instances" for name, n in sorted(remains.instances.items()))
        found["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {parts}")
    if remains.finalizers:
        parts = ", ".join(f"{name} in {n} resource instances" for name, n in sorted(remains.finalizers.items()))
        text = f"Some content in the namespace has finalizers remaining: {parts}"
        found["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", text)
    return found
