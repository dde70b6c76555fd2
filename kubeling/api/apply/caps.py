"""The limit on updating managers: beyond it, the oldest are joined under one name."""

from __future__ import annotations

from kubeling.api.apply.fieldset import union
from kubeling.api.apply.managed import UPDATE, Identity, Managed, Ownership

MAX_UPDATERS = 10
OLD_UPDATERS = "ancient-changes"


def cap_updaters(managed: Managed, limit: int = MAX_UPDATERS) -> Managed:
    """The table with at most ``limit`` updating managers: the oldest of each version become ``ancient-changes``."""
    updaters = [who for who in managed.owners if who.operation == UPDATE]
    if len(updaters) <= limit:
        return managed
    result = managed.copy()
    updaters.sort(key=lambda who: (managed.owners[who].time, who))
    first: dict[str, Identity] = {}
    count = len(updaters)
    for who in updaters:
        if count <= limit:
            break
        owned = managed.owners[who]
        version = owned.api_version
        if version not in first:
            first[version] = who
            continue
        bucket = Identity(OLD_UPDATERS, UPDATE, version, "")
        if bucket not in result.owners:
            result.owners[bucket] = result.owners.pop(first[version])
        fields = union(owned.fields, result.owners[bucket].fields)
        if who != bucket:
            result.owners.pop(who, None)
        result.owners[bucket] = Ownership(version, fields, owned.time)
        count -= 1
    return result
