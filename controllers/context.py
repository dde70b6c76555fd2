"""What the manager lends to its controllers, and how a controller declares itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from controllers.lib.collection import Collection
from controllers.options import Options
from kubeling.api.resource import Resource
from kubeling.client.backoff import KeyedBackoff
from kubeling.client.clock import Clock
from kubeling.client.controller import Controller, Reconciler
from kubeling.client.events import EventRecorder
from kubeling.client.informers import SharedInformers
from kubeling.client.rest import Client
from kubeling.client.store import IndexFunction
from kubeling.client.workqueue import WorkQueue

K = TypeVar("K", bound=Hashable)


class Runnable(Protocol):
    """Works until cancelled."""

    async def run(self) -> None: ...


@dataclass
class Context:
    """Client, shared informers, clock and options of a manager; ``workers`` is how many keys a controller has in work."""

    client: Client
    informers: SharedInformers
    clock: Clock
    options: Options
    recorders: dict[str, EventRecorder] = field(default_factory=dict)
    workers: int = 5

    def acting_as(self, client: Client, workers: int) -> Context:
        """The same for one controller: with a client of its own, which its events go through too."""
        return replace(self, client=client, workers=workers, recorders={})

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

    def controller(
        self, name: str, reconciler: Reconciler[K], *, workers: int = 0, backoff: KeyedBackoff | None = None
    ) -> Controller[K]:
        """A controller on the manager's clock; ``name`` is its work queue's in the metrics."""
        queue: WorkQueue[K] = WorkQueue(name, clock=self.clock, backoff=backoff)
        return Controller(name, reconciler, workers=workers or self.workers, queue=queue, clock=self.clock)


Build = Callable[[Context], Sequence[Runnable]]


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """A controller's declaration. ``build`` answers what to run, nothing where the options leave it without work.

    ``name`` is upstream's (``deployment-controller``); ``alias`` the short form that ``--controllers`` also takes. ``account``
    is the service account in kube-system that it acts as under ``--use-service-account-credentials``, by default its name;
    ``root`` marks one that acts with the manager's own credentials all the same. ``syncs`` names the option that says how many
    keys it has in work. ``idle``: why it builds nothing, for one that never does.
    """

    name: str
    build: Build
    alias: str = ""
    on_by_default: bool = True
    account: str = ""
    root: bool = False
    syncs: str = ""
    idle: str = ""

    def workers(self, options: Options) -> int:
        return int(getattr(options, self.syncs)) if self.syncs else 5
