"""The wording of 403, and the wrappers around authorizers."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.authz.browser_safe import BrowserSafe
from apiserver.authz.forbidden import forbidden
from apiserver.authz.union import AlwaysAllow, AlwaysDeny, PrivilegedGroups, Union
from apiserver.http.protocols import Attributes, Decision
from apiserver.http.request import ANONYMOUS, User

ALICE = User("alice", groups=("system:authenticated",))


@pytest.mark.parametrize(
    ("question", "message", "details"),
    [
        (
            {"verb": "list", "resource": "pods", "namespace": "default"},
            'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"',
            {"kind": "pods"},
        ),
        (
            {"verb": "get", "group": "apps", "resource": "deployments", "subresource": "scale", "name": "d"},
            'deployments.apps "d" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" '
            "at the cluster scope",
            {"name": "d", "group": "apps", "kind": "deployments"},
        ),
        (
            {"verb": "get", "resource_request": False, "path": "/a<b"},
            'forbidden: User "alice" cannot get path "/a&lt;b"',
            {},
        ),
    ],
)
def test_wording(question: dict[str, Any], message: str, details: dict[str, str]) -> None:
    error = forbidden(Attributes(ALICE, **question))
    assert error.message == message
    assert error.status["details"] == details


def test_the_reason_follows() -> None:
    assert forbidden(Attributes(ALICE, "get", resource="pods"), "because").message.endswith(
        "at the cluster scope: because"
    )


async def test_privileged_groups_come_first() -> None:
    union = Union([PrivilegedGroups("system:masters"), AlwaysDeny()])
    assert (await union.authorize(Attributes(User("root", groups=("system:masters",)), "x"))).allowed
    assert await union.authorize(Attributes(ALICE, "x")) == Decision(False, "Everything is forbidden.")


async def test_an_allowing_authorizer_ends_the_union() -> None:
    union = Union([AlwaysDeny(), AlwaysAllow()])
    assert (await union.authorize(Attributes(ALICE, "x"))).allowed


async def test_anonymous_requests_do_not_get_through_proxies() -> None:
    safe = BrowserSafe(AlwaysDeny())
    question = Attributes(ANONYMOUS, "get", resource="services", subresource="proxy", namespace="ns", name="s")
    decision = await safe.authorize(question)
    assert decision.reason == "Everything is forbidden., proxy subresource changed to unsafeproxy"
    assert (await safe.authorize(Attributes(ALICE, "get", subresource="proxy"))).reason == "Everything is forbidden."
