"""What the manager lends to its controllers, and how a controller declares itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from controllers.lib.collection import Collection
from controllers.options import Options
from kubeling.api.resource import Resource
from kubeling.client.clock import Clock
from kubeling.client.controller import Controller, Reconciler
from kubeling.client.events import EventRecorder
from kubeling.client.informers import SharedInformers
from kubeling.client.rest import Client
from kubeling.client.store import IndexFunction

K = TypeVar("K", bound=Hashable)


class Runnable(Protocol):
    """Works until cancelled."""

    async def run(self) -> None: ...


@dataclass
class Context:
    """Client, shared informers, clock and options of a manager."""

    client: Client
    informers: SharedInformers
    clock: Clock
    options: Options
    recorders: dict[str, EventRecorder] = field(default_factory=dict)

    def collection(
        self, resource: Resource, *, namespace: str = "", indexers: Mapping[str, IndexFunction] | None = None
    ) -> Collection:
        """The collection, read through the informer that all controllers share."""
        return Collection(self.client, self.informers.informer(resource, namespace=namespace, indexers=indexers))

    def recorder(self, component: str) -> EventRecorder:
        """The event recorder of a component's name; the manager runs it."""
        if component not in self.recorders:
            self.recorders[component] = EventRecorder(self.client, component, clock=self.clock)
        return self.recorders[component]

    def controller(self, name: str, reconciler: Reconciler[K], *, workers: int = 5) -> Controller[K]:
        """A controller on the manager's clock; ``name`` is its work queue's in the metrics."""
        return Controller(name, reconciler, workers=workers, clock=self.clock)


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """A controller's declaration. ``build`` answers what to run, nothing where the options leave it without work.

    ``name`` is upstream's (``deployment-controller``); ``alias`` the short form that ``--controllers`` also takes.
    """

    name: str
    build: Callable[[Context], Sequence[Runnable]]
    alias: str = ""
    on_by_default: bool = True
