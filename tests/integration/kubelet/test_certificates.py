"""A kubelet's certificates over time: from a bootstrap token, renewed while it works, with a life of seconds."""

from __future__ import annotations

import base64
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509

from kubeling.api.certificates import Issuer, authority_constraints, certificate_pem, issue, key_pem, new_key, subject
from kubeling.api.meta import parse_time
from tests.integration.conftest import (
    ADMIN,
    ApiServer,
    Process,
    StartServer,
    free_port,
    running_etcd,
    start,
    until,
    unverified,
)

LIFE = 15  # seconds that a certificate is good for; the signer backdates its start, so the next one is due at once
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
TOKEN = "abcdef.0123456789abcdef"
BINDINGS = {
    "system:node-bootstrapper": "system:bootstrappers",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": "system:bootstrappers",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": "system:nodes",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA's ``ca.crt`` and ``ca.key``."""
    folder, now = tmp_path_factory.mktemp("ca"), datetime.now(UTC)
    itself = Issuer(subject("kubernetes"), new_key())
    valid = now - timedelta(hours=1), now + timedelta(days=1)
    made = issue(itself.name, itself.key.public_key(), itself, valid, [authority_constraints(True)])
    (folder / "ca.crt").write_bytes(certificate_pem(made))
    (folder / "ca.key").write_bytes(key_pem(itself.key))
    return folder


@pytest.fixture(scope="module")
def server(
    start_apiserver: StartServer, authority: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """With a signer, and what kubeadm sets up for nodes that join."""
    folder = tmp_path_factory.mktemp("rotation")
    with running_etcd(folder) as storage:
        made = start_apiserver(
            f"--client-ca-file={authority / 'ca.crt'}",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-bootstrap-token-auth=true",
            storage=storage,
        )
        api = made.client()
        secret = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
        name = {"name": "bootstrap-token-abcdef"}
        body = {"metadata": name, "type": "bootstrap.kubernetes.io/token", "stringData": secret}
        assert api.post("/api/v1/namespaces/kube-system/secrets", json=body).status_code == 201
        for number, (role, group) in enumerate(BINDINGS.items()):
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
            who = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
            body = {"metadata": {"name": f"b{number}"}, "roleRef": reference, "subjects": [who]}
            path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
            assert api.post(path, json=body).status_code == 201
        admin = write_kubeconfig(folder / "admin", made.url, ADMIN)
        signer = start(
            [sys.executable, "-m", "controllers", f"--kubeconfig={admin}", "--leader-elect=false",
             f"--cluster-signing-cert-file={authority / 'ca.crt'}", f"--cluster-signing-key-file={authority / 'ca.key'}",
             f"--cluster-signing-duration={LIFE}s", "--controllers=csrapproving,csrsigning"],
            folder / "controllers.log",
        )  # fmt: skip
        yield made
        signer.stop()
        made.stop()


def write_kubeconfig(path: Path, url: str, token: str) -> Path:
    cluster = {"server": url, "insecure-skip-tls-verify": True}
    config = {
        "clusters": [{"name": "t", "cluster": cluster}],
        "users": [{"name": "t", "user": {"token": token}}],
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        "current-context": "t",
    }
    path.write_text(yaml.safe_dump(config))
    return path


class Node:
    """A kubelet that joins with the token; its containers are simulated."""

    def __init__(self, name: str, folder: Path, server: ApiServer, authority: Path, *flags: str) -> None:
        self.name, self.folder, self.port, self.api = name, folder, free_port(), server.client()
        bootstrap = write_kubeconfig(folder / "bootstrap", server.url, TOKEN)
        self._arguments = [
            sys.executable, "-m", "kubelet", "--runtime=simulated", f"--hostname-override={name}", "--node-ip=127.0.0.1",
            "--address=127.0.0.1", f"--port={self.port}", f"--root-dir={folder}", f"--client-ca-file={authority / 'ca.crt'}",
            f"--bootstrap-kubeconfig={bootstrap}", f"--kubeconfig={folder / 'kubeconfig'}", *flags,
        ]  # fmt: skip
        self.process = self.start()

    def start(self) -> Process:
        return start(self._arguments, self.folder / "log")

    def certificate(self, name: str = "kubelet-client") -> x509.Certificate | None:
        path = self.folder / "pki" / f"{name}-current.pem"
        return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None

    def requests(self, signer: str) -> list[dict[str, Any]]:
        found = self.api.get(CSRS).json()["items"]
        subject_of = f"CN=system:node:{self.name},"
        return [r for r in found if r["spec"]["signerName"] == f"kubernetes.io/{signer}" and subject_of in requested(r)]

    def renewed(self) -> datetime:
        """When the node last said that it lives."""
        lease = self.api.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.name}").json()
        return parse_time(lease["spec"]["renewTime"]) if "spec" in lease else datetime.min.replace(tzinfo=UTC)

    def served(self) -> x509.Certificate:
        """The certificate of the kubelet's server, even one that has expired meanwhile. Raises ConnectError while it has none."""
        url = f"https://127.0.0.1:{self.port}/healthz"
        with httpx.Client(verify=unverified(), trust_env=False) as client, client.stream("GET", url) as answer:
            der = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert(True)
        return x509.load_der_x509_certificate(der)


def requested(request: dict[str, Any]) -> str:
    found = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    return found.subject.rfc4514_string()


def test_a_kubelet_outlives_its_first_client_certificate(server: ApiServer, authority: Path, tmp_path: Path) -> None:
    node = Node("client", tmp_path, server, authority)
    try:
        first = until(node.certificate)
        assert first, node.process.log.read_text()
        until(lambda: node.renewed() > first.not_valid_after_utc, LIFE + 30)
        assert node.renewed() > first.not_valid_after_utc, node.process.log.read_text()[-2000:]
        assert node.process.popen.poll() is None
        requests = node.requests("kube-apiserver-client-kubelet")
    finally:
        node.process.stop()
    made = {r["metadata"]["name"]: r["spec"] for r in requests}
    joined = [name for name in made if name.startswith("node-csr-")]
    assert [made[name]["username"] for name in joined] == ["system:bootstrap:abcdef"]
    later = [name for name in made if name not in joined]
    assert {(name.startswith("csr-"), made[name]["username"]) for name in later} == {(True, "system:node:client")}
    current = tmp_path / "pki/kubelet-client-current.pem"
    assert current.is_symlink() and current.resolve().stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "pki/kubelet-client.key.tmp").exists()


