"""Approves, signs and removes CertificateSigningRequests."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography import x509

from controllers.certificates.requests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY,
    InvalidRequest,
    check,
    decode,
    is_approved,
    is_decided,
    is_kubelet_client,
    is_own,
)
from controllers.certificates.signing import Authority
from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.options import Options
from kubeling.api.meta import Key, Object, condition_of, has_condition, parse_time, with_condition
from kubeling.api.resources import CERTIFICATE_SIGNING_REQUESTS, SUBJECT_ACCESS_REVIEWS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.errors import StartError

# what the requester must be allowed to create: for itself, or for any node
_SELF_NODE, _NODE = "selfnodeclient", "nodeclient"
_MESSAGES = {
    _SELF_NODE: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    _NODE: "Auto approving kubelet client certificate after SubjectAccessReview.",
}
APPROVED_LIFE = DENIED_LIFE = FAILED_LIFE = timedelta(hours=1)
PENDING_LIFE = timedelta(hours=24)
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.2, 1000.0


class Approver:
    """Approves kubelets' requests for client certificates that RBAC lets them make, be it later."""

    def __init__(self, requests: Collection, clock: Clock) -> None:
        self._requests = requests
        self._clock = clock
        self._refused: dict[Key, int] = {}

    async def reconcile(self, key: Key) -> Result | None:
        request = self._requests.get(key)
        if request is None or is_decided(request) or request.get("status", {}).get("certificate"):
            self._refused.pop(key, None)
            return None
        if not is_kubelet_client(request):
            return None
        for subresource in (_SELF_NODE, _NODE):
            if subresource == _SELF_NODE and not is_own(request, decode(request)):
                continue
            if await self._allowed(request, subresource):
                await self._approve(request, _MESSAGES[subresource])
                return None
        tries = self._refused[key] = self._refused.get(key, 0) + 1
        return Result(min(FIRST_RETRY_SECONDS * 2 ** (tries - 1), LONGEST_RETRY_SECONDS))

    async def _allowed(self, request: Object, subresource: str) -> bool:
        spec = request["spec"]
        attributes = {"group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create"}
        review = {
            "spec": {
                "user": spec.get("username"),
                "uid": spec.get("uid", ""),
                "groups": spec.get("groups") or [],
                "extra": spec.get("extra") or {},
                "resourceAttributes": {**attributes, "subresource": subresource, "version": "*"},
            }
        }
        answer = await self._requests.client.create(SUBJECT_ACCESS_REVIEWS, review)
        return bool(answer["status"].get("allowed"))

    async def _approve(self, request: Object, message: str) -> None:
        now = self._clock.now()
        status = request.get("status") or {}
        conditions = with_condition(
            status.get("conditions"), "Approved", "True", now, "AutoApproved", message,
            lastUpdateTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )  # fmt: skip
        await self._requests.update({**request, "status": {**status, "conditions": conditions}}, subresource="approval")


class Signer:
    """Signs approved requests to the built-in signers. ``authorities``: of those that have one."""

    def __init__(self, requests: Collection, authorities: Mapping[str, Authority], clock: Clock) -> None:
        self._requests = requests
        self._authorities = authorities
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        request = self._requests.get(key)
        authority = self._authorities.get(request["spec"].get("signerName", "")) if request is not None else None
        if request is None or authority is None or not is_approved(request):
            return
        status = request.get("status") or {}
        if status.get("certificate") or has_condition(request, "Failed"):
            return
        spec, now = request["spec"], self._clock.now()
        try:
            wanted = decode(request)
            check(request, wanted)
        except InvalidRequest as err:
            conditions = with_condition(
                status.get("conditions"), "Failed", "True", now, "SignerValidationFailure", str(err),
                lastUpdateTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            )  # fmt: skip
            await self._requests.update_status({**request, "status": {**status, "conditions": conditions}})
            return
        pem = authority.sign(wanted, list(spec.get("usages") or ()), spec.get("expirationSeconds"), now)
        encoded = base64.b64encode(pem.encode()).decode()
        await self._requests.update_status({**request, "status": {**status, "certificate": encoded}})


