"""What a certificate request asks for, and whether its signer allows that. Pure.

Source of the rules: the certificates.k8s.io documentation (built-in signers).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubeling.api.meta import Object, has_condition

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (KUBELET_SERVING, KUBELET_CLIENT, CLIENT, LEGACY)

_CLIENT_USAGES = {"key encipherment", "digital signature", "client auth"}
_SERVING_USAGES = {"key encipherment", "digital signature", "server auth"}


class InvalidRequest(ValueError):
    """The request is not one that the signer signs; the message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A decoded PKCS#10 request."""

    csr: x509.CertificateSigningRequest
    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[Any, ...]
    other_names: int


def decode(request: Mapping[str, Any]) -> Wanted:
    """The PKCS#10 request inside. Raises InvalidRequest."""
    try:
        csr = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    except (ValueError, binascii.Error) as err:
        raise InvalidRequest(f"unable to parse csr: {err}") from err
    if not csr.is_signature_valid:
        raise InvalidRequest("the request is not signed by its own key")
    names = [str(a.value) for a in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(str(a.value) for a in csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    try:
        alternatives = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        alternatives = x509.SubjectAlternativeName([])
    dns = tuple(alternatives.get_values_for_type(x509.DNSName))
    ips = tuple(alternatives.get_values_for_type(x509.IPAddress))
    others = len(list(alternatives)) - len(dns) - len(ips)
    return Wanted(csr, names[0] if names else "", groups, dns, ips, others)


def check(request: Mapping[str, Any], wanted: Wanted) -> None:
    """Raises InvalidRequest when the signer that the request names does not sign such a one."""
    usages, signer = set(request["spec"].get("usages") or ()), request["spec"]["signerName"]
    if signer == KUBELET_SERVING:
        _check_kubelet(request, wanted, usages, _SERVING_USAGES)
        if not wanted.dns_names and not wanted.ip_addresses:
            raise InvalidRequest("at least one DNS or IP subjectAltName is required")
        if wanted.other_names:
            raise InvalidRequest("email and URI subjectAltNames are not allowed")
        if request["spec"].get("username") != wanted.common_name:
            raise InvalidRequest("requested subject does not match the requesting user")
    elif signer == KUBELET_CLIENT:
        _check_kubelet(request, wanted, usages, _CLIENT_USAGES)
        if wanted.dns_names or wanted.ip_addresses or wanted.other_names:
            raise InvalidRequest("subjectAltNames are not allowed")
    elif signer == CLIENT and not ("client auth" in usages and usages <= {*_CLIENT_USAGES}):
        raise InvalidRequest("usages did not match [client auth, digital signature, key encipherment]")


def _check_kubelet(request: Mapping[str, Any], wanted: Wanted, usages: set[str], allowed: set[str]) -> None:
    if wanted.organizations != ("system:nodes",):
        raise InvalidRequest("subject organization is not system:nodes")
    if not wanted.common_name.startswith("system:node:"):
        raise InvalidRequest("subject common name does not begin with system:node:")
    needed = allowed - {"key encipherment"}
    if not needed <= usages <= allowed:
        raise InvalidRequest(f"usages did not match {sorted(needed)}")


def is_kubelet_client(request: Mapping[str, Any]) -> bool:
    """True for a well-formed request of a kubelet for its client certificate."""
    if request["spec"]["signerName"] != KUBELET_CLIENT:
        return False
    try:
        check(request, decode(request))
    except InvalidRequest:
        return False
    return True


def is_own(request: Mapping[str, Any], wanted: Wanted) -> bool:
    """True when a node asks for itself."""
    return bool(request["spec"].get("username") == wanted.common_name)


def is_approved(request: Object) -> bool:
    return has_condition(request, "Approved") and not has_condition(request, "Denied")


def is_decided(request: Object) -> bool:
    return has_condition(request, "Approved") or has_condition(request, "Denied")
