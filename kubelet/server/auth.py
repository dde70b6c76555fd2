"""Who asks, and whether they may: client certificates, tokens, and the API server's word on both."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubelet.server.http import Request, Response, error_response
from kubeling.api.errors import StatusError
from kubeling.api.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
_MOST_REMEMBERED = 4096
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# the path's first part to the subresources of nodes of which one is enough; everything else is nodes/proxy
_SUBRESOURCES: Mapping[str, tuple[str, ...]] = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
    "statusz": ("statusz", "proxy"),
}


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


def user_of_certificate(peer: Mapping[str, Any]) -> User | None:
    """Common name and organisations of a verified client certificate."""
    parts = [pair for group in peer.get("subject", ()) for pair in group]
    names = [value for key, value in parts if key == "commonName"]
    groups = [value for key, value in parts if key == "organizationName"]
    return User(names[0], (*groups, "system:authenticated")) if names else None


def node_subresources(path: str) -> tuple[str, ...]:
    return _SUBRESOURCES.get(path.strip("/").split("/")[0], ("proxy",))


@dataclass(frozen=True, slots=True)
class Memory:
    """Seconds for which the API server's answers are remembered."""

    token: float = 120.0
    allowed: float = 300.0
    denied: float = 30.0


class Remembered(Generic[K, V]):
    """Values for a while; at most so many, and those that were asked for last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> tuple[V] | None:
        """The value, in a tuple of its own: it may be None itself."""
        found = self._values.get(key)
        return (found[1],) if found is not None and self._clock.monotonic() < found[0] else None

    def put(self, key: K, value: V, seconds: float) -> None:
        self._values.pop(key, None)
        self._values[key] = (self._clock.monotonic() + seconds, value)
        if len(self._values) > _MOST_REMEMBERED:
            del self._values[next(iter(self._values))]


class Gate:
    """``client`` is None for a kubelet without an API server, which then lets nobody in unless ``always_allow``."""

    def __init__(
        self,
        client: Client | None,
        node_name: str,
        clock: Clock,
        *,
        anonymous: bool,
        tokens: bool,
        always_allow: bool,
        memory: Memory = Memory(),  # a constant
    ) -> None:
        self._client, self._node, self._memory = client, node_name, memory
        self._anonymous, self._check_tokens, self._always_allow = anonymous, tokens, always_allow
        self._users: Remembered[str, User | None] = Remembered(clock)
        self._decisions: Remembered[tuple[User, str, str], bool] = Remembered(clock)

    async def refuse(self, request: Request) -> Response | None:
        """The answer to those who may not, None for those who may."""
        user = await self._authenticate(request)
        if user is None:
            return error_response(401, "Unauthorized")
        if self._always_allow:
            return None
        verb, subresources = _VERBS.get(request.method, ""), node_subresources(request.path)
        asked = f"user={user.name}, verb={verb}, resource=nodes"
        for subresource in subresources:
            try:
                if await self._allowed(user, verb, subresource):
                    return None
            except (StatusError, ClientError) as err:
                log.warning("Authorizing %s, subresource=%s: %s", asked, subresource, err)
                return error_response(500, f"Authorization error ({asked}, subresource={subresource})")
        return error_response(403, f"Forbidden ({asked}, subresource(s)=[{' '.join(subresources)}])\n")

    async def _authenticate(self, request: Request) -> User | None:
        user = user_of_certificate(request.peer)
        if user is not None:
            return user
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token and self._check_tokens:
            return await self._user_of_token(token.strip())
        return ANONYMOUS if self._anonymous else None

    async def _user_of_token(self, token: str) -> User | None:
        key = hashlib.sha256(token.encode()).hexdigest()
        known = self._users.get(key)
        if known is not None:
            return known[0]
        if self._client is None:
            return None
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        try:
            status = (await self._client.create(TOKEN_REVIEWS, review)).get("status") or {}
        except (StatusError, ClientError) as err:
            log.warning("Unable to authenticate a token: %s", err)
            return None
        user = _reviewed_user(status.get("user") or {}) if status.get("authenticated") else None
        self._users.put(key, user, self._memory.token)
        return user

    async def _allowed(self, user: User, verb: str, subresource: str) -> bool:
        key = (user, verb, subresource)
        known = self._decisions.get(key)
        if known is not None:
            return known[0]
        if self._client is None:
            return False
        attributes = {
            "verb": verb,
            "version": "v1",
            "resource": "nodes",
            "subresource": subresource,
            "name": self._node,
        }
        spec = {
            "user": user.name,
            "groups": list(user.groups),
            "uid": user.uid,
            "extra": {k: list(v) for k, v in user.extra},
            "resourceAttributes": attributes,
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._client.create(SUBJECT_ACCESS_REVIEWS, review)
        allowed = bool((answer.get("status") or {}).get("allowed"))
        self._decisions.put(key, allowed, self._memory.allowed if allowed else self._memory.denied)
        return allowed


def _reviewed_user(user: Mapping[str, Any]) -> User:
    extra = tuple(sorted((k, tuple(v)) for k, v in (user.get("extra") or {}).items()))
    return User(user.get("username", ""), tuple(user.get("groups") or ()), user.get("uid", ""), extra)
