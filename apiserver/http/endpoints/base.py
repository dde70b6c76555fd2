"""What all resource endpoints share: the parts of the server they work with, bodies, views, write requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from apiserver.cache.entry import Entry
from apiserver.http.encoding import headers_for, object_response, recode, wanted_by
from apiserver.http.message import Request, Response
from apiserver.http.negotiation import (
    JSON_TYPE,
    PROTOBUF_TYPE,
    YAML_TYPE,
    Wanted,
    unsupported_media_type,
)
from apiserver.registry.actions import Services
from apiserver.registry.kind import Kind, Printer
from apiserver.registry.options import WriteParameters, write_parameters
from apiserver.registry.registries import ServerRegistries
from apiserver.registry.resource_registry import ResourceRegistry
from apiserver.registry.served import Served
from apiserver.registry.watching import MIN_TIMEOUT
from apiserver.registry.write import Policies, Write
from apiserver.tables.view import ObjectView, PartialView, TableView, View
from kubeling.api import errors
from kubeling.api.errors import failure
from kubeling.api.meta import Object
from kubeling.api.protobuf import ProtobufError, decode_object
from kubeling.api.resource import Resource
from kubeling.api.schema.body import GVK, Registered, decode_body
from kubeling.api.schema.yamltext import parse_yaml


@dataclass(frozen=True, slots=True)
class Parts:
    """What endpoints work with; one instance a server."""

    registries: ServerRegistries
    policies: Policies
    services: Services
    schemas: Registered
    clock: Callable[[], datetime]
    min_watch_seconds: float = MIN_TIMEOUT
    """A watch that names no timeout lasts this to twice this long."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one served resource. ``registry`` is None for kinds of which nothing is stored."""

    parts: Parts
    request: Request
    served: Served
    registry: ResourceRegistry | None

    @property
    def kind(self) -> Kind:
        return self.served.kind

    @property
    def stored(self) -> ResourceRegistry:
        if self.registry is None:
            raise not_allowed()
        return self.registry

    @property
    def namespace(self) -> str:
        """The namespace of the object; empty for cluster-scoped kinds."""
        return self.request.info.namespace if self.served.resource.namespaced else ""


def not_found() -> errors.StatusError:
    return failure(404, "NotFound", "the server could not find the requested resource", {})


def not_allowed() -> errors.StatusError:
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, {})


def view_of(call: Call, wanted: Wanted, *, many: bool = False, printer: Printer | None = None) -> View:
    """The rendering that was negotiated; ``printer`` instead of the kind's own. Raises 400 and 406."""
    served, parts = call.served, call.parts
    form = call.registry.objects.cache.form if call.registry else None

    def decode(entry: Entry) -> Object:
        assert form is not None  # entries come from a stored kind
        return entry.decode(form)

    match wanted.transform:
        case "Table":
            include = call.request.param("includeObject")
            if include not in ("", "None", "Metadata", "Object"):
                why = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
                raise errors.bad_request(f"Unable to convert to Table as requested: {why}")
            return TableView(served, wanted.version, include, decode, parts.clock, printer)
        case "PartialObjectMetadata" | "PartialObjectMetadataList":
            _check_shape(call, wanted.transform, many)
            return PartialView(served, wanted.version, decode)
    return ObjectView(served, decode, lambda: empty_object(parts, served))


def _check_shape(call: Call, transform: str, many: bool) -> None:
    resource = call.served.resource
    package = resource.group.split(".")[0] or "core"
    if many and transform == "PartialObjectMetadata":
        what = f"is a list (*{package}.{resource.list_kind_name})"
    elif not many and transform == "PartialObjectMetadataList":
        what = f"is not a list (*{package}.{resource.kind})"
    else:
        return
    raise failure(406, "NotAcceptable", f"you requested {transform}, but the requested object {what}")


def gvk_of(resource: Resource) -> GVK:
    return GVK(resource.group, resource.version, resource.kind)


