"""Checks service account tokens: signature, issuer, audience, time, and that what they are bound to still exists."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from apiserver.authn.bearer import Refused
from apiserver.authn.certificates import CREDENTIAL_ID
from apiserver.http.request import User
from apiserver.registry.facade import Registries
from apiserver.serviceaccounts.claims import PrivateClaims, Reference, read_private
from apiserver.serviceaccounts.keys import VerifyingKey, by_id
from apiserver.serviceaccounts.names import service_account_groups, service_account_username
from kubeling.api import errors
from kubeling.api.meta import Object, labels_of, name_of, namespace_of, parse_time, uid_of, utcnow
from kubeling.api.resource import Resource
from kubeling.api.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS

LEGACY_ISSUER = "kubernetes/serviceaccount"
_CACHE_SECONDS = 10.0
_MAX_CACHED = 8192
_DELETION_LEEWAY = timedelta(seconds=60)
_LAST_USED, _INVALID_SINCE = "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"
_LOG = logging.getLogger(__name__)
_PREFIX = "authentication.kubernetes.io/"
_INVALIDATED = "service account token has been invalidated"
_CLAIMS = {
    "serviceaccounts": ("service account", "claim"),
    "secrets": ("secret", "service account secret ref claim"),
    "pods": ("pod", "service account pod ref claim"),
    "nodes": ("node", "service account node ref claim"),
}
"""How a UID that does not match is told of: whose it is, and which claim says otherwise."""


@dataclass(frozen=True, slots=True)
class _Checked:
    user: User
    until: datetime


class ServiceAccountTokens:
    """A good token is believed for ten seconds before what it is bound to is looked up again, as upstream does."""

    def __init__(
        self,
        issuers: Sequence[str],
        audiences: Sequence[str],
        keys: Sequence[VerifyingKey],
        registries: Registries,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._issuers = frozenset(issuers)
        self._audiences = frozenset(audiences)
        self._keys = by_id(keys)
        self._registries = registries
        self._clock = clock
        self._checked: dict[str, _Checked] = {}

    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        if audiences:
            return await self._authenticate(token, frozenset(audiences))
        checked = self._checked.get(token)
        if checked is not None and self._clock() < checked.until:
            return checked.user
        self._checked.pop(token, None)
        user = await self._authenticate(token, self._audiences)
        if user is not None:
            if len(self._checked) >= _MAX_CACHED:
                self._checked.clear()
            self._checked[token] = _Checked(
                user, min(_expiry(token), self._clock() + timedelta(seconds=_CACHE_SECONDS))
            )
        return user

    async def _authenticate(self, token: str, audiences: frozenset[str]) -> User | None:
        claims = _unverified(token)
        if claims is None:
            return None
        issuer = claims.get("iss")
        if issuer != LEGACY_ISSUER and issuer not in self._issuers:
            return None
        claims = self._verified(token)
        if issuer == LEGACY_ISSUER:
            return await self._legacy(token, claims, audiences)
        meant = _audiences(claims)
        if audiences.isdisjoint(meant):
            raise Refused(f"token audiences {_shown(meant)} is invalid for the target audiences {_shown(audiences)}")
        private = read_private(claims)
        self._check_time(claims)
        if private is None:
            raise Refused("service account token claims could not be validated due to unexpected private claim")
        account = await self._existing(SERVICE_ACCOUNTS, private.account, private.namespace)
        extra = await self._check_bound(private)
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        return _user(private.namespace, private.account.name, uid_of(account), extra)

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims, once one of the keys vouches for them."""
        header: Mapping[str, Any] = extract_compact(token.encode()).protected
        named = self._keys.get(str(header.get("kid", "")))
        for key in (named,) if named is not None else self._keys.values():
            try:
                return dict(jwt.decode(token, key.jwk, algorithms=[key.algorithm]).claims)
            except (JoseError, ValueError):
                continue
        raise Refused("go-jose/go-jose: error in cryptographic primitive")

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        try:
            expires = datetime.fromtimestamp(claims["exp"], UTC)
            starts = datetime.fromtimestamp(claims.get("nbf", 0), UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            raise Refused("service account token claims could not be validated") from None
        if now >= expires:
            raise Refused("service account token has expired")
        if now < starts - _DELETION_LEEWAY:
            raise Refused("service account token is not valid yet")

    async def _check_bound(self, private: PrivateClaims) -> dict[str, tuple[str, ...]]:
        """The extra values of the user, once the objects the token is bound to are found alive."""
        extra: dict[str, tuple[str, ...]] = {}
        node = private.node
        if private.secret is not None:
            await self._existing(SECRETS, private.secret, private.namespace)
        if private.pod is not None:
            pod = await self._existing(PODS, private.pod, private.namespace)
            extra |= {_PREFIX + "pod-name": (private.pod.name,), _PREFIX + "pod-uid": (private.pod.uid,)}
            running_on = (pod.get("spec") or {}).get("nodeName") or ""
            if node is None and running_on:
                node = Reference(running_on)
        elif node is not None:
            await self._existing(NODES, node, "")
        if node is not None:
            extra[_PREFIX + "node-name"] = (node.name,)
            if node.uid:
                extra[_PREFIX + "node-uid"] = (node.uid,)
        return extra

    async def _existing(self, resource: Resource, reference: Reference, namespace: str) -> Object:
        registry = self._registries.of(resource)
        found = registry.cached(reference.name, namespace)
        if found is None:
            try:
                found = await registry.get(reference.name, namespace)
            except errors.StatusError as error:
                if not errors.is_not_found(error):
                    raise
                gone = error.message if resource is SERVICE_ACCOUNTS else _INVALIDATED
                raise Refused(gone) from None
        deleted = (found.get("metadata") or {}).get("deletionTimestamp")
        if deleted and parse_time(deleted) < self._clock() - _DELETION_LEEWAY:
            raise Refused(_INVALIDATED)
        if uid_of(found) != reference.uid:
            claim = _CLAIMS[resource.plural]
            raise Refused(f"{claim[0]} UID ({uid_of(found)}) does not match {claim[1]} ({reference.uid})")
        return found

    async def _legacy(self, token: str, claims: Mapping[str, Any], audiences: frozenset[str]) -> User:
        """A token out of a Secret of type ``kubernetes.io/service-account-token``: good as long as the Secret holds it."""
        prefix = "kubernetes.io/serviceaccount/"
        namespace = str(claims.get(prefix + "namespace", ""))
        account = Reference(
            str(claims.get(prefix + "service-account.name", "")), str(claims.get(prefix + "service-account.uid", ""))
        )
        secret = str(claims.get(prefix + "secret.name", ""))
        if not (namespace and account.name and secret) or audiences.isdisjoint(self._audiences):
            raise Refused("service account token claims could not be validated")
        await self._existing(SERVICE_ACCOUNTS, account, namespace)
        found = self._registries.of(SECRETS).cached(secret, namespace)
        if found is None or _decoded(found, "token") != token:
            raise Refused(_INVALIDATED)
        await self._note_use(found)
        if labels_of(found).get(_INVALID_SINCE):
            raise Refused(
                f"the token in secret {namespace}/{secret} for service account {namespace}/{account.name} has been marked "
                "invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the "
                f"'{_INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )
        return _user(namespace, account.name, account.uid, {})

    async def _note_use(self, secret: Object) -> None:
        """The day of the last use, in a label: the cleaner of legacy tokens goes by it. A failure must not refuse the token."""
        today = self._clock().strftime("%Y-%m-%d")
        if labels_of(secret).get(_LAST_USED) == today:
            return

        def noted(current: Object) -> Object:
            metadata = current["metadata"]
            return {**current, "metadata": {**metadata, "labels": {**labels_of(current), _LAST_USED: today}}}

        try:
            await self._registries.of(SECRETS).update(name_of(secret), noted, namespace_of(secret))
        except errors.StatusError as err:
            _LOG.warning("cannot note the use of a token", extra={"secret": name_of(secret), "error": err.message})


def _user(namespace: str, name: str, uid: str, extra: Mapping[str, tuple[str, ...]]) -> User:
    return User(service_account_username(namespace, name), uid, service_account_groups(namespace), extra)


def token_audiences(token: str) -> set[str] | None:
    """The audiences that a JWT claims, unverified; None for a token of another sort."""
    claims = _unverified(token)
    return None if claims is None else _audiences(claims)


def _shown(audiences: Iterable[str]) -> str:
    return "[" + " ".join(json.dumps(a, ensure_ascii=False) for a in sorted(audiences)) + "]"


def _expiry(token: str) -> datetime:
    """When a token that was checked ends (legacy ones never do)."""
    expires = (_unverified(token) or {}).get("exp")
    return datetime.max.replace(tzinfo=UTC) if expires is None else datetime.fromtimestamp(expires, UTC)


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    value = claims.get("aud")
    return {value} if isinstance(value, str) else set(value) if isinstance(value, list) else set()


def _unverified(token: str) -> dict[str, Any] | None:
    """The claims as they stand, or None when the text is no JWT."""
    if token.count(".") != 2:
        return None
    try:
        claims = json.loads(extract_compact(token.encode()).payload)
    except (JoseError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _decoded(secret: Object, key: str) -> str:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
