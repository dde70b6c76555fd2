"""get, list, watch."""

from __future__ import annotations

from collections.abc import AsyncIterator

from apiserver.http.encoding import wanted_by
from apiserver.http.endpoints.base import Call, bytes_response, view_of
from apiserver.http.message import Response
from apiserver.registry.listing import get, list_entries
from apiserver.registry.options import first, list_options, parse_version
from apiserver.registry.watching import Watch

_STREAM_HEADERS = ((b"content-type", b"application/json"),)


async def get_object(call: Call) -> Response:
    request = call.request
    wanted = wanted_by(request)
    view = view_of(call, wanted)
    version = parse_version(first(request.query, "resourceVersion")) if request.query else None
    objects = call.stored.objects.named(call.served.resource)
    entry = await get(objects, call.namespace, request.info.name, version)
    return bytes_response(view.one(entry), wanted)


async def list_objects(call: Call) -> Response:
    request = call.request
    wanted = wanted_by(request)
    view = view_of(call, wanted, many=True)
    options = list_options(request.query, call.kind, call.served.resource.api_version, watch=False)
    listing = await list_entries(call.stored.objects, call.namespace, options)
    return bytes_response(view.many(listing), wanted)


async def watch_objects(call: Call) -> Response:
    request = call.request
    wanted = wanted_by(request, streaming=True)
    if wanted.transform == "PartialObjectMetadataList":  # no event is a list: upstream's stream ends at once
        return Response(headers=list(_STREAM_HEADERS), stream=_nothing())
    view = view_of(call, wanted)
    options = list_options(request.query, call.kind, call.served.resource.api_version, watch=True)
    scope = _scope(call, options.fields.required("metadata.name"))
    watch = Watch(call.stored.objects, scope, options, view, call.parts.min_watch_seconds)
    await watch.start()
    return Response(headers=list(_STREAM_HEADERS), stream=watch.stream(), feed=watch.feed)


async def _nothing() -> AsyncIterator[bytes]:
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk


def _scope(call: Call, name: str | None) -> str:
    """What the watcher is told of: everything, a namespace, one object."""
    name = name or call.request.info.name
    if call.namespace:
        return f"{call.namespace}/{name or ''}"
    return name if name and not call.served.resource.namespaced else ""
