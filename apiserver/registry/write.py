"""What every write carries with it, and the parts that a registry is put together from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from apiserver.http.request import User
from apiserver.registry.admission import AdmissionAttributes, AdmissionChain, Operation
from apiserver.registry.facade import Registries
from apiserver.registry.kind import Context
from apiserver.registry.served import Served
from kubeling.api.meta import Object

Finish = Callable[[bool], Awaitable[None]]
"""Called once with whether the write succeeded; puts back what was taken for it when not."""


async def finish_nothing(success: bool) -> None:
    return None


class WriteHooks(Protocol):
    """Side effects that belong to writes of a kind (service addresses). ``obj`` may be changed in place."""

    async def begin_create(self, ctx: Context, obj: Object) -> Finish: ...

    async def begin_update(self, ctx: Context, obj: Object, old: Object) -> Finish: ...

    async def after_delete(self, obj: Object) -> None: ...


class NoHooks:
    async def begin_create(self, ctx: Context, obj: Object) -> Finish:
        return finish_nothing

    async def begin_update(self, ctx: Context, obj: Object, old: Object) -> Finish:
        return finish_nothing

    async def after_delete(self, obj: Object) -> None:
        return None


class FieldManager(Protocol):
    """Ownership of fields in one version of a kind (``kubeling.api.apply``). Objects carry
    ``metadata.managedFields``."""

    def update(self, live: Object | None, new: Object, manager: str, subresource: str, now: datetime) -> Object: ...

    def apply(
        self, live: Object | None, patch: Object, manager: str, force: bool, subresource: str, now: datetime
    ) -> Object: ...


ManagerFor = Callable[[Served, str], FieldManager | None]
"""The field manager of a served version and subresource; None where fields are not tracked."""


@dataclass(slots=True)
class Write:
    """One write request. ``options`` is the CreateOptions (and so on) object that admission sees."""

    served: Served
    user: User
    manager: str
    now: datetime
    dry_run: bool = False
    admission: bool = True
    subresource: str = ""
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    audit_annotations: dict[str, str] = field(default_factory=dict)
    kind: tuple[str, str, str] | None = None
    """(group, version, kind) of the request's object where it is not the resource's own (``Scale``)."""
    verb: str = "update"

    def context(self) -> Context:
        user = self.user
        return Context(
            self.now,
            user.name,
            user.uid,
            user.groups,
            user.extra,
            self.subresource,
            self.dry_run,
            self.served.resource.api_version,
            self.verb,
        )

    def attributes(
        self,
        registries: Registries,
        operation: Operation,
        namespace: str,
        name: str,
        obj: Object | None,
        old: Object | None = None,
    ) -> AdmissionAttributes:
        resource = self.served.resource
        return AdmissionAttributes(
            operation,
            resource,
            self.kind or (resource.group, resource.version, resource.kind),
            self.subresource,
            namespace,
            name,
            obj,
            old,
            self.options,
            self.user,
            self.dry_run,
            self.now,
            registries,
            self.warnings,
            self.audit_annotations,
        )


@dataclass(frozen=True, slots=True)
class Policies:
    """What registries share: admission, field managers, and the facade that both are given."""

    admission: AdmissionChain
    manager_for: ManagerFor
    registries: Registries
