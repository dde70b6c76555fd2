"""PATCH: JSON patch, merge patch, strategic merge patch and server-side apply.

Order and texts as in k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from apiserver.audit.auditor import log_patch
from apiserver.http.endpoints.base import Call, answer, gvk_of, media_type_of, parameters, write_for
from apiserver.http.endpoints.writes import check_name
from apiserver.http.message import Response
from apiserver.http.negotiation import unsupported_media_type
from apiserver.registry.objects import copy_object
from apiserver.registry.options import WriteParameters
from apiserver.registry.update import own
from apiserver.registry.write import FieldManager, Write
from kubeling.api import errors
from kubeling.api.apply import Configuration, parse_configuration, refuse_repeated_keys
from kubeling.api.errors import StatusError, failure
from kubeling.api.meta import Object
from kubeling.api.patch import PatchKind, patch_object


def patch_types(call: Call) -> tuple[PatchKind, ...]:
    """Custom resources have no strategic merge."""
    if call.served.typed_items:
        return PatchKind.JSON, PatchKind.MERGE, PatchKind.APPLY
    return PatchKind.JSON, PatchKind.MERGE, PatchKind.STRATEGIC, PatchKind.APPLY


def check_routable(call: Call) -> None:
    """Raises 415 as upstream's router does, before anything else, for what is no patch at all."""
    if media_type_of(call.request) not in {kind.value for kind in PatchKind}:
        raise failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def patch_kind(call: Call) -> PatchKind:
    """Raises 415 for a patch that the kind does not take."""
    kind = PatchKind(media_type_of(call.request))
    if kind not in patch_types(call):
        raise unsupported_media_type(tuple(k.value for k in patch_types(call)))
    return kind


async def patch_endpoint(call: Call) -> Response:
    kind = patch_kind(call)
    given = parameters(call, "PatchOptions", apply=kind is PatchKind.APPLY)
    body = await call.request.body()
    log_patch(call.request, body)
    if kind is PatchKind.APPLY:
        return await _apply(call, body, given)
    registry, info, schemas = call.stored, call.request.info, call.parts.schemas
    expected = gvk_of(call.served.resource)
    schema = schemas.of(*expected)

    def make(old: Object) -> Object:
        found = patch_object(kind, body, old, expected, schema, schemas, field_validation=given.validation)
        call.request.warnings += [w for w in found.warnings if w not in call.request.warnings]
        new = own(found.obj)
        new.setdefault("metadata", {})
        check_name(new, info.name)
        call.served.strategy.default(new)
        return new

    write = write_for(call, "PatchOptions", given)
    strategy = registry.strategy_of(info.subresource)
    return answer(call, await registry.update_object(write, call.namespace, info.name, make, strategy))


async def _apply(call: Call, body: bytes, given: WriteParameters) -> Response:
    """Server-side apply creates what is not there."""
    registry, info = call.stored, call.request.info
    write = write_for(call, "PatchOptions", given)
    managers = call.parts.policies.manager_for(call.served, info.subresource)
    if managers is None:
        raise unsupported_media_type(tuple(k.value for k in patch_types(call)))
    intent = parse_configuration(body)

    def make(old: Object | None) -> Object:
        return _applied(call, managers, old, intent, write, given)

    strategy = registry.strategy_of(info.subresource)
    try:
        obj = await registry.update_object(write, call.namespace, info.name, make, strategy, tracked=True)
    except StatusError as err:
        if not errors.is_not_found(err) or info.subresource:
            raise
        created = await registry.create_object(write, make(None), call.namespace, tracked=True)
        return answer(call, created, 201)
    return answer(call, obj)


def _applied(
    call: Call,
    managers: FieldManager,
    live: Object | None,
    intent: Configuration,
    write: Write,
    given: WriteParameters,
) -> Object:
    """The object after the apply; on create the URL says what it is called and versions mean nothing."""
    patch = copy_object(intent.obj)
    new = managers.apply(live, patch, write.manager, bool(given.force), write.subresource, write.now)
    if given.validation == "Strict":
        refuse_repeated_keys(intent)
    elif given.validation == "Warn":
        call.request.warnings += [w for w in intent.warnings if w not in call.request.warnings]
    if new is live:
        new = copy_object(new)
    metadata = new["metadata"]
    metadata.setdefault("name", call.request.info.name)
    check_name(new, call.request.info.name)
    call.served.strategy.default(new)
    if live is None:
        metadata.pop("resourceVersion", None)
    else:
        metadata.setdefault("resourceVersion", live["metadata"]["resourceVersion"])
    return new
