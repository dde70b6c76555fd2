"""From a resource request to the endpoint that serves it: the routing table of every kind, built-in or custom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from apiserver.http.endpoints import patches, reads, scale, writes
from apiserver.http.endpoints.actions import act
from apiserver.http.endpoints.base import Call, Parts, not_allowed, not_found
from apiserver.http.message import Request, Response, text_response
from apiserver.registry.served import Served
from kubeling.api import errors

Endpoint = Callable[[Call], Awaitable[Response]]

OBJECT: Mapping[str, Endpoint] = {
    "get": reads.get_object,
    "list": reads.list_objects,
    "watch": reads.watch_objects,
    "create": writes.create_object,
    "update": writes.update_object,
    "patch": patches.patch_endpoint,
    "delete": writes.delete_object,
    "deletecollection": writes.delete_collection,
}
SCALE: Mapping[str, Endpoint] = {"get": scale.get_scale, "update": scale.update_scale, "patch": scale.patch_scale}
_SUBRESOURCE: Mapping[str, Endpoint] = {k: OBJECT[k] for k in ("get", "update", "patch")}
_PATCHES = (patches.patch_endpoint, scale.patch_scale)
_ACROSS_NAMESPACES = ("list", "watch")
_ON_COLLECTION = ("list", "watch", "create", "deletecollection")
_ON_OBJECT = ("get", "update", "patch", "delete")


async def serve_resource(parts: Parts, request: Request) -> Response:
    """Answers a resource request. Raises 404 and 405."""
    info = request.info
    served = parts.registries.catalog.find(info.group, info.version, info.resource)
    if served is None:
        if not parts.registries.catalog.has_builtin(info.group, info.version):
            return _no_page()
        raise not_found()
    call = Call(parts, request, served, parts.registries.find(info.group, info.resource))
    if not _in_scope(call):
        if served.kind.custom:
            return _no_page()
        raise not_found()
    _check_scope(call)
    if info.subresource:
        endpoint = _subresource_endpoint(served, info.name, info.subresource, info.verb, len(info.parts))
    elif "" in served.kind.actions:
        endpoint = _action_endpoint(served, "", info.verb, served.resource.verbs)
    else:
        if served.terminating and info.verb == "create":
            raise _terminating(served)
        endpoint = OBJECT.get(info.verb) if info.verb in served.resource.verbs else None
    if endpoint is None or request.method == "HEAD":
        raise not_allowed()
    if endpoint in _PATCHES:
        patches.check_routable(call)
    deprecation = served.conversion.deprecation if served.conversion else served.kind.deprecation
    if deprecation:
        request.warnings.append(deprecation)
    return await endpoint(call)


def _no_page() -> Response:
    """What upstream's server of custom resources, and its last resort, say of paths that they do not know."""
    return text_response("404 page not found\n", 404)


def _terminating(served: Served) -> errors.StatusError:
    details = {"group": served.resource.group, "kind": served.resource.plural}
    message = "create not allowed while custom resource definition is terminating"
    return errors.failure(405, "MethodNotAllowed", message, details)


def _in_scope(call: Call) -> bool:
    """Whether the namespace is there where it belongs, and nowhere else."""
    info, resource = call.request.info, call.served.resource
    if resource.namespaced:
        return bool(info.namespace) or not info.parts
    return not info.namespace or (resource.plural == "namespaces" and not resource.group)


def _check_scope(call: Call) -> None:
    """Raises 405 for what cannot be done with a collection, across namespaces, or with one object."""
    info = call.request.info
    on_object = bool(info.parts)
    if call.served.resource.namespaced and not info.namespace and info.verb not in _ACROSS_NAMESPACES:
        raise not_allowed()
    if not info.subresource and info.verb not in (_ON_OBJECT if on_object else _ON_COLLECTION):
        raise not_allowed()


def _subresource_endpoint(served: Served, object_name: str, name: str, verb: str, depth: int) -> Endpoint | None:
    declared = served.subresource(name)
    if declared is None and served.kind.custom and depth == 2:
        raise errors.not_found(served.resource.group, served.resource.plural, object_name)
    if declared is None or (depth > 2 and name != "proxy"):
        raise not_found()
    if name in served.kind.actions:
        return _action_endpoint(served, name, verb, declared.verbs)
    if verb not in declared.verbs:
        return None
    if name == "scale" and served.kind.scale is not None:
        return SCALE.get(verb)
    if name == "status" and served.kind.status is None and name not in served.kind.updates:
        raise not_found()
    return _SUBRESOURCE.get(verb)


def _action_endpoint(served: Served, name: str, verb: str, verbs: tuple[str, ...]) -> Endpoint | None:
    if verb not in verbs:
        return None
    handler = served.kind.actions[name]
    return lambda call: act(call, handler)
