"""The seams of the chain: what authentication, authorization and audit look like to it.

The chain knows these protocols alone; ``apiserver.server`` puts the implementations in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from apiserver.http.request import RequestInfo, User

Headers = Mapping[str, str]
"""Lower-case header names to values; several headers of one name are joined with ``, `` (all but the first come
last)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries to prove who sends it.

    ``client_certificates``: the DER chain of the TLS client, leaf first, empty without one. ``headers``: lower-case
    names.
    ``raw_headers``: every header as sent (impersonation repeats ``Impersonate-Group``). ``websocket_protocols``: the
    offered subprotocols (``base64url.bearer.authorization.k8s.io.<token>`` carries a token).
    """

    headers: Headers
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    client_certificates: tuple[bytes, ...] = ()
    websocket_protocols: tuple[str, ...] = ()


class Authenticator(Protocol):
    async def authenticate(self, credentials: Credentials) -> User | None:
        """The user; None when the credentials say nothing (the next one, at last anonymous, decides).

        Raises ``StatusError`` 401 for credentials that are wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an authorizer judges. A non-resource request has ``resource_request`` False and counts on ``path`` and
    ``verb``."""

    user: User
    verb: str
    resource_request: bool = True
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    label_selector: str = ""
    field_selector: str = ""

    @classmethod
    def of(cls, user: User, info: RequestInfo) -> Attributes:
        return cls(
            user, info.verb, info.is_resource, info.group, info.version, info.resource, info.subresource,
            info.namespace, info.name, info.path, info.label_selector, info.field_selector,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """``denied``: an explicit no that ends a union of authorizers; neither allowed nor denied is "no opinion"."""

    allowed: bool
    reason: str = ""
    denied: bool = False


class Authorizer(Protocol):
    async def authorize(self, attributes: Attributes) -> Decision: ...

    async def rules_for(
        self, user: User, namespace: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool, str]:
        """For SelfSubjectRulesReview: resource rules, non-resource rules, incomplete, evaluation error."""
        ...


@dataclass(slots=True)
class AuditRecord:
    """What the chain collects of one request for the audit hook; annotations may be added on the way."""

    audit_id: str
    info: RequestInfo
    uri: str
    received: datetime
    user: User | None = None
    impersonated: User | None = None
    user_agent: str = ""
    source_ips: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    level: str = "Metadata"
    recorded_objects: int = 1
    """The level as a number: 2 and above record what the client sent, 3 what it was answered."""
    omitted: frozenset[str] = frozenset()
    omit_managed_fields: bool = False
    named: dict[str, Any] = field(default_factory=dict)
    """What the object in the request says of its own name, namespace, uid and version."""
    request_object: Any = None
    response_object: Any = None
    response_status: dict[str, Any] | None = None
    panicked: bool = False


class AuditSink(Protocol):
    """``request.audit`` is the record of a request that is to be recorded, None otherwise."""

    def received(self, request: Any) -> None: ...

    def started(self, request: Any, response: Any) -> None:
        """Before a lasting answer begins."""
        ...

    def finished(self, request: Any, response: Any) -> None: ...
