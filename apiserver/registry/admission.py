"""The admission seam: what a plugin is given and what it may do.

Mutating plugins run before validation and may change ``attributes.obj`` in place; validating plugins run last before
storage and must not change it. Both refuse by raising ``StatusError`` (403 in most cases) and warn by
``attributes.warn``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Protocol

from apiserver.http.request import User
from apiserver.metrics.tally import AdmissionTimes
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object
from kubeling.api.resource import Resource

if TYPE_CHECKING:
    from apiserver.registry.facade import Registries

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True)
class AdmissionAttributes:
    """One admission request.

    ``resource`` is the requested resource and version; ``subresource`` empty for the object itself. ``obj`` is the new
    object (None for DELETE, the options for CONNECT), ``old_obj`` the stored one (UPDATE, DELETE). ``kind`` is the
    ``(group, version, kind)`` of ``obj``: that of the subresource where it differs (``Scale``, ``Eviction``).
    ``options`` is the CreateOptions, UpdateOptions or DeleteOptions object.
    """

    operation: Operation
    resource: Resource
    kind: tuple[str, str, str]
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old_obj: Object | None
    options: Object
    user: User
    dry_run: bool
    now: datetime
    registries: Registries
    warnings: list[str] = field(default_factory=list)
    audit_annotations: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    """Scratch space of the plugins of one request (what the mutating pass hands to the validating one)."""

    def warn(self, text: str) -> None:
        """Adds a Warning header to the answer."""
        self.warnings.append(text)


class AdmissionPlugin(Protocol):
    """One plugin. ``handles`` is asked first and must be cheap; a plugin without a pass inherits ``NoAdmission``'s.

    ``resources``: the (group, plural) pairs whose requests concern the plugin at all, None for those of any resource.
    """

    name: str

    @property
    def resources(self) -> Collection[tuple[str, str]] | None: ...

    def handles(self, attributes: AdmissionAttributes) -> bool: ...

    async def mutate(self, attributes: AdmissionAttributes) -> None: ...

    async def validate(self, attributes: AdmissionAttributes) -> None: ...


class NoAdmission:
    """Base class with the neutral behaviour of every method."""

    name = ""
    resources: Collection[tuple[str, str]] | None = None

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return True

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        return None

    async def validate(self, attributes: AdmissionAttributes) -> None:
        return None


class AdmissionChain:
    """Runs the plugins in their order: all that mutate, later all that validate.

    Which plugins a resource concerns, and which passes they have, is worked out once for each resource.
    """

    def __init__(self, plugins: Sequence[AdmissionPlugin] = (), times: AdmissionTimes | None = None) -> None:
        self.plugins = plugins
        self.times = times or AdmissionTimes()

    @property
    def plugins(self) -> Sequence[AdmissionPlugin]:
        return self._plugins

    @plugins.setter
    def plugins(self, plugins: Sequence[AdmissionPlugin]) -> None:
        self._plugins = tuple(plugins)
        self._concerned: dict[tuple[str, str], tuple[_Passes, _Passes]] = {}

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        await self._pass(attributes, "admit", self._of(attributes.resource)[0])

    async def validate(self, attributes: AdmissionAttributes) -> None:
        await self._pass(attributes, "validate", self._of(attributes.resource)[1])

    async def _pass(self, attributes: AdmissionAttributes, type_: str, plugins: _Passes) -> None:
        times, operation, mutates = self.times, attributes.operation, type_ == "admit"
        began = before = perf_counter()
        name = ""
        try:
            for plugin in plugins:
                if not plugin.handles(attributes):
                    continue
                name = plugin.name
                await (plugin.mutate(attributes) if mutates else plugin.validate(attributes))
                now = perf_counter()
                times.plugin(name, operation, type_, now - before, False)
                before = now
        except StatusError:
            times.plugin(name, operation, type_, perf_counter() - before, True)
            times.step(operation, type_, perf_counter() - began, True)
            raise
        times.step(operation, type_, before - began, False)

    def _of(self, resource: Resource) -> tuple[_Passes, _Passes]:
        """The plugins that may mutate and those that may validate requests for a resource."""
        key = (resource.group, resource.plural)
        found = self._concerned.get(key)
        if found is None:
            plugins = [p for p in self._plugins if p.resources is None or key in p.resources]
            mutating = tuple(p for p in plugins if _has(p, "mutate"))
            validating = tuple(p for p in plugins if _has(p, "validate"))
            found = self._concerned[key] = (mutating, validating)
        return found


_Passes = tuple[AdmissionPlugin, ...]


def _has(plugin: AdmissionPlugin, name: str) -> bool:
    """Whether the plugin has a pass of its own."""
    return getattr(type(plugin), name, None) is not getattr(NoAdmission, name)
