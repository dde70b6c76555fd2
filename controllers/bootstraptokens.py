"""Bootstrap tokens: expired ones are removed, and the others sign ``kube-public/cluster-info``.

Source of the rules: the bootstrap token documentation; the signature is a detached JWS (HS256) over the kubeconfig.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import orjson

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.meta import Key, Object, key_of, name_of, parse_time
from kubeling.api.resources import CONFIG_MAPS, SECRETS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result

TYPE = "bootstrap.kubernetes.io/token"
PREFIX = "bootstrap-token-"
_NAME = re.compile(f"{PREFIX}[a-z0-9]{{6}}")
CLUSTER_INFO = Key("kube-public", "cluster-info")
SIGNATURE_PREFIX = "jws-kubeconfig-"
NAMESPACE = "kube-system"


def _data(secret: Mapping[str, object], field: str) -> str:
    data = secret.get("data") or {}
    assert isinstance(data, dict)
    return base64.b64decode(data.get(field, "")).decode(errors="replace")


def seconds_left(secret: Object, now: datetime) -> float | None:
    """Seconds until the token expires; None when it never does. One whose expiration cannot be read is over."""
    text = _data(secret, "expiration")
    if not text:
        return None
    try:
        return (parse_time(text) - now).total_seconds()
    except ValueError:
        return 0.0


def is_token(secret: Object) -> bool:
    return secret.get("type") == TYPE


def signing_token(secret: Object, now: datetime) -> tuple[str, str] | None:
    """(id, secret) of a token that may sign; None for others."""
    token_id, token_secret = _data(secret, "token-id"), _data(secret, "token-secret")
    if not is_token(secret) or not _NAME.fullmatch(name_of(secret)) or name_of(secret) != PREFIX + token_id:
        return None
    if not token_secret:
        return None
    left = seconds_left(secret, now)
    if _data(secret, "usage-bootstrap-signing") != "true" or (left is not None and left <= 0):
        return None
    return token_id, token_secret


def signature(content: str, token_id: str, token_secret: str) -> str:
    """The JWS with its payload left out."""
    header = _base64(orjson.dumps({"alg": "HS256", "kid": token_id}))
    payload = _base64(content.encode())
    digest = hmac.new(token_secret.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    return f"{header}..{_base64(digest)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(data: Mapping[str, str], tokens: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The ConfigMap's data with a signature for each token and no other; as it is where there is nothing to sign."""
    if "kubeconfig" not in data:
        return dict(data)
    kept = {k: v for k, v in data.items() if not k.startswith(SIGNATURE_PREFIX)}
    content = data["kubeconfig"]
    return kept | {f"{SIGNATURE_PREFIX}{i}": signature(content, i, secret) for i, secret in tokens}


class TokenCleaner:
    """Deletes each token when it expires."""

    def __init__(self, secrets: Collection, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        secret = self._secrets.get(key)
        left = seconds_left(secret, self._clock.now()) if secret is not None and is_token(secret) else None
        if secret is None or left is None:
            return None
        if left > 0:
            return Result(left)
        await self._secrets.delete(secret)
        return None


class Signer:
    """Keeps the signatures of cluster-info."""

    def __init__(self, secrets: Collection, config_maps: Collection, clock: Clock) -> None:
        self._secrets = secrets
        self._config_maps = config_maps
        self._clock = clock

    async def reconcile(self, _: Key) -> None:
        info = self._config_maps.get(CLUSTER_INFO)
        if info is None:
            return
        now = self._clock.now()
        found = [token for s in self._secrets.store.list() if (token := signing_token(s, now)) is not None]
        wanted = signed(info.get("data") or {}, sorted(found))
        if wanted != (info.get("data") or {}):
            await self._config_maps.update({**info, "data": wanted})


def _tokens(old: Object | None, new: Object | None) -> Iterable[Key]:
    if new is not None and is_token(new):
        yield key_of(new)


def _build_cleaner(context: Context) -> Sequence[Runnable]:
    secrets = context.collection(SECRETS, namespace=NAMESPACE)
    controller = context.controller("token_cleaner", TokenCleaner(secrets, context.clock), workers=1)
    controller.watch(secrets.informer, _tokens)
    return [controller]


def _build_signer(context: Context) -> Sequence[Runnable]:
    secrets = context.collection(SECRETS, namespace=NAMESPACE)
    config_maps = context.collection(CONFIG_MAPS, namespace=CLUSTER_INFO.namespace)

    def any_token(old: Object | None, new: Object | None) -> Iterable[Key]:
        if any(s is not None and is_token(s) for s in (old, new)):
            yield CLUSTER_INFO

    controller = context.controller("bootstrap_signer_queue", Signer(secrets, config_maps, context.clock), workers=1)
    controller.watch(secrets.informer, any_token)
    controller.watch(config_maps.informer, lambda old, new: [CLUSTER_INFO])
    return [controller]


CLEANER = ControllerSpec(
    "token-cleaner-controller", _build_cleaner, alias="tokencleaner", on_by_default=False, account="token-cleaner"
)
SIGNER = ControllerSpec(
    "bootstrap-signer-controller",
    _build_signer,
    alias="bootstrapsigner",
    on_by_default=False,
    account="bootstrap-signer",
)
