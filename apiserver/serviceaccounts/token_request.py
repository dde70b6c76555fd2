"""The ``token`` subresource of service accounts."""

from __future__ import annotations

from apiserver.registry.actions import ActionRequest, ActionResult
from apiserver.serviceaccounts.issuer import DEFAULT_SECONDS, Issuer
from kubeling.api import errors, fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of, namespace_of, rfc3339, uid_of
from kubeling.api.resources import SERVICE_ACCOUNTS

_GROUP, _KIND = "authentication.k8s.io", "TokenRequest"
_MIN_SECONDS = 600
_MAX_SECONDS = 1 << 32


async def create_token(request: ActionRequest) -> ActionResult:
    """Answers a TokenRequest. Raises ``StatusError`` 400, 404, 409 or 422."""
    body = request.body or {}
    issuer = request.services.tokens
    if not isinstance(issuer, Issuer):
        raise errors.not_found("", "serviceaccounts", request.info.name)
    _check_identity(body, request.info.name, request.info.namespace)
    account = await request.registries.of(SERVICE_ACCOUNTS).get(request.info.name, request.info.namespace)
    spec = dict(body.get("spec") or {})
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = DEFAULT_SECONDS
    tracked = request.track({**body, "spec": dict(spec)})
    if not spec.get("audiences"):
        spec["audiences"] = list(issuer.settings.audiences)
    problems = _validate(spec)
    if problems:
        raise errors.invalid(_GROUP, _KIND, "", problems)
    limit = issuer.settings.max_seconds
    if limit and spec["expirationSeconds"] > limit:
        request.warn(f"requested expiration of {spec['expirationSeconds']} seconds shortened to {limit} seconds")
        spec["expirationSeconds"] = limit
    spec.setdefault("boundObjectRef", None)
    status = await issuer.issue(account, {"spec": spec}, request.registries, request.now)
    return ActionResult(_answer(request, account, tracked, spec, status), 201)


def _answer(request: ActionRequest, account: Object, body: Object, spec: Object, status: Object) -> Object:
    metadata = {
        **(body.get("metadata") or {}),
        "name": name_of(account),
        "namespace": namespace_of(account),
        "uid": uid_of(account),
        "creationTimestamp": rfc3339(request.now),
    }
    return {"kind": _KIND, "apiVersion": f"{_GROUP}/v1", "metadata": metadata, "spec": spec, "status": status}


def _check_identity(body: Object, name: str, namespace: str) -> None:
    if namespace_of(body) not in ("", namespace):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if name_of(body) not in ("", name):
        text = "must match the service account name if specified"
        raise errors.invalid(_GROUP, _KIND, name, [fields.invalid(Path("metadata", "name"), name_of(body), text)])


def _validate(spec: Object) -> ErrorList:
    seconds, path = int(spec["expirationSeconds"]), Path("spec", "expirationSeconds")
    if seconds < _MIN_SECONDS:
        return [fields.invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > _MAX_SECONDS:
        return [fields.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
