"""A CustomResourceDefinition to the ``Kind`` that serves it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apiserver.custom.columns import custom_printer, text_of
from apiserver.custom.strategy import CustomStatusStrategy, CustomStrategy, Version
from apiserver.discovery.groups import version_rank
from apiserver.registry.kind import Conversion, Kind, Scale
from kubeling.api import jsonpath
from kubeling.api.meta import Object
from kubeling.api.resource import SCALE, STATUS, Resource
from kubeling.api.schema import structural_schema
from kubeling.api.schema.definitions import Definitions
from kubeling.api.structural.defaulting import compile_defaults
from kubeling.api.structural.lists import compile_lists
from kubeling.api.structural.rules import compile_rules
from kubeling.api.structural.validation import compile_schema

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_UNSELECTABLE = "field label not supported: {field}"
Fields = Mapping[str, Any]


def kind_of(definition: Fields, definitions: Definitions) -> tuple[Kind, tuple[Version, ...]]:
    """The kind of an accepted definition, stored in its storage version, and its served versions compiled.

    ``definitions`` are Kubernetes' own, for the type of ``metadata``.
    """
    spec = definition["spec"]
    names = {**spec["names"], **(definition.get("status") or {}).get("acceptedNames", {})}
    compiled = {v["name"]: _version(spec["group"], v, definitions) for v in spec["versions"]}
    by_api_version = {v.api_version: v for v in compiled.values()}
    storage = next(v for v in spec["versions"] if v.get("storage"))
    stored = compiled[storage["name"]]
    strategy = CustomStrategy(stored, by_api_version)
    others = [v for v in spec["versions"] if v is not storage and v.get("served")]
    kind = Kind(
        _resource(spec, names, storage),
        strategy,
        custom_printer(storage.get("additionalPrinterColumns") or ()),
        CustomStatusStrategy(stored, by_api_version) if any(v.status for v in compiled.values()) else None,
        _scale(next((v.scale for v in compiled.values() if v.scale), None)),
        field_selectors=_selectable(storage),
        versions=tuple(_conversion(spec, names, v, compiled[v["name"]], stored, by_api_version) for v in others),
        key=f"{spec['group']}/{spec['names']['plural']}",
        field_error=_UNSELECTABLE,
        deprecation=_deprecation(spec, storage),
        read=stored.normalised,
        served=bool(storage.get("served")),
        custom=True,
    )
    return kind, tuple(compiled[v["name"]] for v in spec["versions"] if v.get("served") or v is storage)


def _version(group: str, version: Fields, definitions: Definitions) -> Version:
    openapi = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    subresources = version.get("subresources") or {}
    return Version(
        version["name"],
        f"{group}/{version['name']}",
        openapi,
        structural_schema(openapi, definitions),
        compile_schema(_checked(openapi)),
        compile_defaults(openapi),
        compile_lists(openapi),
        compile_rules(openapi),
        subresources.get("status") is not None,
        subresources.get("scale"),
    )


def _checked(openapi: Fields) -> Fields:
    """Metadata is checked as that of every object, not by the schema."""
    properties = {n: s for n, s in (openapi.get("properties") or {}).items() if n != "metadata"}
    return {**openapi, "properties": properties}


def _resource(spec: Fields, names: Fields, version: Fields) -> Resource:
    subresources = version.get("subresources") or {}
    return Resource(
        spec["group"],
        version["name"],
        names["kind"],
        names["plural"],
        spec["scope"] == "Namespaced",
        tuple(names.get("shortNames") or ()),
        tuple(names.get("categories") or ()),
        tuple(s for s in (STATUS, SCALE) if subresources.get(s.name) is not None),
        VERBS,
        names.get("singular") or "",
        names.get("listKind") or "",
    )


def _conversion(
    spec: Fields, names: Fields, version: Fields, compiled: Version, stored: Version, versions: Mapping[str, Version]
) -> Conversion:
    """Without a webhook, versions differ in nothing but their name and schema."""

    def to_storage(obj: Object) -> Object:
        return {**obj, "apiVersion": stored.api_version}

    return Conversion(
        _resource(spec, names, version),
        CustomStrategy(compiled, versions),
        to_storage,
        compiled.normalised,
        custom_printer(version.get("additionalPrinterColumns") or ()),
        _selectable(version),
        _deprecation(spec, version),
    )


def _scale(declared: Fields | None) -> Scale | None:
    if declared is None:
        return None
    paths = (declared.get(f, "") for f in ("specReplicasPath", "statusReplicasPath", "labelSelectorPath"))
    return Scale(*(path.strip(".") for path in paths))


def _deprecation(spec: Fields, version: Fields) -> str:
    """The definition's own warning, or one that names the best newer version."""
    if not version.get("deprecated"):
        return ""
    group, kind = spec["group"], spec["names"]["kind"]
    text: str = version.get("deprecationWarning") or ""
    if text:
        return text
    rank = version_rank(version["name"])
    newer = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    better = sorted((version_rank(name), name) for name in newer if version_rank(name) < rank)
    more = f"; use {group}/{better[0][1]} {kind}" if better else ""
    return f"{group}/{version['name']} {kind} is deprecated{more}"


def _selectable(version: Fields) -> dict[str, Callable[[Object], str]]:
    paths = [f["jsonPath"] for f in version.get("selectableFields") or ()]
    return {path.strip("."): _text_at(jsonpath.parse(path)) for path in paths}


def _text_at(path: jsonpath.JSONPath) -> Callable[[Object], str]:
    def text(obj: Object) -> str:
        found = path.find(obj)
        return text_of(found[0]) if found and found[0] is not None else ""

    return text
