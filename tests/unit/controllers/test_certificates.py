import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controllers import clusterroles
from controllers.certificates import APPROVING, CLEANING, SIGNING
from controllers.certificates.controller import Approver, authorities_of, expires_at
from controllers.certificates.requests import InvalidRequest, check, decode
from controllers.lib.collection import Collection
from controllers.options import Options
from kubeling.api.meta import Key, Object, condition_of
from kubeling.api.resource import Resource
from kubeling.api.resources import CERTIFICATE_SIGNING_REQUESTS, CLUSTER_ROLES
from kubeling.client.clock import FakeClock
from kubeling.client.errors import StartError
from tests.unit.controllers.world import World

CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"


def name(common: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def spec_of(
    signer: str, common: str = "system:node:n1", dns: str = "", organization: str = "system:nodes", **more: Any
) -> Object:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(common, organization))
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    csr = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    usage = "client auth" if signer != SERVING else "server auth"
    return {
        "request": base64.b64encode(csr.public_bytes(Encoding.PEM)).decode(),
        "signerName": signer,
        "username": "system:node:n1",
        "usages": ["digital signature", usage],
        **more,
    }


APISERVER_CLIENT = "kubernetes.io/kube-apiserver-client"
LEGACY = "kubernetes.io/legacy-unknown"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (spec_of(CLIENT), ""),
        (spec_of(CLIENT, dns="n1"), "DNS subjectAltNames are not allowed"),
        (spec_of(CLIENT, organization="other"), "subject organization is not system:nodes"),
        (spec_of(CLIENT, common="n1"), "does not begin with system:node:"),
        (
            spec_of(CLIENT, usages=["client auth", "digital signature", "server auth"]),
            r"usages did not match \[client auth digital signature key encipherment\]",
        ),
        (spec_of(SERVING, dns="n1"), ""),
        (spec_of(SERVING, dns="n1", username="eve"), ""),
        (spec_of(SERVING), "^DNS or IP subjectAltName is required"),
        (spec_of(APISERVER_CLIENT, common="alice", organization=""), ""),
        (
            spec_of(APISERVER_CLIENT, usages=["client auth", "server auth"]),
            "invalid usage for client certificate: server auth",
        ),
        (
            spec_of(APISERVER_CLIENT, usages=["digital signature"]),
            "missing required usage for client certificate: client auth",
        ),
        (spec_of(LEGACY, usages=["server auth"]), ""),
        ({**spec_of(CLIENT), "request": base64.b64encode(b"x").decode()}, "unable to parse csr"),
    ],
)
def test_what_is_signed(spec: Object, message: str) -> None:
    request = {"spec": spec}
    if not message:
        check(request, decode(request))
        return
    with pytest.raises(InvalidRequest, match=message):
        check(request, decode(request))


