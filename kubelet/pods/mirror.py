"""Mirror pods: how the API shows static pods."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from collections.abc import Callable

from kubelet.pods import spec as podspec
from kubelet.pods.sources import ApiPods
from kubelet.pods.static import StaticPods
from kubeling.api.errors import StatusError, is_already_exists, is_not_found
from kubeling.api.meta import Key, Object, annotations_of, is_deleting, key_of, name_of, namespace_of, uid_of
from kubeling.api.resources import NODES, PODS
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
_PERIOD = 5.0


def mirror_of(pod: Object, node: Object) -> Object:
    """The API object for a static pod: owned by the node, with the hash that says of which version it is."""
    mirror = copy.deepcopy(pod)
    metadata = mirror["metadata"]
    metadata.pop("uid", None)
    metadata["annotations"][podspec.MIRROR_ANNOTATION] = annotations_of(pod)[podspec.HASH_ANNOTATION]
    metadata["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Node", "name": name_of(node), "uid": uid_of(node), "controller": True}
    ]
    mirror.pop("status", None)
    return mirror


class MirrorPods:
    """``leaving`` tells whether a pod of that name still ends: its mirror shows it until then."""

    def __init__(self, client: Client, static: StaticPods, leaving: Callable[[Key], bool]) -> None:
        self._client, self._static, self._leaving = client, static, leaving
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self, api: ApiPods) -> None:
        """Keeps one mirror for each static pod, and none for others."""
        api.follow_mirrors(lambda mirror: self.wake())
        await api.informer.wait_synced()
        while True:
            self._wake.clear()
            try:
                await self._reconcile(api)
            except (StatusError, ClientError) as err:
                log.warning("Mirror pods: %s", err)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await self._wake.wait()

    async def _reconcile(self, api: ApiPods) -> None:
        wanted = {key_of(p): p for p in self._static.pods.values() if not self._leaving(key_of(p))}
        for mirror in api.mirrors():
            if self._leaving(key_of(mirror)):
                continue
            pod = wanted.get(key_of(mirror))
            if pod is None or is_deleting(mirror) or not _same(mirror, pod):
                await self._delete(mirror)
        for pod in wanted.values():
            if api.latest(pod) is None:
                await self._create(pod)

    async def _create(self, pod: Object) -> None:
        node = await self._client.get(NODES, podspec.spec_of(pod)["nodeName"])
        try:
            await self._client.create(PODS, mirror_of(pod, node))
        except StatusError as err:
            if not is_already_exists(err):
                raise

    async def _delete(self, mirror: Object) -> None:
        try:
            await self._client.delete(
                PODS, name_of(mirror), namespace_of(mirror), grace_period_seconds=0, uid=uid_of(mirror)
            )
        except StatusError as err:
            if not is_not_found(err):
                raise


def _same(mirror: Object, pod: Object) -> bool:
    return annotations_of(mirror).get(podspec.MIRROR_ANNOTATION) == annotations_of(pod).get(podspec.HASH_ANNOTATION)
