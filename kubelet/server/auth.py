"""Who asks, and whether they may: client certificates, tokens, and the API server's word on both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.server.http import Request, Response, error_response
from kubeling.api.errors import StatusError
from kubeling.api.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

_TOKEN_SECONDS, _ALLOWED_SECONDS, _DENIED_SECONDS = 120.0, 300.0, 30.0
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
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
}


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
    return _SUBRESOURCES.get(path.strip("/").split("/")[0].lower(), ("proxy",))


class Gate:
    """``client`` is None for a kubelet without an API server, which then lets nobody in unless ``always_allow``."""

    def __init__(
        self, client: Client | None, node_name: str, clock: Clock, *, anonymous: bool, tokens: bool, always_allow: bool
    ) -> None:
        self._client, self._node, self._clock = client, node_name, clock
        self._anonymous, self._check_tokens, self._always_allow = anonymous, tokens, always_allow
        self._users: dict[str, tuple[float, User | None]] = {}
        self._decisions: dict[tuple[User, str, str], tuple[float, bool]] = {}

    async def refuse(self, request: Request) -> Response | None:
        """The answer to those who may not, None for those who may."""
        user = await self._authenticate(request)
        if user is None:
            return error_response(401, "Unauthorized")
        if self._always_allow:
            return None
        verb, subresources = _VERBS.get(request.method, "get"), node_subresources(request.path)
        try:
            for subresource in subresources:
                if await self._allowed(user, verb, subresource):
                    return None
        except (StatusError, ClientError) as err:
            shown = f"user={user.name}, verb={verb}, resource=nodes, subresource(s)={list(subresources)}"
            return error_response(500, f"Authorization error ({shown}): {err}")
        shown = " ".join(subresources)
        return error_response(
            403, f"Forbidden (user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{shown}])"
        )

    async def _authenticate(self, request: Request) -> User | None:
        user = user_of_certificate(request.peer)
        if user is not None:
            return user
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token and self._check_tokens:
            return await self._user_of_token(token.strip())
        return ANONYMOUS if self._anonymous else None

    async def _user_of_token(self, token: str) -> User | None:
        key, now = hashlib.sha256(token.encode()).hexdigest(), self._clock.monotonic()
        known = self._users.get(key)
        if known is not None and now < known[0]:
            return known[1]
        if self._client is None:
            return None
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        try:
            status = (await self._client.create(TOKEN_REVIEWS, review)).get("status") or {}
        except (StatusError, ClientError):
            return None
        user = _reviewed_user(status.get("user") or {}) if status.get("authenticated") else None
        self._users[key] = (now + (_TOKEN_SECONDS if user else 0), user)
        return user

    async def _allowed(self, user: User, verb: str, subresource: str) -> bool:
        key, now = (user, verb, subresource), self._clock.monotonic()
        known = self._decisions.get(key)
        if known is not None and now < known[0]:
            return known[1]
        if self._client is None:
            return False
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.name,
                "groups": list(user.groups),
                "uid": user.uid,
                "extra": {k: list(v) for k, v in user.extra},
                "resourceAttributes": {
                    "verb": verb,
                    "version": "v1",
                    "resource": "nodes",
                    "subresource": subresource,
                    "name": self._node,
                },
            },
        }
        answer = await self._client.create(SUBJECT_ACCESS_REVIEWS, review)
        allowed = bool((answer.get("status") or {}).get("allowed"))
        self._decisions[key] = (now + (_ALLOWED_SECONDS if allowed else _DENIED_SECONDS), allowed)
        return allowed


def _reviewed_user(user: Mapping[str, Any]) -> User:
    extra = tuple(sorted((k, tuple(v)) for k, v in (user.get("extra") or {}).items()))
    return User(user.get("username", ""), tuple(user.get("groups") or ()), user.get("uid", ""), extra)
