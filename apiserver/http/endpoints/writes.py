"""create, update, delete, deletecollection."""

from __future__ import annotations

import asyncio

from apiserver.audit.auditor import log_request
from apiserver.http.encoding import wanted_by
from apiserver.http.endpoints.base import (
    Call,
    answer,
    bytes_response,
    gvk_of,
    parameters,
    read_body,
    read_object,
    view_of,
    write_for,
)
from apiserver.http.message import Response
from apiserver.registry.delete import Deleted
from apiserver.registry.listing import list_entries
from apiserver.registry.objects import copy_object
from apiserver.registry.options import WriteParameters, boolean, first, integer, list_options, validate_dry_run
from apiserver.registry.update import check_uid
from kubeling.api import errors, fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of, uid_of
from kubeling.api.schema import ObjectSchema
from kubeling.api.schema.body import GVK, decode_body

_DELETE_WORKERS = 5
_DELETE_OPTIONS = GVK("", "v1", "DeleteOptions")


async def create_object(call: Call) -> Response:
    given = parameters(call, "CreateOptions")
    obj = await read_object(call, gvk_of(call.served.resource), given.validation)
    call.served.strategy.default(obj)
    log_request(call.request.audit, obj)
    write = write_for(call, "CreateOptions", given)
    return answer(call, await call.stored.create_object(write, obj, call.namespace), 201)


def check_name(obj: Object, name: str) -> None:
    """The body's name must be the URL's. Raises 400."""
    own = name_of(obj)
    if not own:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if own != name:
        raise errors.bad_request(f"the name of the object ({own}) does not match the name on the URL ({name})")


async def update_object(call: Call) -> Response:
    """PUT on the object, or on a subresource that is an update of it."""
    info, registry = call.request.info, call.stored
    given = parameters(call, "UpdateOptions")
    obj = await read_object(call, gvk_of(call.served.resource), given.validation)
    check_name(obj, info.name)
    call.served.strategy.default(obj)
    log_request(call.request.audit, obj)
    write = write_for(call, "UpdateOptions", given)
    strategy = registry.strategy_of(info.subresource)
    try:
        updated = await registry.update_object(
            write, call.namespace, info.name, lambda _: copy_object(obj), strategy, uid=uid_of(obj)
        )
    except errors.StatusError as err:
        if not (errors.is_not_found(err) and strategy.allow_create_on_update and not info.subresource):
            raise
        check_uid(registry.objects, uid_of(obj), {"metadata": {}}, call.namespace, info.name)
        obj["metadata"].pop("resourceVersion", None)  # that of an object that is no more
        return answer(call, await registry.create_object(write, obj, call.namespace), 201)
    return answer(call, updated)


async def delete_object(call: Call) -> Response:
    options = await delete_options(call)
    deleted = await _delete(call, call.request.info.name, options)
    return answer(call, deletion_answer(call, deleted), deletion_status(deleted, options))


async def _delete(call: Call, name: str, options: Object) -> Deleted:
    given = WriteParameters(bool(options.get("dryRun")))
    write = write_for(call, "DeleteOptions", given, options)
    return await call.stored.delete_object(write, call.namespace, name, copy_object(options))


def deletion_status(deleted: Deleted, options: Object) -> int:
    return 202 if not deleted.gone and options.get("orphanDependents") is False else 200


def deletion_answer(call: Call, deleted: Deleted) -> Object:
    """The object while it is still there (or the kind says so), else a Status."""
    if not deleted.gone or call.kind.returns_deleted:
        return deleted.obj
    resource = call.kind.resource
    details: Object = {"name": name_of(deleted.obj)}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "uid": uid_of(deleted.obj)}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def delete_collection(call: Call) -> Response:
    request, registry = call.request, call.stored
    options = await delete_options(call)
    chosen = list_options(request.query, call.kind, call.served.resource.api_version, watch=False)
    listing = await list_entries(registry.objects, call.namespace, chosen)
    limit = asyncio.Semaphore(_DELETE_WORKERS)

    async def one(namespace: str, name: str) -> None:
        async with limit:
            write = write_for(call, "DeleteOptions", WriteParameters(bool(options.get("dryRun"))), options)
            try:
                await registry.delete_object(write, namespace, name, copy_object(options))
            except errors.StatusError as err:
                if not errors.is_not_found(err):
                    raise

    await asyncio.gather(*(one(e.namespace, e.name) for e in listing.entries))
    wanted = wanted_by(request)
    return bytes_response(view_of(call, wanted, many=True).many(listing), wanted)


class _AnyGroup:
    """DeleteOptions come in the group of any kind: they are one type."""

    def __init__(self, schema: ObjectSchema) -> None:
        self._schema = schema

    def has(self, group: str, version: str, kind: str) -> bool:
        return kind == _DELETE_OPTIONS.kind

    def of(self, group: str, version: str, kind: str) -> ObjectSchema:
        return self._schema


async def delete_options(call: Call) -> Object:
    """From the body, or else from the query. Raises 400 and 422."""
    body, yaml = await read_body(call, "DeleteOptions") if call.request.has_body else (b"", False)
    if body:
        schemas = call.parts.schemas
        schema = schemas.of(*_DELETE_OPTIONS)
        options = decode_body(
            body, _DELETE_OPTIONS, schema, _AnyGroup(schema), yaml=yaml, field_validation="Ignore"
        ).obj
        log_request(call.request.audit, options)
    else:
        options = _options_of_query(call)
    found = _validate(options)
    if found:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", found)
    return options


def _options_of_query(call: Call) -> Object:
    query = call.request.query
    options: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    grace, orphan = integer(query, "gracePeriodSeconds"), boolean(query, "orphanDependents")
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if orphan is not None:
        options["orphanDependents"] = orphan
    if first(query, "propagationPolicy"):
        options["propagationPolicy"] = first(query, "propagationPolicy")
    if query.get("dryRun"):
        options["dryRun"] = list(query["dryRun"])
    return options


def _validate(options: Object) -> ErrorList:
    found: ErrorList = []
    policy, at = options.get("propagationPolicy"), Path("propagationPolicy")
    if options.get("orphanDependents") is not None and policy is not None:
        found.append(fields.invalid(at, policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        found.append(fields.not_supported(at, policy, ["Foreground", "Background", "Orphan", "nil"]))
    return found + validate_dry_run(options.get("dryRun") or [])
