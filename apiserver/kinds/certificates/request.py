"""CertificateSigningRequest: who asks for which certificate, whether it was approved, and the certificate.

Source: k8s.io/kubernetes/pkg/registry/certificates and pkg/printers/internalversion.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from apiserver.kinds.certificates import validation
from apiserver.kinds.certificates.validation import Allowed
from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.strategies import keep
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import duration, names
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of, rfc3339
from kubeling.api.resources import CERTIFICATE_SIGNING_REQUESTS

_DECISIONS = ("Approved", "Denied")


class RequestStrategy(Strategy):
    """The requester is who sent it, whatever the object says; nobody changes the request itself afterwards."""

    def default(self, obj: Object) -> None:
        obj.setdefault("status", {})

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        requester = {
            "username": ctx.user,
            "uid": ctx.uid,
            "groups": list(ctx.groups),
            "extra": {key: list(ctx.extra[key]) for key in sorted(ctx.extra)},
        }
        for field, value in requester.items():
            spec.pop(field, None)
            if value:
                spec[field] = value
        obj["status"] = {}

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "spec", "status")

    def validate_name(self, name: str) -> list[str]:
        return names.is_path_segment_name(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validation.validate_request(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validation.validate_request_update(obj, old, Allowed())


class _Part(RequestStrategy):
    """A subresource: keeps the rest, stamps the conditions."""

    allowed = Allowed()

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        raise NotImplementedError("subresources are not created")

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "spec")
        obj.setdefault("status", {})
        self.keep_rest(obj["status"], old.get("status") or {})
        _stamp(obj["status"].get("conditions") or [], (old.get("status") or {}).get("conditions") or [], ctx.now)

    def keep_rest(self, status: Object, old: Object) -> None:
        """What of the status this subresource may not change."""

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validation.validate_request_update(obj, old, self.allowed)


class StatusStrategy(_Part):
    allowed = Allowed(certificate=True)


class ApprovalStrategy(_Part):
    allowed = Allowed(decisions=True)

    def keep_rest(self, status: Object, old: Object) -> None:
        keep(status, old, "certificate")


def _stamp(conditions: list[Object], old: list[Object], now: datetime) -> None:
    """Fills in the times that a writer left out: the last transition stays while the status does."""
    for condition in conditions:
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = rfc3339(now)
        if condition.get("lastTransitionTime"):
            continue
        same = (c for c in old if (c.get("type"), c.get("status")) == (condition.get("type"), condition.get("status")))
        kept = next((c["lastTransitionTime"] for c in same if c.get("lastTransitionTime")), None)
        condition["lastTransitionTime"] = kept or rfc3339(now)


def condition_text(status: Object) -> str:
    """``Approved,Issued``, ``Denied``, ``Pending`` …"""
    types = {c.get("type") for c in status.get("conditions") or ()}
    text = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    if "Failed" in types:
        text += ",Failed"
    return text + ",Issued" if status.get("certificate") else text


def _row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    wanted = NONE if seconds is None else duration.human_duration(timedelta(seconds=seconds))
    signer = spec.get("signerName") or NONE
    return [
        name_of(obj),
        age_of(obj, now),
        signer,
        spec.get("username", ""),
        wanted,
        condition_text(obj.get("status") or {}),
    ]


_SPEC = "certificates.v1.CertificateSigningRequestSpec"
# the printer describes the columns as the beta version did
_SIGNER = (
    "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. "
    "If empty, it will be defaulted:\n"
    " 1. If it's a kubelet client certificate, it is assigned\n"
    '    "kubernetes.io/kube-apiserver-client-kubelet".\n'
    " 2. If it's a kubelet serving certificate, it is assigned\n"
    '    "kubernetes.io/kubelet-serving".\n'
    ' 3. Otherwise, it is assigned "kubernetes.io/legacy-unknown".\n'
    "Distribution of trust for signers happens out of band. You can select on this field using `spec.signerName`."
)
_COLUMNS = (
    NAME,
    AGE,
    column("SignerName", _SIGNER),
    column("Requestor", "Base64-encoded PKCS#10 CSR data"),
    column("RequestedDuration", f"{_SPEC}:expirationSeconds"),
    column("Condition", "Conditions applied to the request, such as approval or denial."),
)

CERTIFICATE_SIGNING_REQUEST = Kind(
    CERTIFICATE_SIGNING_REQUESTS,
    RequestStrategy(),
    Printer(_COLUMNS, _row),
    status=StatusStrategy(),
    updates={"approval": ApprovalStrategy()},
    field_selectors={"spec.signerName": lambda obj: str((obj.get("spec") or {}).get("signerName") or "")},
)