def empty_object(parts: Parts, served: Served) -> Object:
    """The kind's object with nothing set, as Go would write it."""
    expected = gvk_of(served.resource)
    head = {"kind": expected.kind, "apiVersion": expected.api_version}
    return {**head, **parts.schemas.of(*expected).decode(head).obj, **head}


def bytes_response(body: bytes, wanted: Wanted, status: int = 200) -> Response:
    return Response(recode(body, wanted), status, headers_for(wanted))


def answer(call: Call, obj: Object, status: int = 200, printer: Printer | None = None) -> Response:
    """An object in the shape and encoding that the client wants; ``printer`` for one of another kind."""
    wanted = wanted_by(call.request)
    if wanted.transform and obj.get("kind") != "Status":
        obj = view_of(call, wanted, printer=printer).obj(obj)
    return object_response(obj, wanted, status)


def media_type_of(request: Request) -> str:
    return request.header(b"content-type").partition(";")[0].strip().lower()


def body_type(request: Request) -> str:
    """The media type of a body that is an object. Raises 415."""
    media_type = media_type_of(request)
    if media_type in ("", JSON_TYPE):
        return JSON_TYPE
    if media_type in (YAML_TYPE, PROTOBUF_TYPE):
        return media_type
    raise unsupported_media_type()


async def read_body(call: Call, kind: str) -> tuple[bytes, bool]:
    """The body in JSON or YAML, and whether it is YAML. Raises 400, 413, 415."""
    media_type = body_type(call.request)
    body = await call.request.body()
    if media_type == PROTOBUF_TYPE and body:
        try:
            return orjson.dumps(decode_object(body)), False
        except ProtobufError as err:
            why = f"{err} ({body[:30].hex()}{' ...' if len(body) > 30 else ''})"
            raise errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {why}") from None
    return body, media_type == YAML_TYPE


async def read_object(call: Call, expected: GVK, validation: str, older: Sequence[GVK] = ()) -> Object:
    """The body as an object of the endpoint's kind, or of an ``older`` version of it. Raises 400, 413, 415."""
    body, yaml = await read_body(call, expected.kind)
    schemas = call.parts.schemas
    for gvk in older:
        if gvk.api_version.encode() in body and _says(body, yaml, gvk):
            expected = gvk
    decoded = decode_body(body, expected, schemas.of(*expected), schemas, yaml=yaml, field_validation=validation)
    call.request.warnings += decoded.warnings
    decoded.obj.setdefault("metadata", {})
    return decoded.obj


def _says(body: bytes, yaml: bool, gvk: GVK) -> bool:
    """Whether a body names that version; what cannot be read names none."""
    try:
        read = parse_yaml(body)[0] if yaml else orjson.loads(body)
    except (ValueError, errors.StatusError):
        return False
    return isinstance(read, dict) and read.get("apiVersion") == gvk.api_version


def parameters(call: Call, kind: str, *, apply: bool = False) -> WriteParameters:
    return write_parameters(call.request.query, kind, apply=apply)


def manager_of(call: Call, given: str) -> str:
    """The field manager: as given, or the first word of the User-Agent."""
    if given:
        return given
    agent = call.request.header(b"user-agent").partition("/")[0][:128]
    return "".join(c for c in agent if c.isprintable()) or "unknown"


def write_for(call: Call, options_kind: str, parameters: WriteParameters, options: Object | None = None) -> Write:
    described: Object = {"kind": options_kind, "apiVersion": "meta.k8s.io/v1", **(options or {})}
    if parameters.dry_run:
        described["dryRun"] = ["All"]
    manager = manager_of(call, parameters.manager)
    if options_kind != "DeleteOptions":
        described["fieldManager"] = manager
        described["fieldValidation"] = parameters.validation
    if parameters.force is not None:
        described["force"] = parameters.force
    request = call.request
    return Write(
        call.served,
        request.user,
        manager,
        call.parts.clock(),
        parameters.dry_run,
        True,
        request.info.subresource,
        described,
        request.warnings,
        request.audit.annotations if request.audit else {},
        verb=request.info.verb,
    )
