"""Creating an object: defaults, field ownership, admission, strategy, one transaction.

Order as in k8s.io/apiserver (handlers/create.go, registry/generic/registry/store.go).
"""

from __future__ import annotations

from apiserver.registry.metadata import (
    fill_system_fields,
    generated_name,
    match_namespace,
    prepare_create,
    validate_create,
)
from apiserver.registry.objects import Objects
from apiserver.registry.write import Policies, Write, WriteHooks
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, is_deleting, name_of

_NAME_ATTEMPTS = 8


async def create(
    objects: Objects,
    policies: Policies,
    hooks: WriteHooks,
    write: Write,
    obj: Object,
    namespace: str,
    *,
    tracked: bool = False,
) -> Object:
    """Creates ``obj`` (decoded and defaulted, in the served version); returns it as stored, in the served version.

    ``tracked``: the managed fields are settled already (server-side apply).
    """
    served = write.served
    match_namespace(obj, namespace)
    if obj["metadata"].get("resourceVersion"):
        text = "resourceVersion should not be set on objects to be created"
        raise errors.failure(500, "", text)
    managers = None if tracked else policies.manager_for(served, write.subresource)
    if managers is not None:
        obj = managers.update(None, obj, write.manager, write.subresource, write.now)
    attributes = write.attributes(policies.registries, "CREATE", namespace, name_of(obj), obj)
    if write.admission:
        await policies.admission.mutate(attributes)
        obj = attributes.obj or obj
        served.strategy.default(obj)
    obj = served.to_storage(obj)
    ctx = write.context()
    fill_system_fields(obj, ctx)
    prepare_create(served.kind.strategy, ctx, obj)
    finish = await hooks.begin_create(ctx, obj)
    try:
        validate_create(served.kind, served.kind.strategy, ctx, obj)
        write.warnings += served.kind.strategy.warnings_on_create(ctx, obj)
        if write.admission:
            attributes.obj, attributes.name = served.from_storage(obj), name_of(obj)
            await policies.admission.validate(attributes)
        stored = await _store(objects, obj, dry_run=write.dry_run)
    except BaseException:
        await finish(False)
        raise
    await finish(not write.dry_run)
    return served.from_storage(stored)


async def _store(objects: Objects, obj: Object, *, dry_run: bool) -> Object:
    """A generated name that is taken is generated again."""
    metadata, kind = obj["metadata"], objects.kind
    prefix = metadata.get("generateName") or ""
    generated = bool(prefix) and len(metadata["name"]) == len(generated_name(prefix)) and _suffixed(metadata)
    for attempt in range(_NAME_ATTEMPTS):
        try:
            return await objects.create(obj, kind.ttl, dry_run=dry_run)
        except StatusError as err:
            if not errors.is_already_exists(err):
                raise
            if not generated:
                raise await _about_taken_name(objects, obj, err) from None
            if attempt == _NAME_ATTEMPTS - 1:
                resource = objects.resource
                raise errors.generate_name_conflict(resource.group, resource.plural, metadata["name"]) from None
            metadata["name"] = generated_name(prefix)
    raise AssertionError("unreachable")


async def _about_taken_name(objects: Objects, obj: Object, error: StatusError) -> StatusError:
    """The error also says when the object that has the name is on its way out."""
    try:
        found = await objects.fetch(obj["metadata"].get("namespace") or "", name_of(obj))
    except StatusError:
        return error
    if not is_deleting(found.obj):
        return error
    return StatusError({**error.status, "message": f"object is being deleted: {error.message}"})


def _suffixed(metadata: Object) -> bool:
    return str(metadata["name"]).startswith(metadata["generateName"][: len(metadata["name"]) - 5])
