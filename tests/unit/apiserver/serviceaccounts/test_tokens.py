"""Service account tokens, issued and checked."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt

from apiserver.serviceaccounts.authenticator import ServiceAccountTokens, token_audiences
from apiserver.serviceaccounts.discovery import discovery_documents
from apiserver.serviceaccounts.issuer import Issuer, IssuerSettings
from apiserver.serviceaccounts.keys import (
    KeyFileError,
    SigningKey,
    generated_signing_key,
    load_signing_key,
    load_verifying_keys,
    signing_key,
)
from kubeling.api.errors import StatusError
from kubeling.api.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS

ISSUER = "https://kubernetes.default.svc.cluster.local"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCOUNT = {"metadata": {"name": "bot", "namespace": "ns", "uid": "u-bot"}}
POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u-p"},
    "spec": {"nodeName": "n1", "serviceAccountName": "bot"},
}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return signing_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))


class World:
    """An issuer, an authenticator and a clock that can be turned."""

    def __init__(self, registries: Any, key: SigningKey) -> None:
        self.now = NOW
        self.registries = registries
        registries.put(SERVICE_ACCOUNTS, ACCOUNT)
        registries.put(PODS, POD)
        registries.put(NODES, {"metadata": {"name": "n1", "uid": "u-n1"}})
        registries.put(SECRETS, {"metadata": {"name": "s", "namespace": "ns", "uid": "u-s"}})
        self.issuer = Issuer(IssuerSettings(ISSUER, (ISSUER,)), key)
        self.tokens = ServiceAccountTokens([ISSUER], [ISSUER], [key.public], registries, lambda: self.now)

    async def issue(self, *, audiences: tuple[str, ...] = (ISSUER,), seconds: int = 3600, bound: Any = None) -> str:
        spec = {"audiences": list(audiences), "expirationSeconds": seconds, "boundObjectRef": bound}
        status = await self.issuer.issue(ACCOUNT, {"spec": spec}, self.registries, self.now)
        return str(status["token"])


@pytest.fixture
def world(registries: Any, key: SigningKey) -> World:
    return World(registries, key)


def reference(kind: str, name: str, uid: str = "") -> dict[str, str]:
    return {"apiVersion": "v1", "kind": kind, "name": name, **({"uid": uid} if uid else {})}


async def test_a_token_says_who_one_is(world: World) -> None:
    user = await world.tokens.authenticate_token(await world.issue(bound=reference("Pod", "p", "u-p")))
    assert user is not None
    assert (user.name, user.uid) == ("system:serviceaccount:ns:bot", "u-bot")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns")
    extra = {k.partition("/")[2]: v for k, v in user.extra.items()}
    assert extra.pop("credential-id")[0].startswith("JTI=")
    assert extra == {"pod-name": ("p",), "pod-uid": ("u-p",), "node-name": ("n1",), "node-uid": ("u-n1",)}


async def refused(world: World, token: str) -> bool:
    try:
        await world.tokens.authenticate_token(token)
    except StatusError as error:
        return error.code == 401
    return False


async def test_tokens_end_with_their_time(world: World) -> None:
    token = await world.issue(seconds=600)
    world.now = NOW + timedelta(seconds=599)
    assert not await refused(world, token)
    world.now = NOW + timedelta(seconds=620)
    assert await refused(world, token)


@pytest.mark.parametrize(
    ("bound", "resource", "name"),
    [(reference("Secret", "s"), SECRETS, "s"), (reference("Pod", "p"), PODS, "p"), (None, SERVICE_ACCOUNTS, "bot")],
)
async def test_tokens_end_with_what_they_are_bound_to(world: World, bound: Any, resource: Any, name: str) -> None:
    token = await world.issue(bound=bound)
    assert not await refused(world, token)
    await world.registries.of(resource).delete(name, "ns")
    world.now = NOW + timedelta(seconds=11)  # what was believed ten seconds ago is looked up again
    assert await refused(world, token)


async def test_an_account_made_anew_is_another_one(world: World) -> None:
    token = await world.issue()
    world.registries.put(SERVICE_ACCOUNTS, {"metadata": {**ACCOUNT["metadata"], "uid": "other"}})
    assert await refused(world, token)


async def test_audiences(world: World) -> None:
    token = await world.issue(audiences=("vault",))
    assert await refused(world, token)
    assert token_audiences(token) == {"vault"}
    assert await world.tokens.authenticate_token(token, ("vault",)) is not None


async def test_forged_and_foreign_tokens(world: World) -> None:
    token = await world.issue()
    head, body, signature = token.split(".")
    assert await refused(world, f"{head}.{body}.{signature[:-8]}AAAAAAAA")
    other = World(world.registries, signing_key(ec.generate_private_key(ec.SECP256R1())))
    assert await refused(world, await other.issue())
    assert await world.tokens.authenticate_token("a.b.c") is None
    assert await world.tokens.authenticate_token("no token at all") is None


async def test_tokens_of_pods_live_on(world: World) -> None:
    """A pod that never reads its token again is warned of, not locked out."""
    token = await world.issue(seconds=3607, bound=reference("Pod", "p"))
    world.now = NOW + timedelta(days=300)
    assert not await refused(world, token)


@pytest.mark.parametrize(
    ("bound", "code", "message"),
    [
        (reference("Pod", "none"), 404, 'pods "none" not found'),
        (
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
            400,
            "cannot bind token to object of type apps/v1, Kind=Deployment",
        ),
        (
            reference("Secret", "s", "wrong"),
            409,
            'Operation cannot be fulfilled on Secret "s": the UID in the bound object',
        ),
    ],
)
async def test_what_cannot_be_bound(world: World, bound: Any, code: int, message: str) -> None:
    with pytest.raises(StatusError) as error:
        await world.issue(bound=bound)
    assert error.value.code == code
    assert error.value.message.startswith(message)


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "certs" / "sa.key"
    made = generated_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert generated_signing_key(path).id == made.id == load_signing_key(path).id
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "both.pem").write_bytes(path.read_bytes() + pem)
    assert [k.algorithm for k in load_verifying_keys(tmp_path / "both.pem")] == ["ES256", "ES384"]
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "rsa.pem").write_bytes(private)
    assert load_signing_key(tmp_path / "rsa.pem").algorithm == "RS256"
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(KeyFileError):
        load_verifying_keys(tmp_path / "bad.pem")
    with pytest.raises(KeyFileError):
        load_signing_key(tmp_path / "bad.pem")


def test_published_documents(key: SigningKey) -> None:
    documents = discovery_documents(ISSUER, [key.public], "https://host/openid/v1/jwks")
    assert b'"jwks_uri":"https://host/openid/v1/jwks"' in documents["/.well-known/openid-configuration"].body
    keys = documents["/openid/v1/jwks"]
    assert keys.content_type == "application/jwk-set+json"
    assert key.id.encode() in keys.body and b'"d"' not in keys.body


def legacy_secret(world: World, key: SigningKey, **labels: str) -> str:
    """Puts a token Secret into the world; answers the token."""
    prefix = "kubernetes.io/serviceaccount/"
    claims = {
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:ns:bot",
        f"{prefix}namespace": "ns",
        f"{prefix}service-account.name": "bot",
        f"{prefix}service-account.uid": "u-bot",
        f"{prefix}secret.name": "t",
    }
    token = jwt.encode({"alg": key.public.algorithm}, claims, key.jwk, algorithms=[key.public.algorithm])
    data = {"token": base64.b64encode(token.encode()).decode()}
    world.registries.put(SECRETS, {"metadata": {"name": "t", "namespace": "ns", "labels": labels}, "data": data})
    return token


async def test_the_use_of_a_legacy_token_is_noted_once_a_day(world: World, key: SigningKey) -> None:
    token = legacy_secret(world, key)
    secrets = world.registries.of(SECRETS)
    before = secrets.written
    for hours in (0, 1, 30):
        world.now = NOW + timedelta(hours=hours)
        user = await world.tokens.authenticate_token(token)
        assert user is not None and user.name == "system:serviceaccount:ns:bot"
    assert secrets.written - before == 2
    assert secrets.cached("t", "ns")["metadata"]["labels"] == {"kubernetes.io/legacy-token-last-used": "2026-11-22"}


async def test_a_legacy_token_that_was_marked_is_refused_and_its_use_noted(world: World, key: SigningKey) -> None:
    token = legacy_secret(world, key, **{"kubernetes.io/legacy-token-invalid-since": "2026-11-01"})
    assert await refused(world, token)
    labels = world.registries.of(SECRETS).cached("t", "ns")["metadata"]["labels"]
    assert labels["kubernetes.io/legacy-token-last-used"] == "2026-11-21"
