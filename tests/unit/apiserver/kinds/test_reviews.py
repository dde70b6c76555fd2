"""Reviews: who am I, whose token is this, may they do that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.authz.union import AlwaysDeny
from apiserver.http.protocols import Attributes, Decision
from apiserver.http.request import RequestInfo, User
from apiserver.kinds.authentication import SELF_SUBJECT_REVIEW, TOKEN_REVIEW
from apiserver.kinds.authentication.reviews import TOKEN_REVIEWER
from apiserver.kinds.authorization import (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
)
from apiserver.registry.actions import ActionRequest, Services
from apiserver.registry.facade import WriteOptions
from apiserver.registry.kind import Kind
from kubeling.api import errors
from kubeling.api.errors import StatusError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KIM = User("kim", "u1", ("g1",), {"b": ("2",), "a": ("1",)})


class Recorder(AlwaysDeny):
    """Allows ``get`` and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Attributes] = []

    async def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        return Decision(attributes.verb == "get", "because")

    async def rules_for(self, user: User, namespace: str) -> Any:
        return [{"verbs": ["get"]}], [], True, "some are missing"


class Tokens:
    audiences = ("api",)

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[User, Sequence[str]] | None:
        if token == "bad":
            raise errors.unauthorized()
        return (KIM, audiences) if token == "good" else None


class Nobody:
    async def authenticate(self, credentials: Any) -> User | None:
        return None


async def act(kind: Kind, body: Any, namespace: str = "", registries: Any = None) -> tuple[Any, Recorder]:
    authorizer = Recorder()
    services = Services(Nobody(), authorizer, extra={TOKEN_REVIEWER: Tokens()})

    async def admit(attributes: Any) -> None:
        return None

    async def receive() -> Any:
        return {}

    request = ActionRequest(
        RequestInfo("create", "/x", namespace=namespace),
        KIM,
        kind,
        body,
        {},
        WriteOptions(KIM),
        NOW,
        registries,
        services,
        {},
        receive,
        [],
        admit,
    )
    result = await kind.actions[""](request)
    assert result.status == 201
    return result.object, authorizer


async def test_who_am_i() -> None:
    found, _ = await act(SELF_SUBJECT_REVIEW, {})
    info = found["status"]["userInfo"]
    assert info == {"username": "kim", "uid": "u1", "groups": ["g1"], "extra": {"a": ["1"], "b": ["2"]}}


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("good", {"authenticated": True, "user": {"username": "kim"}, "audiences": ["api"]}),
        ("bad", {"user": {}, "error": "invalid bearer token"}),
        ("other", {"user": {}, "error": "invalid bearer token"}),
    ],
)
async def test_token_reviews(token: str, status: dict[str, Any]) -> None:
    found, _ = await act(TOKEN_REVIEW, {"spec": {"token": token}})
    shown = found["status"]
    if shown["user"]:
        shown["user"] = {"username": shown["user"]["username"]}
    assert shown == status


async def test_a_token_review_needs_a_token() -> None:
    with pytest.raises(StatusError, match="token is required for TokenReview in authentication"):
        await act(TOKEN_REVIEW, {"spec": {}})


async def test_access_reviews() -> None:
    resource = {"verb": "get", "resource": "pods", "namespace": "ns", "fieldSelector": {"rawSelector": "a=b"}}
    found, authorizer = await act(SELF_SUBJECT_ACCESS_REVIEW, {"spec": {"resourceAttributes": resource}})
    assert found["status"] == {"allowed": True, "reason": "because"}
    asked = authorizer.asked[0]
    assert (asked.user, asked.version, asked.field_selector) == (KIM, "*", "a=b")
    spec = {"user": "bob", "groups": ["g"], "nonResourceAttributes": {"verb": "post", "path": "/x"}}
    found, authorizer = await act(SUBJECT_ACCESS_REVIEW, {"spec": spec})
    assert found["status"]["allowed"] is False
    assert authorizer.asked == [Attributes(User("bob", groups=("g",)), "post", resource_request=False, path="/x")]


@pytest.mark.parametrize(
    ("kind", "body", "fields"),
    [
        (SUBJECT_ACCESS_REVIEW, {"spec": {}}, ["spec.resourceAttributes", "spec.user"]),
        (SELF_SUBJECT_ACCESS_REVIEW, {"spec": {"resourceAttributes": {}, "nonResourceAttributes": {}}},
         ["spec.nonResourceAttributes"]),
        (SELF_SUBJECT_ACCESS_REVIEW, {"metadata": {"name": "x"}, "spec": {"resourceAttributes": {}}}, ["metadata"]),
        (LOCAL_SUBJECT_ACCESS_REVIEW, {"spec": {"user": "u", "resourceAttributes": {"namespace": "other"}}},
         ["spec.resourceAttributes.namespace"]),
        (SELF_SUBJECT_ACCESS_REVIEW,
         {"spec": {"resourceAttributes": {"labelSelector": {"requirements": [{"key": "", "operator": "In"}]}}}},
         ["spec.resourceAttributes.labelSelector.requirements[0].key",
          "spec.resourceAttributes.labelSelector.requirements[0].values"]),
    ],
)  # fmt: skip
async def test_access_reviews_that_are_wrong(kind: Kind, body: Any, fields: list[str]) -> None:
    with pytest.raises(StatusError) as error:
        await act(kind, body, "ns" if kind is LOCAL_SUBJECT_ACCESS_REVIEW else "")
    assert [cause["field"] for cause in error.value.details["causes"]] == fields
    assert error.value.message.startswith('.authorization.k8s.io "" is invalid')


async def test_rules_reviews() -> None:
    found, _ = await act(SELF_SUBJECT_RULES_REVIEW, {"spec": {"namespace": "ns"}})
    assert found["status"] == {
        "resourceRules": [{"verbs": ["get"]}],
        "nonResourceRules": [],
        "incomplete": True,
        "evaluationError": "some are missing",
    }
    with pytest.raises(StatusError, match="no namespace on request"):
        await act(SELF_SUBJECT_RULES_REVIEW, {"spec": {}})
