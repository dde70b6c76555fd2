"""Certificates of a node: requests, files, renewal, and which one is used."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from kubelet.node.bootstrap import kubeconfig_of, still_valid
from kubelet.node.certificates import (
    CLIENT_USAGES,
    CertificateDenied,
    CertificateFile,
    CertificateManager,
    digested_name,
    lacks,
    rotation_time,
    signed,
)
from kubelet.node.identity import certificate_file, own_credentials
from kubelet.options import Options
from kubelet.server.tls import self_signed
from kubeling.api.certificates import Issuer, certificate_pem, issue, key_pem, new_key, subject
from kubeling.client.clock import FakeClock
from kubeling.client.kubeconfig import build


class Signer:
    """Answers every signing request with a certificate made elsewhere, at the second look."""

    def __init__(self, certificate: bytes) -> None:
        self.certificate, self.created, self.looks = certificate, [], 0  # type: ignore[var-annotated]

    async def create(self, resource: Any, obj: Any) -> Any:
        self.created.append(obj)
        return {**obj, "metadata": {"name": "csr-1"}}

    async def get(self, resource: Any, name: str) -> Any:
        self.looks += 1
        return {"status": {"certificate": base64.b64encode(self.certificate).decode()} if self.looks > 1 else {}}


async def test_certificates_are_requested_and_written(tmp_path: Path) -> None:
    made, _ = self_signed(tmp_path / "made", "n1", "192.0.2.1")
    signer: Any = Signer(made.read_bytes())
    file, clock = CertificateFile(tmp_path / "pki", "kubelet-client"), FakeClock()

    async def nothing() -> None: ...

    manager = CertificateManager(signer, clock, file, node_name="n1", changed=nothing)
    task = asyncio.create_task(manager.renew())
    await clock.advance(2)
    await task
    spec = signer.created[0]["spec"]
    request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    assert request.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    assert (spec["signerName"], spec["usages"]) == (
        "kubernetes.io/kube-apiserver-client-kubelet",
        ["digital signature", "client auth"],
    )
    certificate = file.read()
    assert certificate is not None
    assert b"PRIVATE KEY" in file.current.read_bytes()
    assert file.current.resolve().stat().st_mode & 0o777 == 0o600
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert rotation_time(certificate, 0.5) - certificate.not_valid_before_utc == life * 0.8
    assert life > timedelta(days=300)


def test_the_first_request_is_named_after_its_key() -> None:
    key, other = new_key(), new_key()
    name = digested_name(key, "n1", CLIENT_USAGES)
    assert name.startswith("node-csr-") and len(name) == len("node-csr-") + 43
    assert name == digested_name(key, "n1", CLIENT_USAGES)
    assert len({name, digested_name(key, "n2", CLIENT_USAGES), digested_name(other, "n1", CLIENT_USAGES)}) == 3


def test_a_serving_certificate_without_a_name_of_the_node_is_renewed(tmp_path: Path) -> None:
    made = x509.load_pem_x509_certificate(self_signed(tmp_path, "n1", "192.0.2.1")[0].read_bytes())
    assert not lacks(made, ("n1", "192.0.2.1"))
    assert lacks(made, ("n1", "192.0.2.2")) and lacks(made, ("n2",))


def test_a_kubeconfig_with_an_expired_certificate_is_not_valid(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "n1", "192.0.2.1")
    target = tmp_path / "kubeconfig"
    assert not still_valid(target, datetime.now(UTC))
    config = build("c", "https://s", client_cert_pem=certificate.read_text(), client_key_pem=key.read_text())
    target.write_text(yaml.safe_dump(config))
    assert still_valid(target, datetime.now(UTC))
    assert not still_valid(target, datetime.now(UTC) + timedelta(days=400))


def test_of_two_certificates_the_one_that_lasts_longer_is_used(tmp_path: Path) -> None:
    first, key = (path.read_text() for path in self_signed(tmp_path / "first", "n1", "192.0.2.1"))
    target = tmp_path / "kubeconfig"
    target.write_text(yaml.safe_dump(build("c", "https://s", client_cert_pem=first, client_key_pem=key)))
    options = Options(kubeconfig=str(target), root_dir=str(tmp_path))
    assert own_credentials(options).client_cert_pem == first
    itself, now = Issuer(subject("n1"), new_key()), datetime.now(UTC)
    for days in (100, 500):  # one that ends before the kubeconfig's, one that ends after
        valid = now, now + timedelta(days=days)
        made = certificate_pem(issue(itself.name, itself.key.public_key(), itself, valid, []))
        certificate_file(options, "kubelet-client").write(made, key_pem(itself.key), now + timedelta(seconds=days))
        assert (made.decode() in own_credentials(options).client_cert_pem) == (days == 500)


def test_denied_requests_and_the_new_kubeconfig() -> None:
    with pytest.raises(CertificateDenied, match="was denied: no"):
        signed({"status": {"conditions": [{"type": "Denied", "message": "no"}]}})
    given = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://s"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }
    found = kubeconfig_of(given, Path("/pki/current.pem"))
    assert found["clusters"][0]["cluster"] == {"server": "https://s"}
    assert "secret" not in str(found)
