"""Who gets in and who may do what, against a real server: certificates, tokens, RBAC, the Node authorizer, admission."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.integration.conftest import ADMIN, ALICE, ApiServer, StartServer, unverified

RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PEM = serialization.Encoding.PEM


class Authority:
    """Issues client certificates into a folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate, self.key = self._issue("ca", (), None)
        self.path = directory / "ca.crt"
        self.path.write_bytes(self.certificate.public_bytes(_PEM))

    def client(self, server: ApiServer, name: str, *organisations: str) -> httpx.Client:
        certificate, key = self._issue(name, organisations, (self.certificate, self.key))
        path = self.directory / f"{name.replace(':', '-')}.pem"
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(certificate.public_bytes(_PEM) + private)
        context = unverified()
        context.load_cert_chain(path)
        made = httpx.Client(base_url=server.url, verify=context, timeout=30, trust_env=False)
        server.clients.append(made)
        return made

    def _issue(
        self,
        name: str,
        organisations: tuple[str, ...],
        issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organisations]
        subject = x509.Name(attributes)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is not None:
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return built.sign(issuer[1] if issuer else key, hashes.SHA256()), key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def guarded(start_apiserver: StartServer, authority: Authority) -> Iterator[ApiServer]:
    """A server that knows the authority and restricts nodes."""
    server = start_apiserver(
        f"--client-ca-file={authority.path}",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
    )
    yield server
    server.stop()


def wait_for(check: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.05)


def named(kind: str, name: str, version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}


def role(name: str, *rules: dict[str, Any], kind: str = "Role") -> dict[str, Any]:
    return named(kind, name, "rbac.authorization.k8s.io/v1", rules=list(rules))


def binding(name: str, role_name: str, user: str, kind: str = "Role") -> dict[str, Any]:
    reference, subjects = {"kind": kind, "name": role_name}, [{"kind": "User", "name": user}]
    return named("RoleBinding", name, "rbac.authorization.k8s.io/v1", roleRef=reference, subjects=subjects)


