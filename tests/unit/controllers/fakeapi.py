"""An API server small enough for unit tests: storage, versions, watches, owner and finalizer rules; no defaults, no validation."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any

import httpx
import orjson

from kubeling.api import resources as declared
from kubeling.api.errors import StatusError, already_exists, conflict, not_found
from kubeling.api.meta import Object, rfc3339
from kubeling.api.resource import Resource
from kubeling.client.clock import Clock
from kubeling.client.rest import Client
from kubeling.client.transport import Transport

RESOURCES = [r for r in vars(declared).values() if isinstance(r, Resource)]
Id = tuple[str, str, str, str]  # group, plural, namespace, name


class Stream(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self.queue.get()) is not None:
            yield chunk


class FakeApi:
    """Holds objects; ``client()`` talks to it. ``writes`` lists (method, path) of every write that was accepted.
    ``served``: what other servers answer at a path, as the metrics API."""

    def __init__(
        self, clock: Clock, *, seed: int = 0, fail: Callable[[httpx.Request], StatusError | None] | None = None
    ) -> None:
        self.clock = clock
        self.objects: dict[Id, Object] = {}
        self.history: list[tuple[int, str, Id, Object]] = []
        self.watchers: list[tuple[str, str, str, Stream]] = []
        self.writes: list[tuple[str, str]] = []
        self.served: dict[str, Object] = {}
        self.version = 100
        self.fail = fail
        self._random = random.Random(seed)
        self._uids = itertools.count(1)

    def client(self) -> Client:
        return Client(Transport("http://fake.test", mock=httpx.MockTransport(self._handle)))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        try:
            if self.fail and (err := self.fail(request)):
                raise err
            return self._answer(request)
        except StatusError as err:
            return httpx.Response(err.code, json=err.status)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        found = self.served.get(request.url.path) or discovery(request.url.path)
        if found is not None:
            return httpx.Response(200, json=found)
        resource, namespace, name, sub = parse(request.url.path)
        body = orjson.loads(request.content) if request.content else {}
        params = request.url.params
        if request.method == "GET":
            if params.get("watch"):
                return self._watch(resource, namespace, int(params.get("resourceVersion") or 0))
            if sub == "scale":
                return httpx.Response(200, json=scale_of(self._get((resource.group, resource.plural, namespace, name))))
            if name:
                return httpx.Response(200, json=self._get((resource.group, resource.plural, namespace, name)))
            items = self.all(resource, namespace)
            return httpx.Response(200, json={"metadata": {"resourceVersion": str(self.version)}, "items": items})
        self.writes.append((request.method, request.url.path))
        match request.method:
            case "POST":
                done = self.create(resource, body, namespace)
            case "PUT" if sub == "scale":
                size = body["spec"]["replicas"]
                done = scale_of(self.update(resource, namespace, name, lambda o: o["spec"].update(replicas=size)))
            case "PUT":
                done = self._put(resource, namespace, name, sub, body)
            case "PATCH":
                strategic = "strategic" in request.headers["content-type"]
                done = self._patch(resource, namespace, name, body, strategic)
            case _ if not name:
                for obj in self.all(resource, namespace):
                    self.delete(resource, namespace, obj["metadata"]["name"], body)
                done = {"kind": "Status"}
            case _:
                done = self.delete(resource, namespace, name, body)
        return httpx.Response(200, json=done)

    def _get(self, ident: Id) -> Object:
        if ident not in self.objects:
            raise not_found(ident[0], ident[1], ident[3])
        return self.objects[ident]

    def all(self, resource: Resource, namespace: str = "") -> list[Object]:
        return [
            o
            for (g, p, ns, _), o in self.objects.items()
            if (g, p) == (resource.group, resource.plural) and namespace in ("", ns)
        ]

    def create(self, resource: Resource, obj: Object, namespace: str = "") -> Object:
        obj = deepcopy(obj)
        meta = obj.setdefault("metadata", {})
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + "".join(self._random.choices("bcdfghjklmnp", k=5))
        if resource.namespaced:
            meta["namespace"] = meta.get("namespace") or namespace
        ident = (resource.group, resource.plural, meta.get("namespace", ""), meta["name"])
        if ident in self.objects:
            raise already_exists(resource.group, resource.plural, meta["name"])
        meta.update(uid=f"uid-{next(self._uids)}", generation=1, creationTimestamp=rfc3339(self.clock.now()))
        obj.update(apiVersion=resource.api_version, kind=resource.kind)
        return self._store("ADDED", ident, obj)

    def _put(self, resource: Resource, namespace: str, name: str, sub: str, body: Object) -> Object:
        ident = (resource.group, resource.plural, namespace, name)
        old = self._get(ident)
        version = body["metadata"].get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise conflict(resource.group, resource.plural, name)
        kept = {k: old["metadata"].get(k) for k in ("uid", "creationTimestamp", "generation", "deletionTimestamp")}
        new = {**body, "metadata": {**body["metadata"], **{k: v for k, v in kept.items() if v is not None}}}
        if sub == "status":
            new["spec"] = old.get("spec")
        elif "status" in old and sub != "finalize":
            new["status"] = old["status"]
        return self._changed(ident, old, new)

    def update(self, resource: Resource, namespace: str, name: str, change: Callable[[Object], None]) -> Object:
        """Changes an object as a user would."""
        ident = (resource.group, resource.plural, namespace, name)
        old = self._get(ident)
        new = deepcopy(old)
        change(new)
        return self._changed(ident, old, new)

    def _patch(self, resource: Resource, namespace: str, name: str, patch: Object, strategic: bool) -> Object:
        ident = (resource.group, resource.plural, namespace, name)
        old = self._get(ident)
        wanted = patch.get("metadata") or {}
        for field in ("uid", "resourceVersion"):
            if wanted.get(field) and wanted[field] != old["metadata"][field]:
                raise conflict(resource.group, resource.plural, name)
        return self._changed(ident, old, merge(deepcopy(old), patch, strategic))

    def _changed(self, ident: Id, old: Object, new: Object) -> Object:
        plain = {k: v for k, v in new.items() if v is not None}
        if plain == old:
            return old
        new = deepcopy(plain)
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        emptied = ident[1] == "namespaces" and not new["spec"].get("finalizers")
        gone = new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers")
        if gone and ident[1] != "pods" and (ident[1] != "namespaces" or emptied):
            return self._remove(ident, new)
        return self._store("MODIFIED", ident, new)

    def delete(self, resource: Resource, namespace: str, name: str, options: Object | None = None) -> Object:
        """Pods stay, marked, until ``finish``; everything else goes when it has no finalizers."""
        ident = (resource.group, resource.plural, namespace, name)
        old, options = self._get(ident), options or {}
        wanted = options.get("preconditions") or {}
        for field in ("uid", "resourceVersion"):
            if wanted.get(field) and wanted[field] != old["metadata"][field]:
                raise conflict(resource.group, resource.plural, name)
        meta = dict(old["metadata"])
        finalizers = [f for f in meta.get("finalizers") or [] if f not in ("foregroundDeletion", "orphan")]
        policy = options.get("propagationPolicy")
        finalizers += {"Foreground": ["foregroundDeletion"], "Orphan": ["orphan"]}.get(policy or "", [])
        meta["finalizers"] = finalizers
        meta.setdefault("deletionTimestamp", rfc3339(self.clock.now()))
        new = {**old, "metadata": meta}
        if finalizers or resource.plural in ("pods", "namespaces"):
            return self._store("MODIFIED", ident, new) if new != old else old
        return self._remove(ident, new)

    def finish(self, namespace: str, name: str) -> None:
        """The kubelet's last word: the pod is gone."""
        ident = ("", "pods", namespace, name)
        self._remove(ident, self.objects[ident])

    def _store(self, type_: str, ident: Id, obj: Object) -> Object:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.objects[ident] = obj
        self._tell(type_, ident, obj)
        return obj

    def _remove(self, ident: Id, obj: Object) -> Object:
        del self.objects[ident]
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._tell("DELETED", ident, obj)
        return {"kind": "Status", "status": "Success"}

    def _tell(self, type_: str, ident: Id, obj: Object) -> None:
        self.history.append((self.version, type_, ident, obj))
        for group, plural, namespace, stream in self.watchers:
            if (group, plural) == ident[:2] and namespace in ("", ident[2]):
                stream.queue.put_nowait(line(type_, obj))

    def _watch(self, resource: Resource, namespace: str, version: int) -> httpx.Response:
        stream = Stream()
        for at, type_, ident, obj in self.history:
            if at > version and ident[:2] == (resource.group, resource.plural) and namespace in ("", ident[2]):
                stream.queue.put_nowait(line(type_, obj))
        self.watchers.append((resource.group, resource.plural, namespace, stream))
        return httpx.Response(200, stream=stream)


