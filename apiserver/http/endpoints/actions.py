"""Subresources and kinds that do something else than read and write stored objects: the bridge to their handlers."""

from __future__ import annotations

from typing import Any

from apiserver.audit.auditor import log_request
from apiserver.http.endpoints.base import Call, answer, gvk_of, parameters, read_object, write_for
from apiserver.http.message import Response
from apiserver.ownership import manager_of
from apiserver.registry.actions import ActionRequest, ActionResult, Handler
from apiserver.registry.admission import AdmissionAttributes
from apiserver.registry.facade import WriteOptions
from apiserver.registry.options import WriteParameters
from kubeling.api.meta import Object, name_of
from kubeling.api.schema.body import GVK

_CONNECTS = ("attach", "exec", "portforward", "proxy")
"""Subresources whose options come in the query and whose traffic goes on to somewhere else."""


def target_of(call: Call) -> GVK:
    """The kind of the body: the subresource's own, else the resource's."""
    resource = call.served.resource
    subresource = call.served.subresource(call.request.info.subresource)
    if subresource is None or not subresource.kind:
        return gvk_of(resource)
    if subresource.version:
        return GVK(subresource.group, subresource.version, subresource.kind)
    return GVK(resource.group, resource.version, subresource.kind)


def older_of(call: Call, target: GVK) -> tuple[GVK, ...]:
    """The target in the older versions in which its body may come."""
    subresource = call.served.subresource(call.request.info.subresource)
    older = subresource.older if subresource is not None else ()
    found = (GVK(target.group, version, target.kind) for version in older)
    return tuple(gvk for gvk in found if call.parts.schemas.has(*gvk))


async def act(call: Call, handler: Handler) -> Response:
    """Reads the body, asks admission, hands over."""
    request, parts = call.request, call.parts
    connects = request.info.subresource in _CONNECTS
    target = target_of(call)
    given = WriteParameters()
    body: Object | None = None
    if request.method in ("POST", "PUT") and not connects:
        given = parameters(call, "CreateOptions")
        body = await read_object(call, target, given.validation, older_of(call, target))
        if not call.request.info.subresource:
            call.served.strategy.default(body)
        log_request(request.audit, body)
    write = write_for(call, "CreateOptions", given)
    write.kind = (target.group, target.version, target.kind)

    async def admit(attributes: AdmissionAttributes) -> None:
        await parts.policies.admission.mutate(attributes)
        await parts.policies.admission.validate(attributes)

    if body is not None or connects:
        obj: Any = body if body is not None else {"kind": target.kind, "apiVersion": target.api_version}
        name = request.info.name or (name_of(body) if body else "")
        operation = "CONNECT" if connects else "CREATE"
        attributes = write.attributes(
            parts.registries, "CONNECT" if operation == "CONNECT" else "CREATE", call.namespace, name, obj
        )
        await admit(attributes)

    def track(obj: Object) -> Object:
        fields = manager_of(parts.schemas, target)
        return fields.update(None, obj, write.manager, request.info.subresource, write.now)

    result = await handler(
        ActionRequest(
            request.info,
            request.user,
            call.kind,
            body,
            request.query,
            WriteOptions(request.user, write.manager, given.dry_run, admission=True),
            write.now,
            parts.registries,
            parts.services,
            request.scope,
            request.receive,
            request.warnings,
            admit,
            track,
        )
    )
    return _response(call, result)


def _response(call: Call, result: ActionResult) -> Response:
    if result.response is not None:
        return Response(app=result.response)
    return answer(call, result.object or {}, result.status)
