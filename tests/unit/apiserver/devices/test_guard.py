"""Who may write what of claims."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.devices.guard import ADMIN_LABEL, NODE_NAME, ClaimGuard
from apiserver.http.protocols import Attributes, Decision
from apiserver.registry.kind import Context
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object
from kubeling.api.resources import RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS

ACCOUNT = "system:serviceaccount:ns:driver"


class Rights:
    """Allows what is listed as ``verb subresource namespace/name``; remembers every question."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[str] = []

    async def authorize(self, attributes: Attributes) -> Decision:
        question = f"{attributes.verb} {attributes.subresource} {attributes.namespace}/{attributes.name}"
        self.asked.append(question)
        return Decision(question in self.allowed, "because")


def guard(rights: Rights | None = None, resource: Any = RESOURCE_CLAIMS, **labels: str) -> ClaimGuard:
    namespace = {"metadata": {"name": "ns", "labels": labels}}
    registries: Any = SimpleNamespace(of=lambda kind: SimpleNamespace(cached=lambda name: namespace))
    return ClaimGuard(resource, registries, lambda: rights or Rights())  # type: ignore[arg-type]  # asked nothing else


def context(verb: str = "update", node: str = "", user: str = ACCOUNT) -> Context:
    extra = {NODE_NAME: (node,)} if node else {}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Context(now, user, extra=extra, subresource="status", api_version="resource.k8s.io/v1", verb=verb)


def claim(**status: Any) -> Object:
    return {"metadata": {"name": "c", "namespace": "ns"}, "spec": {}, "status": status}


def allocated(node: str = "n", **result: Any) -> Object:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    selector = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"devices": {"results": [{"driver": "drv", "pool": "p", "device": "d", **result}]}, "nodeSelector": selector}


def told(driver: str = "drv", **more: Any) -> Object:
    return {"driver": driver, "pool": "p", "device": "d", **more}


async def test_whoever_binds_claims_needs_the_right_to() -> None:
    new = claim(allocation=allocated(), reservedFor=[{"resource": "pods", "name": "p", "uid": "u"}])
    rights = Rights("patch binding /")
    await guard(rights).begin_update(context("patch"), new, claim())
    assert rights.asked == ["patch binding /"]
    with pytest.raises(StatusError) as refused:
        await guard().begin_update(context(), new, claim())
    assert refused.value.code == 422
    assert refused.value.message == (
        'ResourceClaim.resource.k8s.io "c" is invalid: status: Forbidden: changing status.allocation or status.reservedFor '
        'requires resource="resourceclaims/binding", verb="update" permission: resourceclaims.resource.k8s.io is forbidden: '
        f'User "{ACCOUNT}" cannot update resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster '
        "scope: because"
    )


async def test_what_does_not_change_needs_no_right() -> None:
    rights = Rights()
    same = claim(allocation=allocated(), devices=[told()])
    await guard(rights).begin_update(context(), same, same)
    await guard(rights).begin_update(context(), claim(reservedFor=[]), claim())
    await guard(rights).begin_update(
        Context(datetime(2026, 1, 1, tzinfo=UTC)), claim(allocation=allocated()), claim()
    )  # not through the status
    assert rights.asked == []


@pytest.mark.parametrize(
    ("allowed", "node", "user", "passes"),
    [
        ("associated-node:update driver ns/drv", "n", ACCOUNT, True),
        ("associated-node:update driver ns/drv", "other", ACCOUNT, False),
        ("associated-node:update driver ns/drv", "", ACCOUNT, False),
        ("associated-node:update driver ns/drv", "n", "somebody", False),
        ("arbitrary-node:update driver ns/drv", "", "somebody", True),
        ("arbitrary-node:update driver ns/drv", "n", ACCOUNT, True),
        ("arbitrary-node:update driver ns/else", "n", ACCOUNT, False),
    ],
)
async def test_drivers_tell_about_their_own_devices(allowed: str, node: str, user: str, passes: bool) -> None:
    old, new = claim(allocation=allocated()), claim(allocation=allocated(), devices=[told()])
    ctx = context(node=node, user=user)
    for after, before in ((new, old), (old, new), (claim(allocation=allocated(), devices=[told(data={})]), new)):
        if passes:
            await guard(Rights(allowed)).begin_update(ctx, after, before)
            continue
        with pytest.raises(StatusError, match=r"status\.devices: Forbidden: changing status\.devices requires"):
            await guard(Rights(allowed)).begin_update(ctx, after, before)


@pytest.mark.parametrize("resource", [RESOURCE_CLAIMS, RESOURCE_CLAIM_TEMPLATES])
async def test_administrators_access_needs_a_label_of_the_namespace(resource: Any) -> None:
    spec: Object = {
        "devices": {"requests": [{"name": "a", "exactly": {}}, {"name": "b", "exactly": {"adminAccess": True}}]}
    }
    one = {
        "metadata": {"name": "c", "namespace": "ns"},
        "spec": spec if resource == RESOURCE_CLAIMS else {"spec": spec},
    }
    await guard(resource=resource, **{ADMIN_LABEL: "true"}).begin_create(context(), one)
    why = "spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the"
    with pytest.raises(StatusError) as refused:
        await guard(resource=resource, **{ADMIN_LABEL: "false"}).begin_create(context(), one)
    assert why in refused.value.message
    plain = {"name": "a", "exactly": {}}
    await guard(resource=resource).begin_create(context(), {**one, "spec": {"devices": {"requests": [plain]}}})


async def test_an_allocation_for_administrators_needs_it_too() -> None:
    new = claim(allocation=allocated(adminAccess=True))
    rights = Rights("update binding /")
    await guard(rights, **{ADMIN_LABEL: "true"}).begin_update(context(), new, claim())
    with pytest.raises(StatusError, match=r"status\.allocation\.devices\.results\[0\]\.adminAccess: Forbidden"):
        await guard(rights).begin_update(context(), new, claim())
    await guard(rights).begin_update(context(), new, new)  # granted once
