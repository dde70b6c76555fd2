"""Actions: what a kind does for requests that are not plain reads and writes of a stored object.

A handler is named in ``Kind.actions``: under the subresource's name (``binding``, ``eviction``, ``log``, ``token``),
or under ``""`` for
the resource itself when nothing of the kind is stored (reviews, component statuses). It is called after authorization,
decoding (against the schema of the subresource's kind, or of the kind itself) and admission::

    async def create_review(request: ActionRequest) -> ActionResult:
        allowed = await request.services.authorizer.authorize(...)
        return ActionResult({**request.body, "status": {...}}, 201)

    KIND = Kind(SELF_SUBJECT_ACCESS_REVIEWS, actions={"": create_review})
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from apiserver.http.protocols import Authenticator, Authorizer
from apiserver.http.request import RequestInfo, User
from apiserver.registry.admission import AdmissionAttributes
from apiserver.registry.facade import Registries, WriteOptions
from apiserver.registry.kind import Kind
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class TokenIssuer(Protocol):
    """Service account tokens (``apiserver.serviceaccounts``)."""

    async def issue(self, service_account: Object, request: Object, registries: Registries, now: datetime) -> Object:
        """The TokenRequest's ``status`` for its ``spec``."""
        ...


class KubeletConnector(Protocol):
    """Streams to kubelets (``apiserver.streaming``)."""

    def address(self, node: Object) -> tuple[str, int]:
        """Host and port of the node's kubelet. Raises ``StatusError`` for a node without an address."""
        ...

    def stream(
        self, node: Object, path: str, query: str, refusal: Callable[[int, str], StatusError] | None = None
    ) -> ASGIApp:
        """An ASGI application that forwards the request (upgrades included) to the node's kubelet.

        ``refusal`` makes an error of an answer that is no success, from its status and body; without it the client
        gets the answer as it is.
        """
        ...


FEATURES = "features"
"""The name in ``Services.extra`` of the set of feature gates that are turned on."""


@dataclass(frozen=True, slots=True)
class Services:
    """What actions share, put together in ``apiserver.server``. ``extra`` holds further ones by name."""

    authenticator: Authenticator
    authorizer: Authorizer
    tokens: TokenIssuer | None = None
    kubelets: KubeletConnector | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def _untracked(obj: Object) -> Object:
    return obj


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One request to an action.

    ``body`` is the decoded body (None where there is none); ``query`` maps each parameter to its values in order.
    ``track`` gives an object the managedFields that its creation by this request would leave.
    ``scope`` and ``receive`` are the raw ASGI connection, for streams and proxies. ``write`` carries user, field
    manager and dry
    run on to the registries. ``admit`` runs admission over attributes that the handler builds itself.
    """

    info: RequestInfo
    user: User
    kind: Kind
    body: Object | None
    query: Mapping[str, list[str]]
    write: WriteOptions
    now: datetime
    registries: Registries
    services: Services
    scope: Scope
    receive: Receive
    warnings: list[str]
    admit: Callable[[AdmissionAttributes], Awaitable[None]]
    track: Callable[[Object], Object] = _untracked

    @property
    def dry_run(self) -> bool:
        return self.write.dry_run

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An object and the status it is answered with, or a whole ASGI application for streams."""

    object: Object | None = None
    status: int = 200
    response: ASGIApp | None = None


Handler = Callable[[ActionRequest], Awaitable[ActionResult]]
