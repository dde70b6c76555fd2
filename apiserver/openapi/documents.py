"""Whole documents: paths and the schemas they mention, as OpenAPI v3 (one for each group version) and v2 (all in one)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.openapi.custom import Custom, custom_definitions, to_v2
from apiserver.openapi.meta import MetaPath, meta_paths
from apiserver.openapi.operations import (
    PATCH,
    GroupVersionKind,
    Operation,
    PathItem,
    ResourceOperations,
    group_version_id,
    tag,
)
from apiserver.openapi.schemas import Components, Schema, closure
from apiserver.openapi.texts import texts
from apiserver.registry.served import Served
from kubeling.api.schema import Schemas

Document = dict[str, Any]

_JSON, _YAML, _PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_MEDIA = (_JSON, _PROTOBUF, _YAML)
_WATCHED = (_JSON, f"{_JSON};stream=watch", _PROTOBUF, f"{_PROTOBUF};stream=watch", _YAML)
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_CODES = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}
_BEARER = {
    "type": "apiKey",
    "description": "Bearer Token authentication",
    "name": "authorization",
    "in": "header",
}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_ALWAYS = (f"{_META}APIResourceList", f"{_META}Status", f"{_META}WatchEvent")


def definition_of(schemas: Schemas, kind: GroupVersionKind, *, of_list: bool = False) -> str:
    """The definition's name of a kind, empty for one without schema."""
    group, version, name = kind
    return schemas.definitions.name_of(group, version, name + ("List" if of_list else "")) or ""


class _Renderer:
    """What v2 and v3 share: which definitions the operations mention."""

    def __init__(self, schemas: Schemas, custom: Custom) -> None:
        self.schemas = schemas
        self.mentioned: set[str] = set()
        self.made: dict[str, Schema] = {}
        self._custom = custom

    def name(self, kind: GroupVersionKind | str | None, *, of_list: bool = False) -> str:
        """The name of a kind's (or its list's) definition, noted as mentioned; empty for one without schema."""
        if kind is None:
            return ""
        if isinstance(kind, str):
            found = kind
        else:
            found = definition_of(self.schemas, kind, of_list=of_list) or self._custom_name(kind, of_list=of_list)
        if found and found not in self.made:
            self.mentioned.add(found)
        return found

    def _custom_name(self, kind: GroupVersionKind, *, of_list: bool) -> str:
        schema = self._custom(*kind)
        if schema is None:
            return ""
        definitions = custom_definitions(*kind, schema, kind[2] + "List")
        self.made |= {d.name: d.schema for d in definitions}
        self.mentioned |= {f"{_META}ObjectMeta", f"{_META}ListMeta"}
        return definitions[1 if of_list else 0].name

    def parameter(self, name: str, item: PathItem) -> dict[str, Any]:
        """Name, place, description and type of a parameter."""
        told = texts()["parameters"][name]
        kind = item.name_of
        description = told["description"].replace("{kind_lower}", kind.removesuffix("ProxyOptions").lower())
        wire = {"proxyPath": "path", "fieldManager@apply": "fieldManager"}.get(name, name)
        in_path = name in ("name", "namespace", "path")
        found = {"name": wire, "in": "path" if in_path else "query", "description": description.replace("{kind}", kind)}
        return found | {"required": True, "type": told["type"]} if in_path else found | {"type": told["type"]}


def _shared(item: PathItem) -> list[str]:
    """Parameters that every operation of a path takes: they are written once, at the path."""
    common = set(item.operations[0].parameters)
    for operation in item.operations[1:]:
        common &= set(operation.parameters)
    return sorted([*item.parameters, "pretty", *common], key=lambda n: n.split("@")[0])


def _patch_types(kind: GroupVersionKind, schemas: Schemas) -> tuple[str, ...]:
    return _PATCHES if schemas.has(*kind) else _PATCHES[:3]


