"""The claims of a service account token, built and read.

Source: documentation "Managing Service Accounts", section "Schema for service account private claims".
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apiserver.serviceaccounts.names import service_account_username
from kubeling.api.meta import Object, name_of, namespace_of, uid_of

EXTENDED_SECONDS = 365 * 24 * 3600
WARN_ONLY_SECONDS = 3607
"""The lifetime the admission plugin asks for: such tokens live on for a year, and their use after it is warned of."""
_BOUND_KINDS = ("pod", "secret", "node")


@dataclass(frozen=True, slots=True)
class Reference:
    name: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class PrivateClaims:
    """What ``kubernetes.io`` of a token says; references that are absent are None."""

    namespace: str
    account: Reference
    pod: Reference | None = None
    secret: Reference | None = None
    node: Reference | None = None
    warn_after: int | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """The objects a token is bound to, as they are stored. ``node`` beside ``pod`` says where the pod runs."""

    pod: Object | None = None
    secret: Object | None = None
    node: Object | None = None


def build(
    account: Object,
    bound: Bound,
    *,
    issuer: str,
    audiences: Sequence[str],
    seconds: int,
    warn_after: int,
    now: datetime,
) -> dict[str, Any]:
    """The claims of a new token; ``warn_after`` 0: none."""
    issued = int(now.timestamp())
    private: dict[str, Any] = {"namespace": namespace_of(account)}
    for kind in _BOUND_KINDS:
        obj: Object | None = getattr(bound, kind)
        if obj is not None:
            private[kind] = {"name": name_of(obj), "uid": uid_of(obj)}
    private["serviceaccount"] = {"name": name_of(account), "uid": uid_of(account)}
    if warn_after:
        private["warnafter"] = issued + warn_after
    return {
        "aud": list(audiences),
        "exp": issued + seconds,
        "iat": issued,
        "iss": issuer,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": {key: private[key] for key in sorted(private)},
        "nbf": issued,
        "sub": service_account_username(namespace_of(account), name_of(account)),
    }


def read_private(claims: dict[str, Any]) -> PrivateClaims | None:
    """What a token says of its account; None when the claims are not of that form."""
    private = claims.get("kubernetes.io")
    if not isinstance(private, dict):
        return None
    account = _reference(private.get("serviceaccount"))
    namespace = private.get("namespace")
    if account is None or not isinstance(namespace, str) or not namespace or not account.name:
        return None
    warn_after = private.get("warnafter")
    pod, secret, node = (_reference(private.get(kind)) for kind in _BOUND_KINDS)
    return PrivateClaims(namespace, account, pod, secret, node, warn_after if isinstance(warn_after, int) else None)


def _reference(value: Any) -> Reference | None:
    if not isinstance(value, dict):
        return None
    return Reference(str(value.get("name", "")), str(value.get("uid", "")))
