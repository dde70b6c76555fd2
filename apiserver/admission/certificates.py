"""The plugins that guard certificate signing requests.

CertificateApproval and CertificateSigning: whoever approves or signs needs the right to do so for that signer.
CertificateSubjectRestriction: nobody becomes ``system:masters`` through a client certificate.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver.admission.common import about, refused
from apiserver.http.protocols import Attributes, Authorizer
from apiserver.http.request import User
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.meta import Object

_GROUP, _PLURAL = "certificates.k8s.io", "certificatesigningrequests"
_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE REQUEST-----.*?-----END CERTIFICATE REQUEST-----", re.S)


async def may_use_signer(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """Whether the user may ``approve``, ``sign`` or ``attest`` for a signer, or for all of its domain (``domain/*``)."""
    for name in (signer, signer.partition("/")[0] + "/*"):
        question = Attributes(user, verb, group=_GROUP, version="*", resource="signers", name=name)
        if (await authorizer.authorize(question)).allowed:
            return True
    return False


def _signer(request: Object | None) -> str:
    return str(((request or {}).get("spec") or {}).get("signerName") or "")


class CertificateApproval(NoAdmission):
    name = "CertificateApproval"
    resources = ((_GROUP, _PLURAL),)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, _GROUP, _PLURAL, ("UPDATE",), ("approval",))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        signer = _signer(attributes.obj)
        if not await may_use_signer(self._authorizer, attributes.user, "approve", signer):
            raise refused(attributes, f"user not permitted to approve requests with signerName {json.dumps(signer)}")


class CertificateSigning(NoAdmission):
    name = "CertificateSigning"
    resources = ((_GROUP, _PLURAL),)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, _GROUP, _PLURAL, ("UPDATE",), ("status",))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        new, old = (obj.get("status") or {} for obj in (attributes.obj or {}, attributes.old_obj or {}))
        if all(new.get(field) == old.get(field) for field in ("certificate", "conditions")):
            return
        signer = _signer(attributes.old_obj)
        if not await may_use_signer(self._authorizer, attributes.user, "sign", signer):
            raise refused(attributes, f"user not permitted to sign requests with signerName {json.dumps(signer)}")


class CertificateSubjectRestriction(NoAdmission):
    name = "CertificateSubjectRestriction"
    resources = ((_GROUP, _PLURAL),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, _GROUP, _PLURAL, ("CREATE",))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        if _signer(attributes.obj) != _CLIENT_SIGNER:
            return
        if "system:masters" in requested_organizations(((attributes.obj or {}).get("spec") or {}).get("request")):
            text = f"use of {_CLIENT_SIGNER} signer with system:masters group is not allowed"
            raise refused(attributes, text)


def requested_organizations(request: str | None) -> list[str]:
    """The organisations a base64 PEM request asks for; none when it cannot be read (validation says so)."""
    try:
        match = _PEM.search(base64.b64decode(request or ""))
        subject = x509.load_pem_x509_csr(match[0]).subject if match is not None else None
    except (binascii.Error, ValueError):
        return []
    if subject is None:
        return []
    return [str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
