"""Bootstrap tokens: Secrets in ``kube-system`` that let a new node ask for its certificate.

Source: documentation "Authenticating with Bootstrap Tokens".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime

from apiserver.http.request import User
from apiserver.registry.facade import Registries
from kubeling.api.meta import Object, is_deleting, parse_time, utcnow
from kubeling.api.resources import SECRETS

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_TYPE = "bootstrap.kubernetes.io/token"
_DEFAULT_GROUP = "system:bootstrappers"


class BootstrapTokens:
    """``--enable-bootstrap-token-auth``."""

    def __init__(self, registries: Registries, clock: Callable[[], datetime] = utcnow) -> None:
        self._registries = registries
        self._clock = clock

    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        token_id, token_secret = match.groups()
        secret = self._registries.of(SECRETS).cached(f"bootstrap-token-{token_id}", "kube-system")
        if secret is None:
            return None
        return bootstrap_user(secret, token_id, token_secret, self._clock())


def bootstrap_user(secret: Object, token_id: str, token_secret: str, now: datetime) -> User | None:
    """The user a Secret makes of a token, None where it does not vouch for it."""
    data = {key: _text(value) for key, value in (secret.get("data") or {}).items()}
    if is_deleting(secret) or secret.get("type") != _TYPE:
        return None
    if not hmac.compare_digest(data.get("token-secret", "").encode(), token_secret.encode()):
        return None
    if data.get("token-id") != token_id or data.get("usage-bootstrap-authentication") != "true":
        return None
    if _expired(data.get("expiration", ""), now):
        return None
    extra = [g.strip() for g in data.get("auth-extra-groups", "").split(",") if g.strip()]
    if any(_GROUP.fullmatch(g) is None for g in extra):
        return None
    return User(f"system:bootstrap:{token_id}", groups=tuple(dict.fromkeys((_DEFAULT_GROUP, *sorted(extra)))))


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _expired(expiration: str, now: datetime) -> bool:
    """A time that cannot be read counts as expired."""
    if not expiration:
        return False
    try:
        return parse_time(expiration) <= now
    except ValueError:
        return True
