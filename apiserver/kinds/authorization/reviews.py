"""The access reviews: may someone do something, and what may I do.

Source: k8s.io/kubernetes/pkg/registry/authorization.
"""

from __future__ import annotations

from apiserver.http.protocols import Attributes
from apiserver.http.request import User
from apiserver.kinds.authorization import validation
from apiserver.kinds.authorization.selectors import field_selector, label_selector
from apiserver.registry.actions import ActionRequest, ActionResult
from apiserver.registry.kind import Kind
from kubeling.api import errors
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, namespace_of
from kubeling.api.resources import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
)

_GROUP = "authorization.k8s.io"


async def create_self_subject_access_review(request: ActionRequest) -> ActionResult:
    body = request.track(request.body or {})
    _check(validation.validate_self_review(body))
    return await _answer(request, body, request.user)


async def create_subject_access_review(request: ActionRequest) -> ActionResult:
    body = request.track(request.body or {})
    _check(validation.validate_review(body))
    return await _answer(request, body, _subject(body))


async def create_local_subject_access_review(request: ActionRequest) -> ActionResult:
    namespace = request.info.namespace
    body = request.track(request.body or {})
    if namespace_of(body) not in ("", namespace):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    body = {**body, "metadata": {**(body.get("metadata") or {}), "namespace": namespace}}
    _check(validation.validate_local_review(body))
    return await _answer(request, body, _subject(body))


async def create_self_subject_rules_review(request: ActionRequest) -> ActionResult:
    namespace = ((request.body or {}).get("spec") or {}).get("namespace") or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    resources, urls, incomplete, problem = await request.services.authorizer.rules_for(request.user, namespace)
    status: Object = {"resourceRules": resources, "nonResourceRules": urls, "incomplete": incomplete}
    if problem:
        status["evaluationError"] = problem
    return ActionResult(
        {
            "kind": "SelfSubjectRulesReview",
            "apiVersion": f"{_GROUP}/v1",
            "metadata": {},
            "spec": {},
            "status": status,
        },
        201,
    )


def _check(problems: ErrorList) -> None:
    if problems:
        raise errors.invalid(_GROUP, "", "", problems)  # upstream has lost the kind when it says so


def _subject(body: Object) -> User:
    spec = body.get("spec") or {}
    extra = {key.lower(): tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()), extra)


async def _answer(request: ActionRequest, body: Object, user: User) -> ActionResult:
    decision = await request.services.authorizer.authorize(attributes_of(body.get("spec") or {}, user))
    status: Object = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    return ActionResult({**body, "metadata": body.get("metadata") or {}, "status": status}, 201)


def attributes_of(spec: Object, user: User) -> Attributes:
    """What a review asks about; a version it does not name means every one."""
    resource = spec.get("resourceAttributes")
    if resource is None:
        other = spec.get("nonResourceAttributes") or {}
        return Attributes(user, other.get("verb", ""), resource_request=False, path=other.get("path", ""))
    return Attributes(
        user,
        resource.get("verb", ""),
        group=resource.get("group", ""),
        version=resource.get("version") or "*",
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
        label_selector=label_selector(resource.get("labelSelector") or {}),
        field_selector=field_selector(resource.get("fieldSelector") or {}),
    )


SELF_SUBJECT_ACCESS_REVIEW = Kind(SELF_SUBJECT_ACCESS_REVIEWS, actions={"": create_self_subject_access_review})
SUBJECT_ACCESS_REVIEW = Kind(SUBJECT_ACCESS_REVIEWS, actions={"": create_subject_access_review})
LOCAL_SUBJECT_ACCESS_REVIEW = Kind(LOCAL_SUBJECT_ACCESS_REVIEWS, actions={"": create_local_subject_access_review})
SELF_SUBJECT_RULES_REVIEW = Kind(SELF_SUBJECT_RULES_REVIEWS, actions={"": create_self_subject_rules_review})