def test_a_serving_certificate_waits_for_approval_and_is_renewed(
    server: ApiServer, authority: Path, tmp_path: Path
) -> None:
    node = Node("serving", tmp_path, server, authority, "--rotate-server-certificates=true")

    def approve_next() -> Any:
        """Approves what waits, as ``kubectl certificate approve`` does."""
        for request in node.requests("kubelet-serving"):
            if not request["status"].get("conditions"):
                request["status"]["conditions"] = [{"type": "Approved", "status": "True", "reason": "KubectlApprove"}]
                path = f"{CSRS}/{request['metadata']['name']}/approval"
                assert node.api.put(path, json=request).status_code == 200
                return True
        return False

    try:
        assert until(lambda: node.requests("kubelet-serving")), node.process.log.read_text()
        with pytest.raises(httpx.ConnectError):
            node.served()
        assert until(approve_next)
        first = until(lambda: node.certificate("kubelet-server"))
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [n.value for n in names] == ["serving", *names.get_values_for_type(x509.IPAddress)]
        first.verify_directly_issued_by(x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes()))
        assert until(lambda: node.served() == first)
        assert until(approve_next), "the next one is asked for in time"
        assert until(lambda: node.served() != first)
        os.kill(node.process.popen.pid, signal.SIGKILL)
        node.process.popen.wait()
        latest = node.certificate("kubelet-server")
        node.process = node.start()
        assert until(lambda: answers(node) == latest), "it begins with the one that it has"
    finally:
        node.process.stop()


def answers(node: Node) -> x509.Certificate | None:
    try:
        return node.served()
    except httpx.ConnectError:
        return None
