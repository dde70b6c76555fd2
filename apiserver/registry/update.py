"""Changing an object: PUT, patches, apply and subresources are all functions from the old object to the new one.

Order as in k8s.io/apiserver (handlers/update.go and patch.go, registry/rest/update.go).
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver.registry.kind import Strategy
from apiserver.registry.metadata import match_namespace, prepare_update, validate_update
from apiserver.registry.objects import Objects, Remove, copy_object
from apiserver.registry.write import Finish, Policies, Write, WriteHooks
from kubeling.api import errors, fields
from kubeling.api.fields import Path
from kubeling.api.meta import Object

Make = Callable[[Object], Object]
"""The wanted object for the old one, both in the served version, defaulted; managed fields already settled when
``tracked`` says so. Must return an object of its own that may be changed."""


def check_version(objects: Objects, strategy: Strategy, new: Object, old: Object, name: str) -> None:
    """Optimistic concurrency: the resourceVersion that the new object carries must be the stored one's."""
    metadata, before = new["metadata"], old["metadata"]
    version = _version(metadata.get("resourceVersion") or "")
    if version == "0":
        if not strategy.allow_unconditional_update:
            error = fields.invalid(Path("metadata", "resourceVersion"), 0, "must be specified for an update")
            raise errors.invalid(objects.resource.group, objects.resource.plural, name, [error])
    elif version != before["resourceVersion"]:
        raise objects.conflict(name)
    metadata["resourceVersion"] = before["resourceVersion"]


def _version(text: str) -> str:
    """Upstream reads the version as a number, without one as 0, and does not expect to fail."""
    if not text:
        return "0"
    if not (text.isascii() and text.isdigit()):
        raise errors.failure(500, "", f"strconv.ParseUint: parsing {fields.quoted(text)}: invalid syntax")
    if int(text) >= 1 << 64:
        raise errors.failure(500, "", f"strconv.ParseUint: parsing {fields.quoted(text)}: value out of range")
    return str(int(text))


def check_uid(objects: Objects, uid: str, old: Object, namespace: str, name: str) -> None:
    """A PUT means the object with the uid that it carries. Raises 409."""
    if uid and uid != old["metadata"].get("uid"):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata'].get('uid', '')}"
        where = f"Key: {objects.path(namespace, name)}, ResourceVersion: 0"
        raise objects.conflict(name, f"StorageError: invalid object, Code: 4, {where}, AdditionalErrorMsg: {why}")


async def update(
    objects: Objects,
    policies: Policies,
    hooks: WriteHooks,
    write: Write,
    namespace: str,
    name: str,
    make: Make,
    strategy: Strategy,
    *,
    tracked: bool = False,
    uid: str = "",
) -> Object:
    """Applies ``make`` and writes the result; returns the object as stored, in the served version.

    ``tracked``: ``make`` has settled the managed fields already. ``uid``: the object must have this one, if any.
    """
    served, ctx = write.served, write.context()
    managers = None if tracked else policies.manager_for(served, write.subresource)
    finish: Finish | None = None

    async def change(old: Object) -> Object:
        nonlocal finish
        if finish is not None:
            await finish(False)
            finish = None
        check_uid(objects, uid, old, namespace, name)
        shown = served.from_storage(old)
        new = make(shown)
        match_namespace(new, namespace)
        check_version(objects, strategy, new, old, name)
        if managers is not None:
            new = managers.update(shown, new, write.manager, write.subresource, write.now)
        attributes = write.attributes(policies.registries, "UPDATE", namespace, name, new, shown)
        if write.admission:
            await policies.admission.mutate(attributes)
            new = attributes.obj or new
            served.strategy.default(new)
        new = served.to_storage(new)
        prepare_update(served.kind, strategy, ctx, new, old)
        finish = await hooks.begin_update(ctx, new, old)
        validate_update(served.kind, strategy, ctx, new, old)
        write.warnings += [w for w in strategy.warnings_on_update(ctx, new, old) if w not in write.warnings]
        if write.admission:
            attributes.obj = served.from_storage(new)
            await policies.admission.validate(attributes)
        if removable(served.kind.strategy, new):
            raise Remove(new)
        return new

    try:
        stored = await objects.change(namespace, name, change, dry_run=write.dry_run, ttl=served.kind.ttl)
    except BaseException:
        if finish is not None:
            await finish(False)
        raise
    if finish is not None:
        await finish(not write.dry_run)
    return served.from_storage(stored)


def removable(strategy: Strategy, obj: Object) -> bool:
    """A deleted object whose last finalizer goes, goes with it."""
    metadata = obj["metadata"]
    return bool(
        metadata.get("deletionTimestamp")
        and not metadata.get("deletionGracePeriodSeconds")
        and strategy.may_be_removed(obj)
    )


def own(obj: Object) -> Object:
    """A copy that may be changed."""
    return copy_object(obj)
