"""RBAC kinds and certificate signing requests: defaults, validation, columns."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiserver.kinds.certificates import CERTIFICATE_SIGNING_REQUEST
from apiserver.kinds.certificates.request import condition_text
from apiserver.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from apiserver.registry.kind import Context, Kind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CTX = Context(NOW, "carol", "u-9", ("dev",), {"k": ("v",)})
GROUP = "rbac.authorization.k8s.io"


def problems(kind: Kind, obj: dict[str, Any]) -> list[str]:
    kind.strategy.default(obj)
    return [str(e) for e in kind.strategy.validate(CTX, obj)]


@pytest.mark.parametrize(
    ("kind", "obj", "expected"),
    [
        (ROLE, {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}, []),
        (ROLE, {"rules": [{}]}, ["rules[0].verbs", "rules[0].apiGroups", "rules[0].resources"]),
        (ROLE, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, ["rules[0].nonResourceURLs"]),
        (CLUSTER_ROLE, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, []),
        (CLUSTER_ROLE, {"aggregationRule": {}}, ["aggregationRule.clusterRoleSelectors"]),
        (ROLE_BINDING, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}, []),
        (ROLE_BINDING, {"roleRef": {"kind": "Pod", "name": "a/b"}}, ["roleRef.kind", "roleRef.name"]),
        (CLUSTER_ROLE_BINDING, {"roleRef": {"kind": "Role", "name": "r"}}, ["roleRef.kind"]),
        (CLUSTER_ROLE_BINDING,
         {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]},
         ["subjects[0].namespace"]),
        (ROLE_BINDING, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "Robot", "name": "x"}, {"kind": "User"}]},
         ["subjects[0].kind", "subjects[1].name"]),
    ],
)  # fmt: skip
def test_rbac_validation(kind: Kind, obj: dict[str, Any], expected: list[str]) -> None:
    assert [p.partition(":")[0] for p in problems(kind, obj)] == expected


def test_a_binding_keeps_its_role() -> None:
    old = {"roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"}}
    new = {"roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "else"}}
    found = ROLE_BINDING.strategy.validate_update(CTX, new, old)
    assert str(found[0]) == (
        f'roleRef: Invalid value: {{"APIGroup":"{GROUP}","Kind":"Role","Name":"else"}}: cannot change roleRef'
    )


def test_rbac_columns() -> None:
    subjects = [
        {"kind": "User", "name": "u"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "ns"},
        {"kind": "User", "name": "w"},
    ]
    metadata = {"name": "b", "creationTimestamp": "2026-11-21T11:59:00Z"}
    obj = {"metadata": metadata, "roleRef": {"kind": "Role", "name": "r"}, "subjects": subjects}
    assert ROLE_BINDING.printer is not None and ROLE.printer is None
    assert ROLE_BINDING.printer.row(obj, NOW) == ["b", "Role/r", "60s", "u, w", "", "ns/s"]


def pem_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def request(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "r"},
        "spec": {"request": pem_request(), "signerName": "example.com/s", "usages": ["client auth"], **spec},
    }


STRATEGY = CERTIFICATE_SIGNING_REQUEST.strategy


def test_the_requester_is_who_sent_it() -> None:
    obj = request(username="spoof", groups=["spoof"])
    STRATEGY.prepare_for_create(CTX, obj)
    assert {k: obj["spec"][k] for k in ("username", "uid", "groups", "extra")} == {
        "username": "carol",
        "uid": "u-9",
        "groups": ["dev"],
        "extra": {"k": ["v"]},
    }


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (request(), []),
        ({"spec": {}}, ["spec.request", "spec.usages", "spec.signerName"]),
        (request(usages=["client auth", "client auth", "nonsense"]), ["spec.usages[1]", "spec.usages[2]"]),
        (request(signerName="nodomain/s"), ["spec.signerName"]),
        (request(signerName="a.b"), ["spec.signerName"]),
        (request(signerName="kubernetes.io/legacy-unknown"), ["spec.signerName"]),
        (request(expirationSeconds=60), ["spec.expirationSeconds"]),
    ],
)
def test_request_validation(obj: dict[str, Any], expected: list[str]) -> None:
    assert [str(e).partition(":")[0] for e in STRATEGY.validate(CTX, obj)] == expected


APPROVED = {"type": "Approved", "status": "True", "reason": "r"}
APPROVAL = CERTIFICATE_SIGNING_REQUEST.updates["approval"]


def test_approval_stamps_and_keeps() -> None:
    old = {**request(), "status": {}}
    new = {**old, "spec": {}, "status": {"conditions": [dict(APPROVED)], "certificate": "YWJj"}}
    APPROVAL.prepare_for_update(CTX, new, old)
    assert new["spec"] == old["spec"] and "certificate" not in new["status"]
    assert new["status"]["conditions"][0]["lastUpdateTime"] == "2026-11-21T12:00:00Z"
    assert not APPROVAL.validate_update(CTX, new, old)
    assert CERTIFICATE_SIGNING_REQUEST.status is not None
    found = CERTIFICATE_SIGNING_REQUEST.status.validate_update(CTX, new, old)
    assert str(found[0]) == 'status.conditions: Forbidden: updates may not add a condition of type "Approved"'
    gone = APPROVAL.validate_update(CTX, old, new)
    assert str(gone[0]) == 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, "Pending"),
        ({"conditions": [APPROVED], "certificate": "x"}, "Approved,Issued"),
        ({"conditions": [{"type": "Denied"}]}, "Denied"),
        ({"conditions": [APPROVED, {"type": "Failed"}]}, "Approved,Failed"),
    ],
)
def test_condition_column(status: dict[str, Any], text: str) -> None:
    assert condition_text(status) == text
