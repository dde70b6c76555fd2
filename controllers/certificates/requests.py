"""What a certificate request asks for, and whether its signer allows that. Pure.

Source of the rules: the certificates.k8s.io documentation (built-in signers).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubeling.api.meta import Object, has_condition

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"

_CLIENT_USAGES = {"key encipherment", "digital signature", "client auth"}
_SERVING_USAGES = {"key encipherment", "digital signature", "server auth"}
_OPTIONAL = "key encipherment"  # keys that are not RSA have no use for it


class InvalidRequest(ValueError):
    """The request is not one that the signer signs; the message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A decoded PKCS#10 request."""

    csr: x509.CertificateSigningRequest
    common_name: str
    organizations: tuple[str, ...]
    alternatives: x509.SubjectAlternativeName | None

    def has(self, kind: type[x509.GeneralName]) -> bool:
        """Whether a subjectAltName of that kind is asked for."""
        return any(isinstance(name, kind) for name in self.alternatives or ())


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
        alternatives = None
    return Wanted(csr, names[0] if names else "", groups, alternatives)


def check(request: Mapping[str, Any], wanted: Wanted) -> None:
    """Raises InvalidRequest when the signer that the request names does not sign such a one."""
    usages, signer = list(request["spec"].get("usages") or ()), request["spec"]["signerName"]
    if signer == KUBELET_SERVING:
        _check_nodes(wanted)
        if not wanted.has(x509.DNSName) and not wanted.has(x509.IPAddress):
            raise InvalidRequest("DNS or IP subjectAltName is required")
        _refuse(wanted, (x509.RFC822Name, "Email"), (x509.UniformResourceIdentifier, "URI"))
        _check_usages(usages, _SERVING_USAGES)
        _check_name(wanted)
    elif signer == KUBELET_CLIENT:
        _check_nodes(wanted)
        _refuse(
            wanted,
            (x509.DNSName, "DNS"),
            (x509.RFC822Name, "Email"),
            (x509.IPAddress, "IP"),
            (x509.UniformResourceIdentifier, "URI"),
        )
        _check_name(wanted)
        _check_usages(usages, _CLIENT_USAGES)
    elif signer == CLIENT:
        _check_client_usages(usages)


def _check_nodes(wanted: Wanted) -> None:
    if wanted.organizations != ("system:nodes",):
        raise InvalidRequest("subject organization is not system:nodes")


def _check_name(wanted: Wanted) -> None:
    if not wanted.common_name.startswith("system:node:"):
        raise InvalidRequest("subject common name does not begin with system:node: ")


def _refuse(wanted: Wanted, *kinds: tuple[type[x509.GeneralName], str]) -> None:
    for kind, text in kinds:
        if wanted.has(kind):
            raise InvalidRequest(f"{text} subjectAltNames are not allowed")


def _check_usages(usages: Iterable[str], allowed: set[str]) -> None:
    if set(usages) not in (allowed, allowed - {_OPTIONAL}):
        raise InvalidRequest(f"usages did not match [{' '.join(sorted(allowed))}]")


def _check_client_usages(usages: Iterable[str]) -> None:
    for usage in usages:
        if usage not in _CLIENT_USAGES:
            raise InvalidRequest(f"invalid usage for client certificate: {usage}")
    if "client auth" not in usages:
        raise InvalidRequest("missing required usage for client certificate: client auth")


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