@pytest.fixture
def authority(tmp_path: Path) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime(2025, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name("ca")).issuer_name(name("ca")).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=3650))
    certificate = builder.sign(key, hashes.SHA256())
    (tmp_path / "ca.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {"cluster_signing_cert_file": str(tmp_path / "ca.crt"), "cluster_signing_key_file": str(tmp_path / "ca.key")}


def approve(obj: Object) -> None:
    condition = {"type": "Approved", "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z"}
    obj["status"] = {"conditions": [condition]}


async def test_approved_requests_are_signed_and_later_removed(authority: dict[str, str]) -> None:
    async with World(APPROVING, SIGNING, CLEANING, **authority) as w:
        w.create(CERTIFICATE_SIGNING_REQUESTS, "r", spec_of(SERVING, dns="n1", expirationSeconds=3600), namespace="")
        await w.clock.advance(1)
        assert not w.get(CERTIFICATE_SIGNING_REQUESTS, "r").get("status")  # serving certificates wait for a human
        w.api.update(CERTIFICATE_SIGNING_REQUESTS, "", "r", approve)
        await w.clock.advance(1)
        pem = base64.b64decode(w.get(CERTIFICATE_SIGNING_REQUESTS, "r")["status"]["certificate"])
        made = x509.load_pem_x509_certificate(pem)
        assert made.subject == name("system:node:n1", "system:nodes") and made.issuer == name("ca")
        usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
        assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(hours=1, minutes=5)
        await w.clock.advance(4000)
        assert w.api.all(CERTIFICATE_SIGNING_REQUESTS) == []


async def test_what_cannot_be_signed_is_told(authority: dict[str, str]) -> None:
    async with World(SIGNING, **authority) as w:
        w.create(CERTIFICATE_SIGNING_REQUESTS, "r", spec_of(SERVING), namespace="")
        w.api.update(CERTIFICATE_SIGNING_REQUESTS, "", "r", approve)
        await w.clock.advance(1)
        failed = condition_of(w.get(CERTIFICATE_SIGNING_REQUESTS, "r"), "Failed")
        assert failed and failed["reason"] == "SignerValidationFailure"


class Refusing:
    """Stands for the collection and its client: nobody may create anything, ``asked`` says what the question was."""

    def __init__(self, request: Object) -> None:
        self.request = request
        self.asked: list[str] = []
        self.client = self

    def get(self, key: Key) -> Object:
        return self.request

    async def create(self, resource: Resource, review: Object) -> Object:
        self.asked.append(review["spec"]["resourceAttributes"]["subresource"])
        return {"status": {"allowed": False}}


async def test_a_request_that_may_not_be_made_now_is_looked_at_again() -> None:
    requests = Refusing({"spec": spec_of(CLIENT)})
    approver = Approver(cast(Collection, requests), FakeClock())
    waits = [await approver.reconcile(Key("", "r")) for _ in range(3)]
    assert [w.requeue_after for w in waits if w] == [0.2, 0.4, 0.8]
    assert requests.asked == ["selfnodeclient", "nodeclient"] * 3


def test_when_requests_may_go() -> None:
    created = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}
    assert expires_at(created) == datetime(2026, 1, 2, tzinfo=UTC)
    for type_, expected in (("Denied", 1), ("Failed", 1), ("Approved", None)):
        condition = {"type": type_, "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z"}
        end = datetime(2026, 1, 1, expected, tzinfo=UTC) if expected else None
        assert expires_at({**created, "status": {"conditions": [condition]}}) == end


def test_aggregated_rules() -> None:
    def role(text: str, rules: list[int], **labels: str) -> Object:
        return {"metadata": {"name": text, "labels": labels}, "rules": rules}

    everything = role("all", [9], to="x")
    everything["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {"to": "x"}}]}
    roles = [role("b", [2, 1], to="x"), role("a", [1], to="x"), role("c", [3]), everything]
    assert clusterroles.aggregated(everything, roles) == [1, 2]


async def test_aggregated_roles_follow() -> None:
    async with World(clusterroles.CONTROLLER) as w:
        rule = {"clusterRoleSelectors": [{"matchLabels": {"to": "x"}}]}
        w.api.create(CLUSTER_ROLES, {"metadata": {"name": "all"}, "aggregationRule": rule})
        w.api.create(CLUSTER_ROLES, {"metadata": {"name": "a", "labels": {"to": "x"}}, "rules": [{"verbs": ["get"]}]})
        await w.settle()
        assert w.get(CLUSTER_ROLES, "all")["rules"] == [{"verbs": ["get"]}]


async def test_signers_with_an_authority_of_their_own(authority: dict[str, str]) -> None:
    files = {
        "cluster_signing_kubelet_serving_cert_file": authority["cluster_signing_cert_file"],
        "cluster_signing_kubelet_serving_key_file": authority["cluster_signing_key_file"],
    }
    async with World(SIGNING, **files) as w:
        w.create(CERTIFICATE_SIGNING_REQUESTS, "serving", spec_of(SERVING, dns="n1"), namespace="")
        w.create(CERTIFICATE_SIGNING_REQUESTS, "client", spec_of(CLIENT), namespace="")
        for name_ in ("serving", "client"):
            w.api.update(CERTIFICATE_SIGNING_REQUESTS, "", name_, approve)
        await w.settle()
        assert w.get(CERTIFICATE_SIGNING_REQUESTS, "serving")["status"]["certificate"]
        assert "certificate" not in w.get(CERTIFICATE_SIGNING_REQUESTS, "client")["status"]
    with pytest.raises(StartError, match="at the same time"):
        authorities_of(Options(**authority, **files))
    with pytest.raises(StartError, match="needs both"):
        authorities_of(Options(cluster_signing_legacy_unknown_key_file="k"))
