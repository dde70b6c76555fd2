"""Keeps what is served level with the definitions: registers, replaces and withdraws custom kinds, and empties those whose
definition is being deleted.

Model: crdHandler, the finalizing controller and the API service registration of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.bootstrap.cluster import AUTOMANAGED, api_service
from apiserver.bootstrap.status_loop import StatusLoop
from apiserver.custom.kinds import kind_of
from apiserver.custom.schemas import ServedSchemas
from apiserver.custom.strategy import Version
from apiserver.kinds.apiextensions.crd import CLEANUP
from apiserver.registry.facade import Registry, WriteOptions
from apiserver.registry.kind import Kind
from apiserver.registry.registries import ServerRegistries
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, has_condition, is_deleting, name_of, namespace_of, uid_of, with_condition
from kubeling.api.resources import API_SERVICES, CUSTOM_RESOURCE_DEFINITIONS
from kubeling.api.schema import GVK

log = logging.getLogger(__name__)

_OPTIONS = WriteOptions(manager="kube-apiserver")
_GROUP_PRIORITY, _VERSION_PRIORITY = 1000, 100
_DELETIONS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Serving:
    """What is served of a definition, and the state of it that this came from."""

    kind: Kind
    versions: tuple[Version, ...]
    origin: bytes


class CustomResources(StatusLoop):
    """Acts whenever a definition changed. ``reconcile`` once before the server is ready, then ``run``."""

    watched = (CUSTOM_RESOURCE_DEFINITIONS,)

    def __init__(self, registries: ServerRegistries, schemas: ServedSchemas) -> None:
        super().__init__(registries)
        self._server = registries
        self._schemas = schemas
        self._serving: dict[str, _Serving] = {}
        self._emptying: dict[str, asyncio.Task[None]] = {}

    async def reconcile(self) -> None:
        """Brings what is served level with the definitions."""
        definitions = {name_of(d): d for d in self._registries.of(CUSTOM_RESOURCE_DEFINITIONS).cached_list()}
        for name in [n for n in self._serving if n not in definitions]:
            self._withdraw(name)
        for name, definition in definitions.items():
            if has_condition(definition, "Established"):
                await self._serve(name, definition)
            if is_deleting(definition) and CLEANUP in (definition["metadata"].get("finalizers") or ()):
                self._empty(name, definition)
        await self._api_services(list(definitions.values()))

    async def _reconcile(self) -> None:
        await self.reconcile()

    # serving

    async def _serve(self, name: str, definition: Object) -> None:
        origin = _origin(definition)
        present = self._serving.get(name)
        if present is None or present.origin != origin:
            try:
                kind, versions = kind_of(definition, self._schemas.builtin.definitions)
            except (ValueError, KeyError, TypeError, AttributeError) as err:
                log.error("cannot serve %s: %r", name, err)
                return
            await self._server.register_now(kind, present.kind if present is not None else None)
            self._forget(present)
            for version in versions:
                self._schemas.add(_gvk(kind, version), version.schema, version.openapi)
            self._serving[name] = _Serving(kind, versions, origin)
        if is_deleting(definition):
            self._server.terminate(self._serving[name].kind)

    def _forget(self, serving: _Serving | None) -> None:
        if serving is None:
            return
        for version in serving.versions:
            self._schemas.remove(_gvk(serving.kind, version))

    def _withdraw(self, name: str) -> None:
        serving = self._serving.pop(name)
        self._server.unregister(serving.kind)
        self._forget(serving)

    # deletion

    def _empty(self, name: str, definition: Object) -> None:
        """Starts to delete the objects of a definition, unless that is under way."""
        if name not in self._emptying:
            task = self._emptying[name] = asyncio.ensure_future(self._finalize(name, uid_of(definition)))
            task.add_done_callback(lambda ended: self._emptied(name, ended))

    def _emptied(self, name: str, task: asyncio.Task[None]) -> None:
        if self._emptying.get(name) is task:
            del self._emptying[name]
        if not task.cancelled() and task.exception() is not None:
            log.error("deleting the objects of %s failed", name, exc_info=task.exception())

    async def _finalize(self, name: str, uid: str) -> None:
        registry = self._registries.of(CUSTOM_RESOURCE_DEFINITIONS)
        try:
            await self._say(
                registry, name, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
            )
            serving = self._serving.get(name)
            instances = self._server.of(serving.kind.resource) if serving is not None else None
            if instances is not None:
                await self._delete_all(instances)
            await self._say(registry, name, "False", "InstanceDeletionCompleted", "removed all instances")
            await registry.update(name, lambda stored: _released(stored, uid), options=_OPTIONS)
        except StatusError as err:
            if not errors.is_not_found(err):
                log.warning("deleting the objects of %s: %s", name, err.message)
                self._changed.set()

    async def _delete_all(self, instances: Registry) -> None:
        """Until nothing is left: objects with finalizers take their time."""
        changed = asyncio.Event()
        end = instances.subscribe(lambda old, new: changed.set())
        try:
            while left := await instances.list():
                changed.clear()
                await self._delete([obj for obj in left if not is_deleting(obj)], instances)
                if await instances.list():
                    await changed.wait()
        finally:
            end()

    async def _delete(self, objects: list[Object], instances: Registry) -> None:
        limit = asyncio.Semaphore(_DELETIONS_AT_ONCE)

        async def one(obj: Object) -> None:
            async with limit:
                try:
                    await instances.delete(name_of(obj), namespace_of(obj), options=_OPTIONS)
                except StatusError as err:
                    if not errors.is_not_found(err):
                        raise

        await asyncio.gather(*(one(obj) for obj in objects))

    async def _say(self, registry: Registry, name: str, status: str, reason: str, message: str) -> None:
        def change(stored: Object) -> Object:
            present = stored.get("status") or {}
            now = self._clock()
            conditions = with_condition(present.get("conditions"), "Terminating", status, now, reason, message)
            return {**stored, "status": {**present, "conditions": conditions}}

        await registry.update(name, change, subresource="status", options=_OPTIONS)

    # API services

    async def _api_services(self, definitions: list[Object]) -> None:
        """One for each version of each group that is served; those that nobody needs any more go."""
        wanted = {
            f"{v['name']}.{d['spec']['group']}": (d["spec"]["group"], v["name"])
            for d in definitions
            if has_condition(d, "Established") and not is_deleting(d)
            for v in d["spec"].get("versions") or ()
            if v.get("served")
        }
        registry = self._registries.of(API_SERVICES)
        present = {name_of(s): s for s in registry.cached_list()}
        for name, (group, version) in wanted.items():
            if name not in present:
                made = api_service(group, version, _GROUP_PRIORITY, _VERSION_PRIORITY, AUTOMANAGED)
                await self._attempt(registry.create(made, _OPTIONS), "cannot create an APIService")
        for name, stored in present.items():
            labels = stored["metadata"].get("labels") or {}
            if name not in wanted and labels.items() >= AUTOMANAGED.items():
                await self._attempt(registry.delete(name, options=_OPTIONS), "cannot delete an APIService")


def _origin(definition: Object) -> bytes:
    """All that decides how a definition is served."""
    accepted = (definition.get("status") or {}).get("acceptedNames")
    return orjson.dumps([definition["spec"], accepted, uid_of(definition)], option=orjson.OPT_SORT_KEYS)


def _gvk(kind: Kind, version: Version) -> GVK:
    return GVK(kind.resource.group, version.name, kind.resource.kind)


def _released(stored: Object, uid: str) -> Object | None:
    """Without the finalizer, if it is still the definition that was emptied."""
    metadata: dict[str, Any] = stored["metadata"]
    finalizers = [f for f in metadata.get("finalizers") or () if f != CLEANUP]
    if metadata.get("uid") != uid:
        return None
    metadata["finalizers"] = finalizers
    return stored
