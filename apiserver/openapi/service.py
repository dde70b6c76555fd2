"""Serves OpenAPI: documents are built at the first request that wants them, and again when what is served has changed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import orjson

from apiserver.http.endpoints.base import not_allowed, not_found
from apiserver.http.message import Header, Request, Response
from apiserver.openapi.custom import Custom
from apiserver.openapi.documents import V2, V3
from apiserver.openapi.meta import MetaPath, meta_paths
from apiserver.openapi.protobuf import ACCEPTED, MEDIA_TYPE, encode_v2
from apiserver.openapi.schemas import Components
from apiserver.registry.served import Catalog, Served
from kubeling.api.errors import failure
from kubeling.api.meta import utcnow
from kubeling.api.schema import Schemas

_JSON = "application/json"
_ANY = ("*/*", "application/*", _JSON)
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class _Built:
    body: bytes
    tag: str


class OpenAPI:
    """The endpoints ``/openapi/v2``, ``/openapi/v3`` and ``/openapi/v3/<group version>``.

    ``release`` is the version the documents name (``v1.36.0``); ``custom`` knows the schemas of custom resources.
    """

    def __init__(self, catalog: Catalog, schemas: Schemas, release: str, custom: Custom = lambda *_: None) -> None:
        self._catalog = catalog
        self._schemas = schemas
        self._release = release
        self._custom = custom
        self._components = Components(schemas.definitions)
        self._generation = -1
        self._groups: dict[tuple[str, str], list[Served]] = {}
        self._metas: dict[str, MetaPath] = {}
        self._built: dict[tuple[str, bool], _Built] = {}

    async def serve(self, request: Request) -> Response:
        """Any path below ``/openapi``. Raises 404, 405, 406."""
        self._refresh()
        path = request.path.rstrip("/")
        known = path in ("/openapi/v2", "/openapi/v3") or path in self._metas or self._group_version(path) is not None
        if not known:
            raise not_found()
        if request.method not in ("GET", "HEAD"):
            raise not_allowed()
        media_type = _chosen(request.header(b"accept"), protobuf=path == "/openapi/v2")
        if not media_type:
            raise failure(406, "NotAcceptable", f"only the following media types are accepted: {_JSON}")
        built = self._document(path, protobuf=media_type != _JSON)
        headers = self._headers(request, built, media_type)
        if request.header(b"if-none-match").strip('"') == built.tag:
            return Response(b"", 304, headers)
        return Response(built.body, 200, headers)

    def _refresh(self) -> None:
        if self._generation == self._catalog.generation:
            return
        self._generation = self._catalog.generation
        groups: dict[tuple[str, str], list[Served]] = defaultdict(list)
        for served in self._catalog.all():
            groups[served.resource.group, served.resource.version].append(served)
        self._groups = groups
        self._metas = {f"/openapi/v3/{m.document}": m for m in meta_paths(group for group, _ in groups)}
        self._built = {}

    def _group_version(self, path: str) -> tuple[str, str] | None:
        match path.split("/")[3:]:
            case ["api", version] if ("", version) in self._groups:
                return "", version
            case ["apis", group, version] if (group, version) in self._groups:
                return group, version
        return None

    def _document(self, path: str, *, protobuf: bool = False) -> _Built:
        found = self._built.get((path, protobuf))
        if found is None:
            document = self._make(path)
            body = encode_v2(document) if protobuf else orjson.dumps(document)
            found = self._built[path, protobuf] = _Built(body, hashlib.sha512(body).hexdigest().upper())
        return found

    def _make(self, path: str) -> dict[str, Any]:
        if path == "/openapi/v2":
            return V2(self._schemas, self._custom).document(self._groups, self._components, self._release)
        if path == "/openapi/v3":
            return self._index()
        if path in self._metas:
            renderer = V3(self._schemas, self._custom)
            return renderer.meta_document(self._metas[path], self._components, self._release)
        group_version = self._group_version(path)
        assert group_version is not None  # checked by serve
        group, version = group_version
        return V3(self._schemas, self._custom).document(
            self._groups[group_version], group, version, self._components, self._release
        )

    def _index(self) -> dict[str, Any]:
        """Where each document is, with its hash: clients keep what they have until the hash changes."""
        names = [f"apis/{g}/{v}" if g else f"api/{v}" for g, v in self._groups]
        names += [meta.document for meta in self._metas.values()]
        paths = {}
        for name in sorted(names):
            path = f"/openapi/v3/{name}"
            paths[name] = {"serverRelativeURL": f"{path}?hash={self._document(path).tag}"}
        return {"paths": paths}

    def _headers(self, request: Request, built: _Built, media_type: str) -> list[Header]:
        """A request that names the right hash may keep the answer for ever. One with an old hash is answered all the same,
        uncached (upstream redirects it to the new one)."""
        headers = [
            (b"content-type", media_type.encode()),
            (b"etag", f'"{built.tag}"'.encode()),
            (b"vary", b"Accept"),
        ]
        if request.param("hash") == built.tag:
            headers.append((b"cache-control", b"public, immutable"))
            headers.append((b"expires", format_datetime(utcnow() + _YEAR, usegmt=True).encode()))
        return headers


def _chosen(accept: str, *, protobuf: bool) -> str:
    """The media type of the answer; none named means JSON. Empty: none that is accepted can be given."""
    for part in accept.split(",") if accept else (_JSON,):
        wanted = part.split(";")[0].strip()
        if wanted in _ANY:
            return _JSON
        if protobuf and wanted in ACCEPTED:
            return MEDIA_TYPE
    return ""