def test_a_certificate_says_who_one_is(guarded: ApiServer, authority: Authority) -> None:
    review = named("SelfSubjectReview", "", "authentication.k8s.io/v1")
    answer = authority.client(guarded, "kim", "dev", "ops").post(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews", json=review
    )
    info = answer.json()["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("kim", ["dev", "ops", "system:authenticated"])


def test_a_certificate_of_another_authority_opens_nothing(guarded: ApiServer, tmp_path: Path) -> None:
    with pytest.raises((httpx.HTTPError, ssl.SSLError)):
        Authority(tmp_path).client(guarded, "eve", "system:masters").get("/api/v1/nodes").raise_for_status()


def test_tokens_and_their_absence(apiserver: ApiServer) -> None:
    assert apiserver.client("wrong").get("/version").status_code == 401
    assert apiserver.client("").get("/version").status_code == 200
    refused = apiserver.client("").get("/api/v1/pods")
    assert refused.status_code == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in refused.json()["message"]


def test_roles_count_as_soon_as_they_are_bound(apiserver: ApiServer, api: httpx.Client, namespace: str) -> None:
    alice = apiserver.client(ALICE)
    where = f"/api/v1/namespaces/{namespace}/configmaps"
    assert alice.get(where).status_code == 403
    api.post(f"{RBAC}/namespaces/{namespace}/roles", json=role(
        "r", {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get", "list"]}))  # fmt: skip
    api.post(f"{RBAC}/namespaces/{namespace}/rolebindings", json=binding("b", "r", "alice"))
    wait_for(lambda: alice.get(f"{where}/one").status_code == 404)
    assert alice.get(where).status_code == 403
    assert alice.get(where, params={"fieldSelector": "metadata.name=one"}).status_code == 200
    api.delete(f"{RBAC}/namespaces/{namespace}/rolebindings/b")
    wait_for(lambda: alice.get(f"{where}/one").status_code == 403)


def test_nobody_grants_more_than_they_hold(apiserver: ApiServer, api: httpx.Client, namespace: str) -> None:
    alice, where = apiserver.client(ALICE), f"{RBAC}/namespaces/{namespace}"
    api.post(f"{where}/rolebindings", json=binding("admin", "admin", "alice", "ClusterRole"))
    own = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create"]}
    api.post(f"{where}/roles", json=role("granter", own))
    api.post(f"{where}/rolebindings", json=binding("granter", "granter", "alice"))
    wanted = role("wide", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]})
    wait_for(lambda: "attempting to grant" in alice.post(f"{where}/roles", json=wanted).json().get("message", ""))
    assert alice.post(f"{where}/roles", json=role("same", own)).status_code == 201
    refused = alice.post(f"{where}/rolebindings", json=binding("root", "cluster-admin", "alice", "ClusterRole"))
    assert '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' in refused.json()["message"]


def test_service_account_tokens(apiserver: ApiServer, api: httpx.Client, namespace: str) -> None:
    where = f"/api/v1/namespaces/{namespace}"
    api.post(f"{where}/serviceaccounts", json=named("ServiceAccount", "bot"))
    secret = api.post(f"{where}/secrets", json=named("Secret", "s")).json()
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": secret["metadata"]["uid"]}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": reference}}
    answer = api.post(f"{where}/serviceaccounts/bot/token", json=request).json()
    token = answer["status"]["token"]
    client = apiserver.client(token)
    refused = client.get(f"{where}/pods")
    assert f'User "system:serviceaccount:{namespace}:bot" cannot list' in refused.json()["message"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = api.post("/apis/authentication.k8s.io/v1/tokenreviews", json=review).json()["status"]
    assert status["authenticated"] is True and status["user"]["groups"][0] == "system:serviceaccounts"
    api.delete(f"{where}/secrets/s")
    wait_for(lambda: client.get(f"{where}/pods").status_code == 401, 15)


def test_published_keys(api: httpx.Client) -> None:
    configuration = api.get("/.well-known/openid-configuration").json()
    assert configuration["issuer"] == "https://kubernetes.default.svc.cluster.local"
    keys = api.get("/openid/v1/jwks")
    assert keys.headers["content-type"] == "application/jwk-set+json"
    assert keys.json()["keys"][0]["alg"] == "ES256"


def test_impersonation(apiserver: ApiServer, api: httpx.Client) -> None:
    review = named("SelfSubjectReview", "", "authentication.k8s.io/v1")
    where = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    headers = [("Impersonate-User", "kim"), ("Impersonate-Group", "g1"), ("Impersonate-Group", "g2")]
    info = api.post(where, json=review, headers=headers).json()["status"]["userInfo"]
    assert info == {"username": "kim", "groups": ["g1", "g2", "system:authenticated"]}
    refused = apiserver.client(ALICE).post(where, json=review, headers=headers)
    assert refused.json()["message"].startswith(
        'users "kim" is forbidden: User "alice" cannot impersonate resource "users"'
    )


def test_a_node_keeps_to_itself(guarded: ApiServer, authority: Authority, namespace: str) -> None:
    admin, where = guarded.client(ADMIN), f"/api/v1/namespaces/{namespace}"
    name = f"n-{namespace}"
    node = authority.client(guarded, f"system:node:{name}", "system:nodes")
    assert node.post("/api/v1/nodes", json=named("Node", name)).status_code == 201
    assert "is not allowed to modify node" in node.post("/api/v1/nodes", json=named("Node", "other")).json()["message"]
    admin.post(f"{where}/serviceaccounts", json=named("ServiceAccount", "default"))
    admin.post(f"{where}/secrets", json=named("Secret", "mine"))
    admin.post(f"{where}/secrets", json=named("Secret", "other"))
    pod = named("Pod", "p", spec={
        "nodeName": name, "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "secret": {"secretName": "mine"}}],
    })  # fmt: skip
    assert admin.post(f"{where}/pods", json=pod).status_code == 201
    wait_for(lambda: node.get(f"{where}/secrets/mine").status_code == 200)
    assert "no relationship found between node" in node.get(f"{where}/secrets/other").json()["message"]
    assert (
        "can only create mirror pods"
        in node.post(f"{where}/pods", json=named("Pod", "q", spec=pod["spec"])).json()["message"]
    )
    admin.delete(f"{where}/pods/p", params={"gracePeriodSeconds": "0"})
    wait_for(lambda: node.get(f"{where}/secrets/mine").status_code == 403)


def test_bootstrap_tokens(guarded: ApiServer) -> None:
    admin = guarded.client(ADMIN)
    data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    secret = named("Secret", "bootstrap-token-abcdef", type="bootstrap.kubernetes.io/token", stringData=data)
    admin.post("/api/v1/namespaces/kube-system/secrets", json=secret)
    client = guarded.client("abcdef.0123456789abcdef")
    wait_for(lambda: "system:bootstrap:abcdef" in client.get("/api/v1/nodes").text)
    admin.delete("/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef")


def test_default_policy_and_service(api: httpx.Client) -> None:
    names = {r["metadata"]["name"] for r in api.get(f"{RBAC}/clusterroles").json()["items"]}
    assert {"cluster-admin", "view", "system:node", "system:controller:job-controller"} <= names
    wait_for(lambda: api.get("/api/v1/namespaces/default/services/kubernetes").status_code == 200)
    service = api.get("/api/v1/namespaces/default/services/kubernetes").json()
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    assert api.delete("/api/v1/namespaces/default").json()["message"] == (
        'namespaces "default" is forbidden: this namespace may not be deleted'
    )
