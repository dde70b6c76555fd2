"""Numbers of a rollout: surge, unavailability, sums over ReplicaSets. Pure.

Source of the rules: the Deployment documentation and kubernetes/pkg/controller/deployment/util.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.lib.numbers import scaled
from kubeling.api.meta import Object, annotations_of, name_of, uid_of

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"


def size(obj: Object) -> int:
    """``spec.replicas``; 1 where it is missing."""
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def count(obj: Object, field: str) -> int:
    """A number of the status; 0 where it is missing."""
    return int(_status(obj).get(field) or 0)


def _status(obj: Object) -> Object:
    return obj.get("status") or {}


def is_rolling(deployment: Object) -> bool:
    return bool(((deployment["spec"].get("strategy") or {}).get("type") or "RollingUpdate") == "RollingUpdate")


def bounds(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods; never both 0."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    total = size(deployment)
    surge = scaled(rolling.get("maxSurge", 0), total, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 0), total, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Object) -> int:
    return bounds(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """Never more than the wanted replicas; 0 for Recreate."""
    if not is_rolling(deployment) or size(deployment) == 0:
        return 0
    return min(bounds(deployment)[1], size(deployment))


def total_size(replica_sets: Iterable[Object]) -> int:
    return sum(size(rs) for rs in replica_sets)


def total_count(replica_sets: Iterable[Object], field: str) -> int:
    return sum(count(rs, field) for rs in replica_sets)


def total_terminating(replica_sets: Iterable[Object]) -> int | None:
    """How many pods are on their way out; None where a ReplicaSet that has been looked at does not tell."""
    told = [rs for rs in replica_sets if count(rs, "observedGeneration") or "terminatingReplicas" in _status(rs)]
    if any(_status(rs).get("terminatingReplicas") is None for rs in told):
        return None
    return total_count(told, "terminatingReplicas")


def active(replica_sets: Iterable[Object]) -> list[Object]:
    """Those that want at least one pod."""
    return [rs for rs in replica_sets if size(rs) > 0]


def available(rs: Object) -> int:
    """How many available pods the ReplicaSet will keep: its status may still count some that it is about to delete."""
    return min(count(rs, "availableReplicas"), size(rs))


def is_observed(rs: Object) -> bool:
    """True when the ReplicaSet's controller has acted on its spec as it stands."""
    return int(rs["metadata"].get("generation") or 0) <= count(rs, "observedGeneration")


def occupied(rs: Object) -> int:
    """How many pods the ReplicaSet has or is about to have: those that it has yet to delete still take their place."""
    return max(count(rs, "replicas"), size(rs))


def by_age(replica_sets: Iterable[Object]) -> list[Object]:
    """Oldest first; by name among those of one second."""
    return sorted(replica_sets, key=lambda rs: (rs["metadata"].get("creationTimestamp") or "", name_of(rs)))


def size_of_new(deployment: Object, replica_sets: Sequence[Object], new: Object | None) -> int:
    """To what the new ReplicaSet may grow now, among all the ReplicaSets of the deployment (the new one included)."""
    wanted, current = size(deployment), 0 if new is None else size(new)
    if not is_rolling(deployment):
        return wanted
    others = (rs for rs in replica_sets if new is None or uid_of(rs) != uid_of(new))
    if not all(is_observed(rs) for rs in others):
        return current  # one that does not know its size yet may still be making the pods of a greater one
    room = wanted + max_surge(deployment) - sum(occupied(rs) for rs in replica_sets)
    if room <= 0:
        return current
    return current + min(room, wanted - current)


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """True when the new ReplicaSet alone has all that is wanted, available."""
    if new is None:
        return False
    wanted = size(deployment)
    return size(new) == wanted and annotations_of(new).get(DESIRED) == str(wanted) == str(
        count(new, "availableReplicas")
    )


def proportional(deployment: Object, new: Object | None, old: Sequence[Object]) -> dict[str, int]:
    """Sizes by uid when a deployment is scaled in the middle of a rollout: every ReplicaSet gets its share."""
    running = active([*old, *([new] if new is not None else [])])
    wanted = size(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - total_size(running)
    oldest_first = by_age(running)
    ordered = sorted(oldest_first[::-1] if to_add > 0 else oldest_first, key=size, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for rs in ordered:
        share = _share(deployment, rs, to_add, added) if to_add else 0
        sizes[uid_of(rs)] = size(rs) + share
        added += share
    if ordered and to_add:
        first = uid_of(ordered[0])
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(deployment: Object, rs: Object, to_add: int, added: int) -> int:
    if size(rs) == 0 or to_add == added:
        return 0
    wish, allowed = _fraction(deployment, rs), to_add - added
    return min(wish, allowed) if to_add > 0 else max(wish, allowed)


def _fraction(deployment: Object, rs: Object) -> int:
    """How much the ReplicaSet would grow if it kept its part of the whole."""
    wanted = size(deployment)
    if wanted == 0:
        return -size(rs)
    before = annotations_of(rs).get(MAX, "")
    base = int(before) if before.isdigit() and int(before) else count(deployment, "replicas")
    if base == 0:
        return 0
    grown = size(rs) * (wanted + max_surge(deployment)) / base
    return int(grown + 0.5) - size(rs)
