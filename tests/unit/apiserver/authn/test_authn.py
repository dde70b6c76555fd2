"""Who sends a request."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apiserver.authn.bearer import BearerAuthenticator, bearer_token
from apiserver.authn.bootstrap_tokens import bootstrap_user
from apiserver.authn.certificates import CertificateAuthenticator
from apiserver.authn.impersonation import WithoutUser, impersonate
from apiserver.authn.token_file import TokenFile, TokenFileError, parse_token_file
from apiserver.authn.union import Union
from apiserver.authz.union import AlwaysAllow, AlwaysDeny
from apiserver.http.protocols import Credentials
from apiserver.http.request import ANONYMOUS, User
from kubeling.api.errors import StatusError

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TOKENS = parse_token_file(['t1,alice,u1,"dev,ops"\n', "# comment\n", "\n", "t2,bob,u2\n"])


def bearer(text: str) -> Credentials:
    return Credentials({"authorization": text})


@pytest.mark.parametrize(
    ("credentials", "token"),
    [
        (bearer("Bearer abc"), "abc"),
        (bearer("bearer abc def"), "abc"),
        (bearer("Bearer  abc"), ""),
        (bearer("Bearer "), ""),
        (bearer("Basic abc"), ""),
        (Credentials({}), ""),
        (Credentials({}, websocket_protocols=("base64url.bearer.authorization.k8s.io.YWJj", "v4")), "abc"),
    ],
)
def test_bearer_tokens(credentials: Credentials, token: str) -> None:
    assert bearer_token(credentials) == token


def test_token_files() -> None:
    assert TOKENS["t1"] == User("alice", "u1", ("dev", "ops"))
    assert TOKENS["t2"] == User("bob", "u2")
    with pytest.raises(TokenFileError, match="at least 3 columns"):
        parse_token_file(["t,alice\n"])


async def test_the_union() -> None:
    union = Union([BearerAuthenticator([TokenFile(TOKENS)])])
    user = await union.authenticate(bearer("Bearer t1"))
    assert user is not None and user.groups == ("dev", "ops", "system:authenticated")
    assert await union.authenticate(bearer("Bearer t1")) is user
    assert await union.authenticate(Credentials({})) is ANONYMOUS
    with pytest.raises(StatusError) as wrong:
        await union.authenticate(bearer("Bearer nope"))
    assert wrong.value.code == 401
    with pytest.raises(StatusError):
        await Union([], anonymous=False).authenticate(Credentials({}))


def certificate(
    name: str, organisations: tuple[str, ...], issuer: tuple[x509.Certificate, Any] | None, *, client: bool = True
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organisations]
    subject = x509.Name(attributes)
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    return built.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def der(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.DER)


async def test_client_certificates() -> None:
    authority = certificate("ca", (), None)
    leaf, _ = certificate("system:node:n1", ("system:nodes",), authority)
    times = [NOW]
    authenticator = CertificateAuthenticator([authority[0]], lambda: times[0])
    user = await authenticator.authenticate(Credentials({}, client_certificates=(der(leaf),)))
    assert user is not None and (user.name, user.groups) == ("system:node:n1", ("system:nodes",))
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    assert await authenticator.authenticate(Credentials({})) is None
    times[0] = NOW + timedelta(hours=2)
    with pytest.raises(StatusError):
        await authenticator.authenticate(Credentials({}, client_certificates=(der(leaf),)))


async def test_certificates_that_prove_nothing() -> None:
    authority, other = certificate("ca", (), None), certificate("ca", (), None)
    authenticator = CertificateAuthenticator([authority[0]], lambda: NOW)
    strangers = certificate("x", (), other)[0]
    serving = certificate("x", (), authority, client=False)[0]
    for leaf in (strangers, serving):
        with pytest.raises(StatusError):
            await authenticator.authenticate(Credentials({}, client_certificates=(der(leaf),)))


def secret(**data: str) -> dict[str, Any]:
    fields = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        **{k.replace("_", "-"): v for k, v in data.items()},
    }
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in fields.items()}
    return {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token", "data": encoded}


@pytest.mark.parametrize(
    ("stored", "groups"),
    [
        (secret(), ("system:bootstrappers",)),
        (secret(auth_extra_groups="system:bootstrappers:x"), ("system:bootstrappers", "system:bootstrappers:x")),
        (secret(auth_extra_groups="system:masters"), None),
        (secret(usage_bootstrap_authentication="false"), None),
        (secret(expiration="2026-11-20T00:00:00Z"), None),
        (secret(expiration="2026-11-22T00:00:00Z"), ("system:bootstrappers",)),
        (secret(token_secret="another"), None),
    ],
)
def test_bootstrap_tokens(stored: dict[str, Any], groups: tuple[str, ...] | None) -> None:
    user = bootstrap_user(stored, "abcdef", "0123456789abcdef", NOW)
    assert (user.groups if user else None) == groups


def headers(*pairs: tuple[str, str]) -> Credentials:
    return Credentials({}, [(name.lower().encode(), value.encode()) for name, value in pairs])


ADMIN = User("admin", "admin-uid", ("system:masters", "system:authenticated"))


async def test_impersonation() -> None:
    wanted = headers(
        ("Impersonate-User", "kim"),
        ("Impersonate-Group", "g1"),
        ("Impersonate-Group", "g2"),
        ("Impersonate-Uid", "u1"),
        ("Impersonate-Extra-acme.com%2fproj", "z"),
    )
    user = await impersonate(ADMIN, wanted, AlwaysAllow())
    assert user == User("kim", "u1", ("g1", "g2", "system:authenticated"), {"acme.com/proj": ("z",)})
    account = await impersonate(ADMIN, headers(("Impersonate-User", "system:serviceaccount:a:b")), AlwaysAllow())
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated")
    nobody = await impersonate(ADMIN, headers(("Impersonate-User", "system:anonymous")), AlwaysAllow())
    assert nobody.groups == ("system:unauthenticated",)
    assert await impersonate(ADMIN, headers(("Accept", "*/*")), AlwaysDeny()) is ADMIN


async def test_impersonation_needs_a_right_and_a_user() -> None:
    with pytest.raises(StatusError) as refused:
        await impersonate(User("alice"), headers(("Impersonate-User", "bob")), AlwaysDeny())
    assert refused.value.message.startswith(
        'users "bob" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope'
    )
    with pytest.raises(WithoutUser, match=r"requested \[\{Group  g1    \}\] without impersonating a user"):
        await impersonate(ADMIN, headers(("Impersonate-Group", "g1")), AlwaysAllow())
