"""Pods that the API server has bound to this node."""

from __future__ import annotations

from collections.abc import Callable

from kubelet.pods import spec as podspec
from kubeling.api.meta import Key, Object, annotations_of, key_of, uid_of
from kubeling.api.resources import PODS
from kubeling.client.clock import Clock
from kubeling.client.informer import Informer
from kubeling.client.rest import Client


class ApiPods:
    """The API's pods of one node. Mirrors of static pods are kept apart: they are shown, never run."""

    def __init__(self, client: Client, node_name: str, clock: Clock) -> None:
        self.informer = Informer(client, PODS, field_selector=f"spec.nodeName={node_name}", clock=clock)
        self._on_mirror: list[Callable[[Object], None]] = []

    @property
    def synced(self) -> bool:
        return self.informer.synced

    async def run(self) -> None:
        await self.informer.run()

    def follow(self, put: Callable[[Object], None], drop: Callable[[Object], None]) -> None:
        """Tells of every pod that this node is to run."""

        def handle(old: Object | None, new: Object | None) -> None:
            pod = new or old
            if pod is None:
                return
            if podspec.is_mirror(pod):
                for told in self._on_mirror:
                    told(pod)
            elif new is None:
                drop(pod)
            else:
                put(new)

        self.informer.add_handler(handle)

    def follow_mirrors(self, changed: Callable[[Object], None]) -> None:
        """Tells of every mirror that has come, changed or gone."""
        self._on_mirror.append(changed)

    def latest(self, pod: Object) -> Object | None:
        """The newest API object for a pod that runs here: the same UID, or the mirror of this static pod."""
        found = self.informer.store.get(key_of(pod))
        if found is None:
            return None
        if podspec.is_static(pod):
            mirrored = annotations_of(found).get(podspec.MIRROR_ANNOTATION)
            return found if mirrored == annotations_of(pod).get(podspec.HASH_ANNOTATION) else None
        return found if uid_of(found) == uid_of(pod) else None

    def mirror(self, pod: Object) -> Object | None:
        """The mirror that stands under a static pod's name, of whatever version of it."""
        found = self.informer.store.get(key_of(pod))
        return found if found is not None and podspec.is_mirror(found) else None

    def mirrors(self) -> list[Object]:
        return [p for p in self.informer.store.list() if podspec.is_mirror(p)]

    def at(self, key: Key) -> Object | None:
        return self.informer.store.get(key)
