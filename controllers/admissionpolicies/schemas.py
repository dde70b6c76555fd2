"""Types of kinds, built-in and custom ones alike, from the OpenAPI documents that the API server publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controllers.admissionpolicies.checking import Kind, Plural
from kubeling.api.cel.schemas import Schema, schema_type
from kubeling.api.cel.types import DYN, Type
from kubeling.api.errors import StatusError
from kubeling.client.rest import Client

_REFERENCES = "#/components/schemas/"
_CYCLE: Schema = {"type": "object"}


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def populated(schema: Schema, components: Mapping[str, Schema], above: tuple[str, ...] = ()) -> Schema:
    """The schema with what it refers to in place; where it comes back to itself stands an object without fields."""
    target = _reference(schema)
    if target:
        if target in above or target not in components:
            return _CYCLE
        return populated(components[target], components, (*above, target))
    made = dict(schema)
    properties = schema.get("properties")
    if properties:
        made["properties"] = {k: populated(v, components, above) for k, v in properties.items()}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            made[inner] = populated(schema[inner], components, above)
    return made


def _reference(schema: Schema) -> str:
    """The component that a schema stands for: plain, or as the one part of ``allOf`` beside a default."""
    parts = list(schema.get("allOf") or ())
    target = schema.get("$ref") or (parts[0].get("$ref") if len(parts) == 1 else None)
    return target.removeprefix(_REFERENCES) if isinstance(target, str) else ""


def type_in(document: Mapping[str, Any], kind: Kind) -> Type | None:
    """The type of a kind by the document of its group version; None where that does not define it."""
    components: Mapping[str, Schema] = (document.get("components") or {}).get("schemas") or {}
    wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    for name, schema in components.items():
        if schema.get("x-kubernetes-group-version-kind") == [wanted]:
            return schema_type(populated(schema, components, (name,)), kind.kind) or DYN
    return None


class Published:
    """What the API server says of its kinds. A group version that it does not answer for has none."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def kinds(self, resources: Iterable[Plural]) -> dict[Plural, Kind]:
        """Raises ClientError."""
        wanted = set(resources)
        found: dict[Plural, Kind] = {}
        for group, version in sorted({(r.group, r.version) for r in wanted}):
            for entry in (await self._read("/" + _path(group, version))).get("resources") or ():
                resource = Plural(group, version, entry["name"])
                if resource in wanted:
                    found[resource] = Kind(group, version, entry["kind"])
        return found

    async def types(self, kinds: Iterable[Kind]) -> dict[Kind, Type]:
        """Raises ClientError."""
        documents: dict[str, Mapping[str, Any]] = {}
        found: dict[Kind, Type] = {}
        for kind in kinds:
            path = "/openapi/v3/" + _path(kind.group, kind.version)
            if path not in documents:
                documents[path] = await self._read(path)
            made = type_in(documents[path], kind)
            if made is not None:
                found[kind] = made
        return found

    async def _read(self, path: str) -> Mapping[str, Any]:
        try:
            answer = await self._client.request("GET", path)
        except StatusError:
            return {}
        return answer if isinstance(answer, dict) else {}