class V3(_Renderer):
    """Renders the document of one group version."""

    def document(
        self, served: Iterable[Served], group: str, version: str, components: Components, release: str
    ) -> Document:
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        paths: dict[str, Any] = {f"{base}/": {"get": self._resources(group, version)}}
        for one in served:
            for item in ResourceOperations(one).paths():
                paths[item.path] = self._path(item, tag(group, version))
        self.mentioned |= set(_ALWAYS)
        return self._whole(paths, components, release)

    def meta_document(self, meta: MetaPath, components: Components, release: str) -> Document:
        """The document of one path that is no resource's."""
        schema = _reference(self.name(meta.answer), "#/components/schemas/") if meta.answer else {"type": "string"}
        content = {t: {"schema": schema} for t in meta.media}
        operation = {
            "tags": [meta.tag],
            "description": meta.description,
            "operationId": meta.id,
            "responses": {"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}},
        }
        return self._whole({meta.path: {"get": operation}}, components, release)

    def _whole(self, paths: dict[str, Any], components: Components, release: str) -> Document:
        schemes = {"BearerToken": _BEARER}
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": release},
            "paths": dict(sorted(paths.items())),
            "components": {"schemas": components.v3(self.mentioned) | self.made, "securitySchemes": schemes},
        }

    def _path(self, item: PathItem, tagged: str) -> Schema:
        shared = _shared(item)
        made: Schema = {op.method: self._operation(op, item, shared, tagged) for op in item.operations}
        made["parameters"] = [self._parameter(n, item) for n in shared]
        return made

    def _parameter(self, name: str, item: PathItem) -> Schema:
        found = self.parameter(name, item)
        return {
            **{k: v for k, v in found.items() if k != "type"},
            "schema": {"type": found["type"], "uniqueItems": True},
        }

    def _operation(self, op: Operation, item: PathItem, shared: list[str], tagged: str) -> Schema:
        made: Schema = {"tags": [tagged], "description": op.description, "operationId": op.id}
        parameters = [self._parameter(n, item) for n in op.parameters if n not in shared]
        if parameters:
            made["parameters"] = parameters
        if op.body:
            types = _patch_types(op.kind, self.schemas) if op.body == PATCH else ("*/*",)
            body = _reference(self.name(op.body), "#/components/schemas/")
            made["requestBody"] = {"content": {t: {"schema": body} for t in types}}
            if op.action not in ("delete", "deletecollection"):
                made["requestBody"]["required"] = True
        made["responses"] = self._responses(op)
        group, version, kind = op.kind
        gvk = {"group": group, "version": version, "kind": kind}
        return made | {"x-kubernetes-action": op.action, "x-kubernetes-group-version-kind": gvk}

    def _responses(self, op: Operation) -> Schema:
        if op.answer is None:
            content: Schema = {"*/*" if op.action == "connect" else "text/plain": {"schema": {"type": "string"}}}
        else:
            schema = _reference(self.name(op.answer, of_list=op.of_list), "#/components/schemas/")
            content = {t: {"schema": schema} for t in (_WATCHED if op.watchable else _MEDIA)}
        made: Schema = {str(code): {"description": _CODES[code], "content": content} for code in op.codes}
        return made | {"401": {"description": _CODES[401]}}

    def _resources(self, group: str, version: str) -> Schema:
        schema = {"$ref": f"#/components/schemas/{_META}APIResourceList"}
        return {
            "tags": [tag(group, version)],
            "description": "get available resources",
            "operationId": f"get{group_version_id(group, version)}APIResources",
            "responses": {
                "200": {"description": "OK", "content": {t: {"schema": schema} for t in _MEDIA}},
                "401": {"description": "Unauthorized"},
            },
        }


class V2(_Renderer):
    """Renders the one document of everything."""

    def document(
        self, groups: Mapping[tuple[str, str], list[Served]], components: Components, release: str
    ) -> Document:
        paths: dict[str, Any] = {}
        for (group, version), served in groups.items():
            base = f"/apis/{group}/{version}" if group else f"/api/{version}"
            paths[f"{base}/"] = {"get": self._resources(group, version)}
            for one in served:
                for item in ResourceOperations(one).paths():
                    paths[item.path] = self._path(item, tag(group, version))
        self.mentioned |= set(_ALWAYS)
        for meta in meta_paths(group for group, _ in groups):
            paths[meta.path] = {"get": self._meta(meta)}
        names = closure(self.mentioned, components.raw)
        return {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": release},
            "paths": dict(sorted(paths.items())),
            "definitions": components.v2(names) | {name: to_v2(schema) for name, schema in self.made.items()},
            "securityDefinitions": {"BearerToken": _BEARER},
            "security": [{"BearerToken": []}],
        }

    def _path(self, item: PathItem, tagged: str) -> Schema:
        shared = _shared(item)
        made: Schema = {op.method: self._operation(op, item, shared, tagged) for op in item.operations}
        made["parameters"] = [self._parameter(n, item) for n in shared]
        return made

    def _parameter(self, name: str, item: PathItem) -> Schema:
        return {**self.parameter(name, item), "uniqueItems": True}

    def _operation(self, op: Operation, item: PathItem, shared: list[str], tagged: str) -> Schema:
        parameters = [self._parameter(n, item) for n in op.parameters if n not in shared]
        if op.body:
            body: Schema = {"name": "body", "in": "body", "schema": _reference(self.name(op.body), "#/definitions/")}
            parameters.insert(0, body if op.action.startswith("delete") else {**body, "required": True})
        group, version, kind = op.kind
        made: Schema = {
            "description": op.description,
            "consumes": list(_patch_types(op.kind, self.schemas)) if op.body == PATCH else ["*/*"],
            "produces": list(_WATCHED if op.watchable else _MEDIA) if op.answer else ["*/*"],
            "schemes": ["https"],
            "tags": [tagged],
            "operationId": op.id,
            "responses": self._responses(op),
            "x-kubernetes-action": op.action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        }
        return made | {"parameters": parameters} if parameters else made

    def _responses(self, op: Operation) -> Schema:
        schema: Schema = {"type": "string"}
        if op.answer is not None:
            schema = _reference(self.name(op.answer, of_list=op.of_list), "#/definitions/")
        made: Schema = {str(code): {"description": _CODES[code], "schema": schema} for code in op.codes}
        return made | {"401": {"description": _CODES[401]}}

    def _meta(self, meta: MetaPath) -> Schema:
        schema = _reference(self.name(meta.answer), "#/definitions/") if meta.answer else {"type": "string"}
        return {
            "description": meta.description,
            "consumes": list(_MEDIA),
            "produces": list(meta.media),
            "schemes": ["https"],
            "tags": [meta.tag],
            "operationId": meta.id,
            "responses": {"200": {"description": "OK", "schema": schema}, "401": {"description": "Unauthorized"}},
        }

    def _resources(self, group: str, version: str) -> Schema:
        schema = {"$ref": f"#/definitions/{_META}APIResourceList"}
        return {
            "description": "get available resources",
            "consumes": list(_MEDIA),
            "produces": list(_MEDIA),
            "schemes": ["https"],
            "tags": [tag(group, version)],
            "operationId": f"get{group_version_id(group, version)}APIResources",
            "responses": {"200": {"description": "OK", "schema": schema}, "401": {"description": "Unauthorized"}},
        }


def _reference(name: str, prefix: str) -> Schema:
    return {"$ref": prefix + name} if name else {"type": "object"}
