"""Rounds: a container's end may ask for all containers of its pod to run anew (the rule RestartAllContainers).

A container carries the round that it was started in. Its creation does not tell: one that was about to be made when another
asked for the next round still belongs to the old one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from kubelet.pods import spec as podspec
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubeling.api.meta import Object

ROUND_LABEL = "kubeling.round"  # when it began, in ISO format; containers of the first have none
_FIRST = datetime.min.replace(tzinfo=UTC)


def round_begun(pod: Object, observed: PodRecord, sandbox_id: str) -> datetime | None:
    """When a container last ended so that its rules ask for all containers to run anew; None if never."""
    named = {c["name"]: c for c in [*podspec.init_containers(pod), *podspec.containers(pod)]}
    return max(
        (
            r.finished_at
            for r in observed.containers
            if r.sandbox_id == sandbox_id and r.state is State.EXITED and r.finished_at is not None and r.name in named
            if podspec.rule_action(named[r.name], r.exit_code) == podspec.RESTART_ALL
        ),
        default=None,
    )


def round_label(begun: datetime | None) -> dict[str, str]:
    """What a container that is started in the round carries."""
    return {ROUND_LABEL: begun.isoformat()} if begun else {}


def is_stale(record: ContainerRecord, begun: datetime | None) -> bool:
    """Whether that run belongs to an earlier round than the one that began then."""
    if begun is None:
        return False
    label = record.labels.get(ROUND_LABEL)
    return (datetime.fromisoformat(label) if label else _FIRST) < begun


def to_renew(pod: Object, observed: PodRecord) -> frozenset[str]:
    """Names of the containers that run anew in the present round, whatever their own policies say, and have not begun to."""
    sandbox = observed.sandbox
    begun = round_begun(pod, observed, sandbox.id) if sandbox else None
    if begun is None:
        return frozenset()
    named = [c["name"] for c in [*podspec.init_containers(pod), *podspec.containers(pod)]]
    latest = ((name, observed.latest(name)) for name in named)
    return frozenset(name for name, record in latest if record is not None and is_stale(record, begun))
