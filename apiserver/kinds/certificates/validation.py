"""What is wrong with a CertificateSigningRequest. Source: k8s.io/kubernetes/pkg/apis/certificates/validation."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object

USAGES = (
    "signing",
    "digital signature",
    "content commitment",
    "key encipherment",
    "key agreement",
    "data encipherment",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
    "any",
    "server auth",
    "client auth",
    "code signing",
    "email protection",
    "s/mime",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
    "microsoft sgc",
    "netscape sgc",
)
_SPEC, _CONDITIONS, _CERTIFICATE = Path("spec"), Path("status", "conditions"), Path("status", "certificate")
_LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
_MIN_SECONDS = 600
_MAX_SIGNER = 571
"""A domain, a slash, and what still makes a resource name with it."""
_ONLY_TRUE = ("Approved", "Denied", "Failed")
_STATUSES = ("True", "False", "Unknown")
_BLOCK = re.compile(rb"-----BEGIN ([^-]+)-----\r?\n(.*?)-----END \1-----", re.S)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an endpoint may change: ``approval`` the decisions, ``status`` the certificate."""

    decisions: bool = False
    certificate: bool = False


def validate_request(obj: Object) -> ErrorList:
    spec = obj.get("spec") or {}
    errors: ErrorList = []
    problem = csr_problem(spec.get("request"))
    if problem:
        errors.append(fields.invalid(_SPEC.child("request"), spec.get("request"), problem))
    errors += _validate_usages(spec.get("usages") or [])
    if spec.get("signerName") == _LEGACY_SIGNER:
        text = "the legacy signerName is not allowed via this API version"
        errors.append(fields.invalid(_SPEC.child("signerName"), _LEGACY_SIGNER, text))
    else:
        errors += validate_signer_name(spec.get("signerName") or "", _SPEC.child("signerName"))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _MIN_SECONDS:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(fields.invalid(_SPEC.child("expirationSeconds"), seconds, text))
    status = obj.get("status") or {}
    return errors + _validate_conditions(status.get("conditions") or []) + _validate_certificate(status)


def validate_request_update(obj: Object, old: Object, allowed: Allowed) -> ErrorList:
    errors = validate_request(obj)
    for kind in _ONLY_TRUE:
        if len(_of_type(obj, kind)) < len(_of_type(old, kind)):
            errors.append(fields.forbidden(_CONDITIONS, f'updates may not remove a condition of type "{kind}"'))
    if not allowed.decisions:
        for kind in ("Approved", "Denied"):
            new, present = _of_type(obj, kind), _of_type(old, kind)
            if len(new) > len(present):
                errors.append(fields.forbidden(_CONDITIONS, f'updates may not add a condition of type "{kind}"'))
            elif len(new) == len(present) and new != present:
                errors.append(fields.forbidden(_CONDITIONS, f'updates may not modify a condition of type "{kind}"'))
    certificate = (obj.get("status") or {}).get("certificate")
    before = (old.get("status") or {}).get("certificate")
    if certificate != before:
        if not allowed.certificate:
            errors.append(fields.forbidden(_CERTIFICATE, "updates may not set certificate content"))
        elif before:
            errors.append(fields.forbidden(_CERTIFICATE, "updates may not modify existing certificate content"))
    return errors


def _of_type(obj: Object, kind: str) -> list[Any]:
    return [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == kind]


def csr_problem(request: str | None) -> str:
    """Why the base64 text is no PEM certificate request; empty when it is one."""
    match = _BLOCK.search(_decoded(request))
    if match is None or match[1] != b"CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        parsed = x509.load_pem_x509_csr(match[0])
        if not parsed.is_signature_valid:
            return "x509: signature verification failed"
    except ValueError as error:
        return f"asn1: structure error: {error}"
    return ""


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "")
    except (binascii.Error, ValueError):
        return b""


def _validate_usages(usages: list[str]) -> ErrorList:
    path = _SPEC.child("usages")
    if not usages:
        return [fields.required(path)]
    errors: ErrorList = []
    for i, usage in enumerate(usages):
        if usage not in USAGES:
            errors.append(fields.not_supported(path.index(i), usage, sorted(USAGES)))
        elif usage in usages[:i]:
            errors.append(fields.duplicate(path.index(i), usage))
    return errors


def validate_signer_name(signer: str, path: Path) -> ErrorList:
    """``example.com/name``: a domain of at least two labels, a slash, a path."""
    if not signer:
        return [fields.required(path)]
    segments = signer.split("/")
    if len(segments) != 2:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [fields.invalid(path, signer, text)]
    domain, rest = segments
    errors: ErrorList = []
    if len(domain) > 253:
        errors.append(fields.too_long(path, 253))
    for label in domain.split("."):
        errors += _label_errors(path, domain, label, names.is_dns1123_label(label))
    if "." not in domain:
        errors.append(fields.invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    for label in rest.split("."):
        errors += _label_errors(path, rest, label, names.is_dns1123_subdomain(label))
    if len(signer) > _MAX_SIGNER:
        errors.append(fields.too_long(path, _MAX_SIGNER))
    return errors


def _label_errors(path: Path, value: str, label: str, messages: list[str]) -> ErrorList:
    return [fields.invalid(path, value, f"validating label {json.dumps(label)}: {message}") for message in messages]


def _validate_conditions(conditions: list[Object]) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        kind, path = condition.get("type") or "", _CONDITIONS.index(i)
        if not kind:
            errors.append(fields.required(path.child("type")))
        supported = ("True",) if kind in _ONLY_TRUE else _STATUSES
        status = condition.get("status") or ""
        if not status:
            errors.append(fields.required(path.child("status")))
        elif status not in supported:
            errors.append(fields.not_supported(path.child("status"), status, supported))
        if {"Approved", "Denied"} <= {*seen, kind} and kind in ("Approved", "Denied") and kind not in seen:
            text = "Approved and Denied conditions are mutually exclusive"
            errors.append(fields.invalid(path.child("type"), kind, text))
        if kind in seen:
            errors.append(fields.duplicate(path.child("type"), kind))
        seen.add(kind)
    return errors


def _validate_certificate(status: Object) -> ErrorList:
    if not status.get("certificate"):
        return []
    problem = certificate_problem(_decoded(status["certificate"]))
    return [fields.invalid(_CERTIFICATE, "<certificate data>", problem)] if problem else []


def certificate_problem(pem: bytes) -> str:
    """Why the bytes are no chain of PEM certificates; empty when they are one."""
    found = list(_BLOCK.finditer(pem))
    for match in found:
        if match[1] != b"CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{match[1].decode()}"'
        if b":" in match[2]:
            return "no PEM block headers are permitted"
        try:
            x509.load_pem_x509_certificate(match[0])
        except ValueError as error:
            return str(error)
    return "" if found else "must contain at least one CERTIFICATE PEM block"
