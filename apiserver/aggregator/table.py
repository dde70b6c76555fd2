"""The API services that other servers stand behind, kept level with the store; requests for them go there.

Source: kube-aggregator's proxy handler.
"""

from __future__ import annotations

import random
import ssl
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from apiserver.aggregator.where import Place, Unavailable, places_of, resources_as_discovered
from apiserver.discovery.groups import version_rank
from apiserver.http.message import Request, Response, text_response
from apiserver.registry.actions import Receive, Scope, Send
from apiserver.registry.facade import Registries
from apiserver.streaming.tunnel import Backend, forward
from kubeling.api.meta import Object, has_condition
from kubeling.api.resources import API_SERVICES, ENDPOINTS, SERVICES

GroupVersion = tuple[str, str]
_IDENTITY = b"x-remote-"


class Aggregator:
    """``find`` says whether a request is another server's; ``groups`` what discovery has to tell of them."""

    def __init__(self, registries: Registries, certificate: Path | None = None, key: Path | None = None) -> None:
        self._registries = registries
        self._certificate, self._key = certificate, key
        self._services: dict[GroupVersion, Object] = {}
        self._resources: dict[GroupVersion, Object] = {}
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}
        self.generation = 0

    def follow(self) -> None:
        """Keeps level with the store from now on."""
        self._registries.of(API_SERVICES).subscribe(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        known = new or old
        if known is None:
            return
        if old is not None:
            self._services.pop(_group_version(old), None)
        if new is not None and new["spec"].get("service"):
            self._services[_group_version(new)] = new
        else:
            self._resources.pop(_group_version(known), None)
        self.generation += 1

    def all(self) -> list[Object]:
        return list(self._services.values())

    def find(self, request: Request) -> Object | None:
        """The APIService that the request is for, None where this server answers itself."""
        if not self._services or not request.path.startswith("/apis/"):
            return None
        parts = request.path.split("/", 4)
        return self._services.get((parts[2], parts[3])) if len(parts) > 3 else None

    async def serve(self, api_service: Object, request: Request) -> Response:
        """The other server's answer, who asks being told in headers that our certificate vouches for."""
        if not has_condition(api_service, "Available"):
            return text_response("service unavailable\n", 503)
        try:
            backend = self.backend(api_service)
        except Unavailable:
            return text_response("service unavailable\n", 503)
        query = request.scope["query_string"].decode("latin-1")
        sent = forward(backend, quote(request.path, safe="/:*@!$&'()+,;=~"), query)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            kept = [(n, v) for n, v in scope["headers"] if not n.startswith(_IDENTITY)]
            await sent({**scope, "headers": [*kept, *_identity(request)]}, receive, send)

        return Response(app=app)

    def backend(self, api_service: Object) -> Backend:
        """One of the servers. Raises Unavailable."""
        place: Place = random.choice(
            places_of(api_service, self._registries.of(SERVICES).cached, self._registries.of(ENDPOINTS).cached)
        )
        return Backend(place.host, place.port, self._context(api_service["spec"]), place.name)

    def _context(self, spec: Object) -> ssl.SSLContext:
        chosen = spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify"))
        context = self._contexts.get(chosen)
        if context is None:
            bundle, insecure = chosen
            context = ssl.create_default_context(cadata=b64decode(bundle).decode() if bundle else None)
            if insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self._certificate is not None:
                context.load_cert_chain(self._certificate, self._key)
            self._contexts[chosen] = context
        return context

    # discovery

    def learned(self, api_service: Object, resources: Object) -> None:
        """The server's own list of its resources, as the last check found it."""
        if self._resources.get(_group_version(api_service)) != resources:
            self._resources[_group_version(api_service)] = resources
            self.generation += 1

    def groups(self) -> dict[str, dict[str, Object]]:
        """Group to version to its entry in aggregated discovery, best version first."""
        found: dict[str, dict[str, Object]] = {}
        ranked = sorted(self._services, key=lambda gv: (gv[0], -self._priority(gv), version_rank(gv[1])))
        for group, version in ranked:
            fresh = has_condition(self._services[group, version], "Available")
            listed = self._resources.get((group, version), {})
            entry = {"version": version, "resources": resources_as_discovered(listed)}
            found.setdefault(group, {})[version] = {**entry, "freshness": "Current" if fresh else "Stale"}
        return found

    def _priority(self, group_version: GroupVersion) -> int:
        return int(self._services[group_version]["spec"].get("versionPriority") or 0)


def _group_version(api_service: Mapping[str, Object]) -> GroupVersion:
    spec = api_service["spec"]
    return spec.get("group", ""), spec.get("version", "")


def _identity(request: Request) -> list[tuple[bytes, bytes]]:
    user = request.user
    headers = [(b"x-remote-user", user.name.encode())]
    headers += [(b"x-remote-uid", user.uid.encode())] if user.uid else []
    headers += [(b"x-remote-group", group.encode()) for group in user.groups]
    for key, values in user.extra.items():
        name = b"x-remote-extra-" + quote(key.lower(), safe="").encode()
        headers += [(name, value.encode()) for value in values]
    return headers
