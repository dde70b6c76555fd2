"""Deleting an object: preconditions, grace, finalizers, propagation.

Model: BeforeDelete of k8s.io/apiserver/pkg/registry/rest and the generic store's Delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from apiserver.kinds.validation.meta import FOREGROUND, ORPHAN
from apiserver.registry.kind import Context, Strategy
from apiserver.registry.metadata import check_preconditions
from apiserver.registry.objects import Objects, Remove, copy_object
from apiserver.registry.write import Policies, Write, WriteHooks
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, parse_time, rfc3339, uid_of


@dataclass(frozen=True, slots=True)
class Deleted:
    """``gone``: the object is no longer there; otherwise ``obj`` is on its way out."""

    obj: Object
    gone: bool


class _Pending(Exception):
    """Deletion is under way already and nothing changes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deletion does to an object: ``obj`` is its state afterwards, ``write`` whether that is stored,
    ``remove`` whether it goes."""

    obj: Object
    write: bool
    remove: bool


def plan(strategy: Strategy, old: Object, options: Object, now: datetime) -> Plan:
    """Decides; pure. ``options`` is a DeleteOptions object."""
    obj = copy_object(old)
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") and strategy.begins_deletion(Context(now), obj):
        return Plan(obj, write=True, remove=False)
    requested = options.get("gracePeriodSeconds")
    if metadata.get("deletionTimestamp"):
        graceful, pending = _shorten(metadata, requested)
    else:
        graceful, pending = _begin(strategy, obj, requested, now), False
    if pending:
        return Plan(obj, write=False, remove=False)
    finalizers = propagation_finalizers(strategy, obj, options)
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    held = not strategy.may_be_removed(obj)
    if not graceful and held:
        _mark(metadata, now)
    if held:
        strategy.prepare_for_delete(Context(now), obj)
    remove = not held and not (graceful and metadata["deletionGracePeriodSeconds"] > 0)
    return Plan(obj, write=graceful or held, remove=remove)


def _begin(strategy: Strategy, obj: Object, requested: int | None, now: datetime) -> bool:
    """Sets the deletion time of a kind that is deleted gracefully."""
    grace = strategy.grace_period(obj, requested)
    if grace is None:
        return False
    metadata = obj["metadata"]
    metadata["deletionTimestamp"] = rfc3339(now + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    _next_generation(metadata)
    return True


def _shorten(metadata: Object, requested: int | None) -> tuple[bool, bool]:
    """(graceful, pending) for an object that is being deleted: its grace period can only become shorter."""
    current = metadata.get("deletionGracePeriodSeconds")
    if not current:
        return False, False
    if requested is None or requested >= current:
        return False, True
    began = parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=current)
    metadata["deletionTimestamp"] = rfc3339(began + timedelta(seconds=requested))
    metadata["deletionGracePeriodSeconds"] = requested
    return True, False


def _mark(metadata: Object, now: datetime) -> None:
    """An object that waits for its finalizers alone."""
    if not metadata.get("deletionTimestamp"):
        _next_generation(metadata)
        metadata["deletionTimestamp"] = rfc3339(now)
    elif parse_time(metadata["deletionTimestamp"]) > now:
        metadata["deletionTimestamp"] = rfc3339(now)
    metadata["deletionGracePeriodSeconds"] = 0


def _next_generation(metadata: Object) -> None:
    if metadata.get("generation"):
        metadata["generation"] += 1


def propagation_finalizers(strategy: Strategy, obj: Object, options: Object) -> list[str]:
    """The object's finalizers with those that the propagation policy asks for, and without those it rules out."""
    existing = list(obj["metadata"].get("finalizers") or ())
    collected = strategy.collects_garbage
    orphan = collected and _orphans(strategy, obj, options, existing)
    foreground = collected and _foreground(options, existing)
    wanted = [f for f in existing if f not in (ORPHAN, FOREGROUND)]
    wanted += [ORPHAN] * orphan + [FOREGROUND] * foreground
    return existing if set(wanted) == set(existing) else wanted


def _orphans(strategy: Strategy, obj: Object, options: Object, existing: list[str]) -> bool:
    if options.get("orphanDependents") is not None:
        return bool(options["orphanDependents"])
    policy = options.get("propagationPolicy")
    if policy:
        return bool(policy == "Orphan")
    if ORPHAN in existing or FOREGROUND in existing:
        return ORPHAN in existing
    return strategy.default_orphan(obj)


def _foreground(options: Object, existing: list[str]) -> bool:
    if options.get("orphanDependents") is not None:
        return False
    policy = options.get("propagationPolicy")
    if policy:
        return bool(policy == "Foreground")
    return FOREGROUND in existing and ORPHAN not in existing


async def delete(
    objects: Objects, policies: Policies, hooks: WriteHooks, write: Write, namespace: str, name: str, options: Object
) -> Deleted:
    """Deletes, or starts to. The result is in the served version."""
    served, strategy = write.served, write.served.kind.strategy
    if write.admission:
        await policies.admission.mutate(write.attributes(policies.registries, "DELETE", namespace, name, None))
    done: Plan | None = None
    before: Object = {}

    async def change(old: Object) -> Object:
        nonlocal done, before
        before = old
        why = check_preconditions(options.get("preconditions"), old)
        if why:
            resource = served.kind.resource  # upstream names the kind here, not the plural
            raise errors.conflict(resource.group, resource.kind, name, why)
        if write.admission:
            shown = served.from_storage(old)
            await policies.admission.validate(
                write.attributes(policies.registries, "DELETE", namespace, name, None, shown)
            )
        done = plan(strategy, old, options, write.now)
        if done.remove and not done.write:
            raise Remove(done.obj)
        return done.obj if done.write else old

    obj = await objects.change(namespace, name, change, dry_run=write.dry_run)
    assert done is not None  # change ran at least once
    write.warnings += strategy.warnings_on_delete(before, options)
    if done.remove and done.write and not write.dry_run:
        obj = await _remove_now(objects, namespace, name, uid_of(before), obj)
    if done.remove and not write.dry_run:
        await hooks.after_delete(before)
    return Deleted(served.from_storage(obj), done.remove)


async def _remove_now(objects: Objects, namespace: str, name: str, uid: str, written: Object) -> Object:
    """The second half of a deletion without grace: whoever removed it meanwhile did no harm."""

    async def change(old: Object) -> Object:
        if uid_of(old) != uid:
            return old
        raise Remove(old)

    try:
        return await objects.change(namespace, name, change)
    except StatusError as err:
        if not errors.is_not_found(err):
            raise
        return written