def scale_of(obj: Object) -> Object:
    """The scale of a workload whose selector is ``matchLabels``."""
    labels = ",".join(f"{k}={v}" for k, v in ((obj["spec"].get("selector") or {}).get("matchLabels") or {}).items())
    replicas = obj["spec"].get("replicas", 1)
    status = {"replicas": (obj.get("status") or {}).get("replicas", replicas), "selector": labels}
    return {"kind": "Scale", "metadata": obj["metadata"], "spec": {"replicas": replicas}, "status": status}


def line(type_: str, obj: Object) -> bytes:
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"


def discovery(path: str) -> Object | None:
    """The discovery documents; None for other paths."""
    served = [r for r in RESOURCES if "watch" in r.verbs]
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups: dict[str, list[Object]] = {}
        for r in served:
            if r.group and {"version": r.version} not in groups.setdefault(r.group, []):
                groups[r.group].append({"version": r.version})
        return {"kind": "APIGroupList", "groups": [{"name": g, "versions": v} for g, v in groups.items()]}
    found = [r for r in served if r.base_path == path]
    if not found:
        return None
    entries = [{"name": r.plural, "kind": r.kind, "namespaced": r.namespaced, "verbs": list(r.verbs)} for r in found]
    return {"kind": "APIResourceList", "resources": entries}


def parse(path: str) -> tuple[Resource, str, str, str]:
    """(resource, namespace, name, subresource) of a path."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = next(r for r in RESOURCES if (r.group, r.plural) == (group, rest[0]))
    return resource, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else ""


def merge(target: Any, patch: Any, strategic: bool = False) -> Any:
    """A merge patch, with what the controllers use of the strategic one: owner references by uid."""
    if not isinstance(patch, dict):
        return patch
    target = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            target[field] = [v for v in target.get(field, []) if v not in value]
        elif key == "conditions" and strategic:
            types = {c["type"] for c in value}
            target[key] = [c for c in target.get(key, []) if c["type"] not in types] + value
        elif key == "ownerReferences" and value and all("$patch" in v or "controller" in v for v in value):
            kept = [o for o in target.get(key, []) if o["uid"] not in {v["uid"] for v in value}]
            target[key] = kept + [v for v in value if "$patch" not in v]
        else:
            target[key] = merge(target.get(key), value, strategic)
    return target
