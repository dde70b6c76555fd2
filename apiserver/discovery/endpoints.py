"""Serves discovery: documents are made once a change of the catalogue and kept with their ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

import orjson

from apiserver.discovery import documents
from apiserver.http.encoding import object_response, wanted_by
from apiserver.http.endpoints.base import not_allowed, not_found
from apiserver.http.message import Request, Response, text_response
from apiserver.http.negotiation import ACCEPTED, not_acceptable
from apiserver.registry.served import Catalog, Served
from kubeling.api.meta import Object

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Others(Protocol):
    """Groups of other servers; ``generation`` changes with them."""

    generation: int

    def groups(self) -> dict[str, dict[str, Object]]:
        """Group to version to its entry in aggregated discovery."""


class Discovery:
    """``address`` is the server's own, as ``/api`` names it; ``others`` the groups that other servers stand behind."""

    def __init__(self, catalog: Catalog, address: str, others: Others | None = None) -> None:
        self._catalog = catalog
        self._address = address
        self._others = others
        self._generation = (-1, -1)
        self._groups: dict[str, dict[str, list[Served]]] = {}
        self._aggregated: dict[str, tuple[bytes, str]] = {}

    def _refresh(self) -> dict[str, dict[str, list[Served]]]:
        generation = self._catalog.generation, self._others.generation if self._others else 0
        if self._generation != generation:
            self._generation = generation
            self._groups = documents.groups_of(self._catalog.all())
            self._aggregated = {}
        return self._groups

    async def serve(self, request: Request) -> Response:
        """Any path at or below ``/api`` and ``/apis`` that is no resource. Raises 404, 405, 406."""
        groups = self._refresh()
        parts = request.path.strip("/").split("/")
        make = self._document(parts, groups)
        if make is None:
            if len(parts) <= 3:  # a group or version that nobody serves
                return text_response("404 page not found\n", 404)
            raise not_found()
        if request.method != "GET" and parts != ["apis"]:
            raise not_allowed()
        if len(parts) == 1:
            aggregated = _wants_aggregated(request.header(b"accept"))
            if aggregated:
                return self._aggregated_response(parts[0], request)
        return object_response(make(), wanted_by(request))

    def _document(self, parts: list[str], groups: dict[str, dict[str, list[Served]]]) -> Callable[[], Object] | None:
        match parts:
            case ["api"]:
                return lambda: documents.api_versions(self._address)
            case ["api", version] if version in groups.get("", {}):
                return lambda: documents.resource_list(version, groups[""][version])
            case ["apis"]:
                return lambda: documents.group_list(self._versions())
            case ["apis", group] if group and group in self._versions():
                return lambda: documents.group_document(group, self._versions()[group], typed=True)
            case ["apis", group, version] if group and version in groups.get(group, {}):
                return lambda: documents.resource_list(f"{group}/{version}", groups[group][version])
        return None

    def _versions(self) -> dict[str, list[str]]:
        """Every group's versions, other servers' too."""
        found = {group: list(versions) for group, versions in self._groups.items()}
        for group, versions in (self._others.groups() if self._others else {}).items():
            known = found.setdefault(group, [])
            known += [v for v in versions if v not in known]
        return found

    def _aggregated_response(self, root: str, request: Request) -> Response:
        found = self._aggregated.get(root)
        if found is None:
            chosen = {g: v for g, v in self._groups.items() if bool(g) == (root == "apis")}
            others = self._others.groups() if self._others and root == "apis" else {}
            body = orjson.dumps(documents.aggregated(chosen, others), option=orjson.OPT_APPEND_NEWLINE)
            found = self._aggregated[root] = (body, hashlib.sha512(body).hexdigest().upper())
        body, tag = found
        headers = [
            (b"content-type", AGGREGATED_TYPE.encode()),
            (b"etag", f'"{tag}"'.encode()),
            (b"vary", b"Accept"),
            (b"cache-control", b"public"),
        ]
        if request.header(b"if-none-match").strip('"') == tag:
            return Response(b"", 304, headers[1:])
        return Response(body, 200, headers)


def _wants_aggregated(accept: str) -> bool:
    """Whether the aggregated form comes before any form that is served here. Raises 406 when nothing can be served."""
    for clause in accept.split(","):
        media_type, *params = (p.strip() for p in clause.split(";"))
        given = dict(p.partition("=")[::2] for p in params)
        if "as" in given or "g" in given:
            wanted = (given.get("as"), given.get("g"), given.get("v"))
            if media_type == "application/json" and wanted == ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"):
                return True
            continue
        if media_type in (*ACCEPTED, "*/*", ""):
            return False
    if all("as=" in clause for clause in accept.split(",")):
        raise not_acceptable()
    return False
