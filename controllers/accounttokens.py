"""Service account token Secrets: filled with a token that never expires, and gone with their account."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.meta import Key, Object, annotations_of, key_of, name_of, namespace_of, uid_of
from kubeling.api.resources import SECRETS, SERVICE_ACCOUNTS
from kubeling.client.errors import StartError

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
BY_ACCOUNT = "service-account"
_CLAIM = "kubernetes.io/serviceaccount"


class TokenSigner:
    """Signs the tokens of Secrets. Raises StartError when the key cannot be used."""

    def __init__(self, key_file: str) -> None:
        try:
            key = load_pem_private_key(Path(key_file).read_bytes(), None)
        except (OSError, ValueError, TypeError) as err:
            raise StartError(f"cannot use --service-account-private-key-file {key_file}: {err}") from err
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if isinstance(key, rsa.RSAPrivateKey):
            self._algorithm, self._key = "RS256", RSAKey.import_key(pem)
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            self._algorithm = {256: "ES256", 384: "ES384", 521: "ES512"}[key.curve.key_size]
            self._key = ECKey.import_key(pem)  # type: ignore[assignment]  # either kind signs
        else:
            raise StartError(f"--service-account-private-key-file {key_file} is no RSA or EC key")
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._id = base64.urlsafe_b64encode(hashlib.sha256(public).digest()).rstrip(b"=").decode()

    def token(self, account: Object, secret: Object) -> str:
        """The token of an account, valid as long as the Secret lives."""
        namespace, name = namespace_of(account), name_of(account)
        claims = {
            "iss": ISSUER,
            f"{_CLAIM}/namespace": namespace,
            f"{_CLAIM}/secret.name": name_of(secret),
            f"{_CLAIM}/service-account.name": name,
            f"{_CLAIM}/service-account.uid": uid_of(account),
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        header = {"alg": self._algorithm, "kid": self._id}
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])


def account_of(secret: Object) -> Iterable[Key]:
    """Index values: the account that a token Secret is for."""
    if secret.get("type") == TYPE and (name := annotations_of(secret).get(ACCOUNT_NAME)):
        yield Key(namespace_of(secret), name)


class TokenReconciler:
    """Looks at one Secret."""

    def __init__(self, secrets: Collection, accounts: Collection, signer: TokenSigner, root_ca: bytes) -> None:
        self._secrets = secrets
        self._accounts = accounts
        self._signer = signer
        self._root_ca = root_ca

    async def reconcile(self, key: Key) -> None:
        secret = self._secrets.get(key)
        wanted = next(iter(account_of(secret)), None) if secret is not None else None
        if secret is None or wanted is None:
            return
        account = self._accounts.get(wanted)
        uid = annotations_of(secret).get(ACCOUNT_UID)
        if account is None or (uid and uid != uid_of(account)):
            if uid or account is None:
                await self._remove_unless_alive(secret, wanted, uid or "")
            return
        filled = self._filled(secret, account)
        if filled != secret:
            await self._secrets.update(filled)

    async def _remove_unless_alive(self, secret: Object, account: Key, uid: str) -> None:
        """The server has the last word on whether the account is gone."""
        items = await self._accounts.client.list(SERVICE_ACCOUNTS, account.namespace)
        alive = [a for a in items.get("items") or () if name_of(a) == account.name and uid in ("", uid_of(a))]
        if not alive:
            await self._secrets.delete(secret)

    def _filled(self, secret: Object, account: Object) -> Object:
        """The Secret with what it lacks; as it is when it lacks nothing."""
        data = dict(secret.get("data") or {})
        wanted = {}
        if self._root_ca and data.get("ca.crt") != _base64(self._root_ca):
            wanted["ca.crt"] = self._root_ca
        if not data.get("namespace"):
            wanted["namespace"] = namespace_of(secret).encode()
        if not data.get("token"):
            wanted["token"] = self._signer.token(account, secret).encode()
        if not wanted:
            return secret
        data.update({field: _base64(value) for field, value in wanted.items()})
        annotations = {**annotations_of(secret), ACCOUNT_UID: uid_of(account)}
        return {**secret, "metadata": {**secret["metadata"], "annotations": annotations}, "data": data}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Reference(NamedTuple):
    """A token Secret that is gone, and the account that may still name it."""

    account: Key
    secret: str


class ReferenceReconciler:
    """Takes Secrets that are gone out of their account's list."""

    def __init__(self, secrets: Collection, accounts: Collection) -> None:
        self._secrets = secrets
        self._accounts = accounts

    async def reconcile(self, reference: Reference) -> None:
        account, secret = self._accounts.get(reference.account), Key(reference.account.namespace, reference.secret)
        if account is None or self._secrets.get(secret) is not None or not _names(account, reference.secret):
            return
        fresh = await self._accounts.fetch(reference.account)
        kept = [entry for entry in fresh.get("secrets") or () if entry.get("name") != reference.secret]
        if uid_of(fresh) == uid_of(account) and len(kept) < len(fresh.get("secrets") or ()):
            await self._accounts.update({**fresh, "secrets": kept})


def _names(account: Object, secret: str) -> bool:
    return any(entry.get("name") == secret for entry in account.get("secrets") or ())


def _lost(old: Object | None, new: Object | None) -> Iterable[Reference]:
    if old is not None and new is None:
        yield from (Reference(account, name_of(old)) for account in account_of(old))


def build(context: Context) -> Sequence[Runnable]:
    options = context.options
    if not options.service_account_private_key_file:
        return []
    signer = TokenSigner(options.service_account_private_key_file)
    root_ca = Path(options.root_ca_file).read_bytes() if options.root_ca_file else b""
    accounts = context.collection(SERVICE_ACCOUNTS)
    secrets = context.collection(SECRETS, indexers={BY_ACCOUNT: account_of})

    def tokens(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is not None and new.get("type") == TYPE:
            yield key_of(new)

    def of_account(old: Object | None, new: Object | None) -> Iterable[Key]:
        account = new or old or {}
        yield from (key_of(secret) for secret in secrets.store.by_index(BY_ACCOUNT, key_of(account)))

    reconciler = TokenReconciler(secrets, accounts, signer, root_ca)
    controller = context.controller("serviceaccount_tokens_secret", reconciler)
    controller.watch(secrets.informer, tokens)
    controller.watch(accounts.informer, of_account)
    references = context.controller("serviceaccount_tokens_service", ReferenceReconciler(secrets, accounts))
    references.watch(accounts.informer, lambda old, new: ())
    references.watch(secrets.informer, _lost)
    return [controller, references]


CONTROLLER = ControllerSpec(
    "serviceaccount-token-controller",
    build,
    alias="serviceaccount-token",
    root=True,
    syncs="concurrent_serviceaccount_token_syncs",
)