def expires_at(request: Object) -> datetime | None:
    """When the request may be removed: soon after its end, later when nobody cared, at once with its certificate.

    None for one that is approved and that nobody has signed.
    """
    status = request.get("status") or {}
    ends: list[datetime] = []
    if not status.get("conditions") and not status.get("certificate"):
        ends.append(parse_time(request["metadata"]["creationTimestamp"]) + PENDING_LIFE)
    for type_, life in (("Approved", APPROVED_LIFE), ("Denied", DENIED_LIFE), ("Failed", FAILED_LIFE)):
        condition = condition_of(request, type_)
        done = type_ != "Approved" or status.get("certificate")
        if condition is not None and done and (at := condition.get("lastUpdateTime")):
            ends.append(parse_time(at) + life)
    if pem := status.get("certificate"):
        certificate = x509.load_pem_x509_certificate(base64.b64decode(pem))
        ends.append(certificate.not_valid_after_utc)
    return min(ends, default=None)


class Cleaner:
    """Removes requests that are over."""

    def __init__(self, requests: Collection, clock: Clock) -> None:
        self._requests = requests
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        request = self._requests.get(key)
        if request is None:
            return None
        end = expires_at(request)
        if end is None:
            return None
        left = (end - self._clock.now()).total_seconds()
        if left > 0:
            return Result(left)
        await self._requests.delete(request)
        return None


def _build_approver(context: Context) -> Sequence[Runnable]:
    requests = context.collection(CERTIFICATE_SIGNING_REQUESTS)
    controller = context.controller("certificate", Approver(requests, context.clock))
    controller.watch(requests.informer)
    return [controller]


def authorities_of(options: Options) -> dict[str, Authority]:
    """The signers and their authorities: one for all, or one for each that has files of its own. Raises StartError."""
    longest = timedelta(seconds=options.cluster_signing_duration)
    general = (options.cluster_signing_cert_file, options.cluster_signing_key_file)
    own = {
        KUBELET_SERVING: (options.cluster_signing_kubelet_serving_cert_file, options.cluster_signing_kubelet_serving_key_file),
        KUBELET_CLIENT: (options.cluster_signing_kubelet_client_cert_file, options.cluster_signing_kubelet_client_key_file),
        CLIENT: (
            options.cluster_signing_kube_apiserver_client_cert_file, options.cluster_signing_kube_apiserver_client_key_file,
        ),
        LEGACY: (options.cluster_signing_legacy_unknown_cert_file, options.cluster_signing_legacy_unknown_key_file),
    }  # fmt: skip
    specific = {signer: files for signer, files in own.items() if any(files)}
    if any(general) and specific:
        raise StartError(
            "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time"
        )
    for signer, files in specific.items():
        if not all(files):
            raise StartError(
                f"the signer {signer} needs both --cluster-signing-*-cert-file and --cluster-signing-*-key-file"
            )
    if all(general):
        return dict.fromkeys(own, Authority(*general, longest))
    return {signer: Authority(*files, longest) for signer, files in specific.items()}


def _build_signer(context: Context) -> Sequence[Runnable]:
    authorities = authorities_of(context.options)
    if not authorities:
        return []
    requests = context.collection(CERTIFICATE_SIGNING_REQUESTS)
    controller = context.controller("csrsigning", Signer(requests, authorities, context.clock))
    controller.watch(requests.informer)
    return [controller]


def _build_cleaner(context: Context) -> Sequence[Runnable]:
    requests = context.collection(CERTIFICATE_SIGNING_REQUESTS)
    controller = context.controller("csrcleaner", Cleaner(requests, context.clock), workers=1)
    controller.watch(requests.informer)
    return [controller]


APPROVING = ControllerSpec(
    "certificatesigningrequest-approving-controller",
    _build_approver,
    alias="csrapproving",
    account="certificate-controller",
)
SIGNING = ControllerSpec(
    "certificatesigningrequest-signing-controller", _build_signer, alias="csrsigning", account="certificate-controller"
)
CLEANING = ControllerSpec(
    "certificatesigningrequest-cleaner-controller", _build_cleaner, alias="csrcleaner", account="certificate-controller"
)
