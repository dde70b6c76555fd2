"""What the EndpointSlice and Endpoints controllers share: which services a change concerns."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.endpoints.members import relevant
from controllers.lib.collection import Collection
from kubeling.api import selectors
from kubeling.api.meta import Key, Object, key_of, labels_of, namespace_of


class ServicesOfPods:
    """From changed pods to the services that select them, before or after the change."""

    def __init__(self, services: Collection) -> None:
        self._services = services

    def keys(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is not None and new is not None and relevant(old) == relevant(new):
            return
        found = [key for pod in (old, new) if pod is not None for key in self._selecting(pod)]
        yield from dict.fromkeys(found)

    def _selecting(self, pod: Object) -> Iterable[Key]:
        labels = labels_of(pod).items()
        for service in self._services.store.list(namespace_of(pod)):
            selector = service["spec"].get("selector")
            if selector and selector.items() <= labels:
                yield key_of(service)


def pods_of(service: Object, pods: Collection) -> list[Object]:
    """The pods that the service selects."""
    selector = selectors.from_map(service["spec"].get("selector"))
    return [pod for pod in pods.store.list(namespace_of(service)) if selector.matches(labels_of(pod))]
