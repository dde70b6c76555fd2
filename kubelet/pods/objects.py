"""API objects that pods name: ConfigMaps and Secrets are watched while some pod on this node needs them, others read.

A node may list and watch those two by name; of claims and volumes it may only get each one (the Node authorizer's rules). What
is immutable is watched no more once it is known (pkg/kubelet/util/manager).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from kubelet.volumes.base import ObjectUnavailable
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object
from kubeling.api.resource import Resource
from kubeling.api.resources import CONFIG_MAPS, SECRETS
from kubeling.client.errors import ConnectionFailed
from kubeling.client.informer import Informer
from kubeling.client.informers import SharedInformers
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
_SYNC_SECONDS = 10.0
_WATCHED = (CONFIG_MAPS, SECRETS)
_Identity = tuple[Resource, str, str]


@dataclass(slots=True)
class _Followed:
    """``pods`` use the object; ``fixed`` is it where it cannot change."""

    pods: set[str] = field(default_factory=set)
    fixed: Object | None = None


class ApiObjects:
    """``changed`` is called with a pod's UID when an object that it uses has changed."""

    def __init__(self, client: Client, informers: SharedInformers, changed: Callable[[str], None]) -> None:
        self._client, self._informers, self._changed = client, informers, changed
        self._followed: dict[_Identity, _Followed] = {}
        self._stopping: dict[_Identity, asyncio.Task[None]] = {}

    async def get(self, resource: Resource, namespace: str, name: str, pod_uid: str) -> Object | None:
        if resource not in _WATCHED:
            return await self._read(resource, namespace, name)
        identity = (resource, namespace, name)
        if (stopping := self._stopping.get(identity)) is not None:
            await asyncio.wait([stopping])
        known = self._followed.get(identity)
        if known is None:
            known = self._followed[identity] = _Followed()
            self._informer(identity).add_handler(lambda old, new: self._tell(identity, old, new))
        known.pods.add(pod_uid)
        if known.fixed is not None:
            return known.fixed
        informer = self._informer(identity)
        try:
            async with asyncio.timeout(_SYNC_SECONDS):
                await informer.wait_synced()
        except TimeoutError as err:
            what = resource.singular_name
            raise ObjectUnavailable(f"failed to sync {what} cache: timed out waiting for the condition") from err
        found = informer.store.get(Key(namespace, name))
        if found is not None and found.get("immutable") and self._followed.get(identity) is known:
            known.fixed = found
            self._stop(identity)
        return found

    def _informer(self, identity: _Identity) -> Informer:
        resource, namespace, name = identity
        return self._informers.informer(resource, namespace=namespace, field_selector=f"metadata.name={name}")

    async def _read(self, resource: Resource, namespace: str, name: str) -> Object | None:
        try:
            return await self._client.get(resource, name, namespace)
        except StatusError as err:
            if err.code == 404:
                return None
            raise ObjectUnavailable(err.message) from err
        except ConnectionFailed as err:
            raise ObjectUnavailable(str(err)) from err

    def _tell(self, identity: _Identity, old: Object | None, new: Object | None) -> None:
        followed = self._followed.get(identity)
        for uid in list(followed.pods) if followed else ():
            self._changed(uid)

    def release(self, pod_uid: str) -> None:
        """The pod has gone: what only it needed is no longer watched."""
        for identity, followed in list(self._followed.items()):
            followed.pods.discard(pod_uid)
            if not followed.pods:
                del self._followed[identity]
                if followed.fixed is None:
                    self._stop(identity)

    def _stop(self, identity: _Identity) -> None:
        """Ends the watch; who asks for the object meanwhile waits, and gets a new one."""
        task = asyncio.create_task(self._informers.stop(self._informer(identity)))
        self._stopping[identity] = task
        task.add_done_callback(lambda done: self._stopping.pop(identity, None))


class NoObjects:
    """A kubelet without an API server knows no objects."""

    async def get(self, resource: Resource, namespace: str, name: str, pod_uid: str) -> Object | None:
        return None
