"""Resource claims: made from templates, freed of ended consumers."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.resourceclaim import CONTROLLER
from controllers.resourceclaim.plan import FINALIZER, ClaimPlan, claim_names, plan_claim
from kubeling.api.meta import Object, annotations_of, name_of, uid_of
from kubeling.api.resources import EVENTS, PODS, RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS
from tests.unit.controllers.world import World

RUNNING: Object = {"metadata": {"name": "p", "uid": "u"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}}
ENDED: Object = {**RUNNING, "status": {"phase": "Succeeded"}}
LEAVING: Object = {"metadata": {"name": "p", "uid": "u", "deletionTimestamp": "x"}, "spec": {}}
REPLACED: Object = {**RUNNING, "metadata": {"name": "p", "uid": "another"}}
OWNED = [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}]
MINE = {"resource": "pods", "name": "p", "uid": "u"}
OTHERS = {"apiGroup": "example.com", "resource": "things", "name": "t", "uid": "t"}
ALLOCATION = {"devices": {"results": []}}


def claim(reserved: list[Object], *, allocated: bool = True, **metadata: Any) -> Object:
    status: Object = {"reservedFor": reserved} if reserved else {}
    if allocated:
        status["allocation"] = ALLOCATION
    return {"metadata": {"name": "c", "finalizers": [FINALIZER], **metadata}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("one", "pod", "owner", "wanted"),
    [
        (claim([MINE]), RUNNING, None, ClaimPlan()),
        (claim([MINE]), ENDED, None, ClaimPlan({}, unprotect=True)),
        (claim([MINE]), LEAVING, None, ClaimPlan({}, unprotect=True)),
        (claim([MINE]), None, None, ClaimPlan({}, unprotect=True)),
        (claim([MINE, OTHERS]), None, None, ClaimPlan({"reservedFor": [OTHERS], "allocation": ALLOCATION})),
        (claim([], allocated=False), None, None, ClaimPlan()),  # the scheduler is about to allocate it
        (claim([], allocated=False, deletionTimestamp="x"), None, None, ClaimPlan(unprotect=True)),
        (claim([MINE], ownerReferences=OWNED), ENDED, ENDED, ClaimPlan({}, unprotect=True, delete=True)),
        (claim([], ownerReferences=OWNED), None, RUNNING, ClaimPlan()),
        (claim([], ownerReferences=OWNED), None, REPLACED, ClaimPlan(delete=True)),
        (claim([], deletionTimestamp="x"), None, None, ClaimPlan({}, unprotect=True)),
        (claim([], allocated=False, finalizers=[]), None, None, ClaimPlan()),
        (claim([MINE], finalizers=[]), ENDED, None, ClaimPlan({"allocation": ALLOCATION})),
    ],
)
def test_what_becomes_of_a_claim(one: Object, pod: Object | None, owner: Object | None, wanted: ClaimPlan) -> None:
    assert plan_claim(one, {"u": pod}, owner) == wanted


def test_names_of_a_pods_claims() -> None:
    entries = [{"name": "a", "resourceClaimName": "x"}, {"name": "b", "resourceClaimTemplateName": "t"}, {"name": "c"}]
    pod = {
        "spec": {"resourceClaims": entries},
        "status": {"resourceClaimStatuses": [{"name": "b", "resourceClaimName": "y"}]},
    }
    assert claim_names(pod) == {"a": "x", "b": "y"}


TEMPLATE = {
    "metadata": {"labels": {"l": "v"}, "annotations": {"n": "v"}},
    "spec": {"devices": {"requests": [{"name": "r"}]}},
}
ENTRIES = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "t"}]}


async def test_a_pods_claim_is_made_once_noted_and_goes_with_it() -> None:
    async with World(CONTROLLER) as w:
        pod = w.create(PODS, "p", ENTRIES)
        await w.settle()
        assert w.api.all(RESOURCE_CLAIMS) == []
        assert {(e["reason"], e["message"]) for e in w.api.all(EVENTS)} == {
            (
                "FailedResourceClaimCreation",
                'PodResourceClaim gpu: resource claim template "t": resourceclaimtemplate.resource.k8s.io "t" not found',
            )
        }
        w.create(RESOURCE_CLAIM_TEMPLATES, "t", TEMPLATE)
        await w.settle()
        (made,) = w.api.all(RESOURCE_CLAIMS)
        assert name_of(made).startswith("p-gpu-") and made["spec"] == TEMPLATE["spec"]
        assert annotations_of(made) == {"n": "v", "resource.kubernetes.io/pod-claim-name": "gpu"}
        assert made["metadata"]["labels"] == {"l": "v"}
        noted = w.get(PODS, "p")["status"]["resourceClaimStatuses"]
        assert noted == [{"name": "gpu", "resourceClaimName": name_of(made)}]
        await w.stop()
        w.api.update(PODS, "ns", "p", lambda o: o["status"].pop("resourceClaimStatuses"))
        await w.start()
        assert [name_of(c) for c in w.api.all(RESOURCE_CLAIMS)] == [name_of(made)]
        assert w.get(PODS, "p")["status"]["resourceClaimStatuses"] == noted

        def allocated(obj: Object) -> None:
            obj["metadata"]["finalizers"] = [FINALIZER]
            reserved = {"resource": "pods", "name": "p", "uid": uid_of(pod)}
            obj["status"] = {"allocation": ALLOCATION, "reservedFor": [reserved]}

        w.api.update(RESOURCE_CLAIMS, "ns", name_of(made), allocated)
        await w.settle()
        assert w.api.all(RESOURCE_CLAIMS)[0]["status"]["reservedFor"]
        w.api.update(PODS, "ns", "p", lambda o: o["status"].update(phase="Succeeded"))
        await w.settle()
        assert w.api.all(RESOURCE_CLAIMS) == []


async def test_a_pod_that_has_its_node_already_gets_a_reservation() -> None:
    async with World(CONTROLLER) as w:
        w.create(RESOURCE_CLAIMS, "c", {})
        w.api.update(RESOURCE_CLAIMS, "ns", "c", lambda o: o.update(status={"allocation": ALLOCATION}))
        pod = w.create(PODS, "p", {"nodeName": "n", "resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]})
        await w.settle()
        reserved = w.get(RESOURCE_CLAIMS, "c")["status"]["reservedFor"]
        assert reserved == [{"resource": "pods", "name": "p", "uid": uid_of(pod)}]


async def test_a_claim_that_is_lost_is_made_again() -> None:
    async with World(CONTROLLER) as w:
        w.create(RESOURCE_CLAIM_TEMPLATES, "t", TEMPLATE)
        w.create(PODS, "p", ENTRIES)
        await w.settle()
        (first,) = w.api.all(RESOURCE_CLAIMS)
        w.api.delete(RESOURCE_CLAIMS, "ns", name_of(first))
        await w.settle()
        (second,) = w.api.all(RESOURCE_CLAIMS)
        assert uid_of(second) != uid_of(first)
        noted = w.get(PODS, "p")["status"]["resourceClaimStatuses"]
        assert noted == [{"name": "gpu", "resourceClaimName": name_of(second)}]


async def test_an_entry_that_needs_no_claim_gets_none() -> None:
    async with World(CONTROLLER) as w:
        pod = w.create(PODS, "p", ENTRIES)
        w.api.update(
            PODS, "ns", "p", lambda o: o.setdefault("status", {}).update(resourceClaimStatuses=[{"name": "gpu"}])
        )
        w.create(RESOURCE_CLAIM_TEMPLATES, "t", TEMPLATE)
        await w.settle()
        assert w.api.all(RESOURCE_CLAIMS) == []
        assert uid_of(pod)


async def test_the_special_claim_of_a_pod_that_has_ended_goes() -> None:
    async with World(CONTROLLER) as w:
        pod = w.create(PODS, "p", {"nodeName": "n"})
        owner = {**OWNED[0], "uid": uid_of(pod)}
        w.create(RESOURCE_CLAIMS, "s", {}, ownerReferences=[owner], finalizers=[FINALIZER])
        reserved = {"resource": "pods", "name": "p", "uid": uid_of(pod)}
        status = {"allocation": ALLOCATION, "reservedFor": [reserved]}
        w.api.update(RESOURCE_CLAIMS, "ns", "s", lambda o: o.update(status=status))
        told = {"resourceClaimName": "s", "requestMappings": []}
        w.api.update(PODS, "ns", "p", lambda o: o.setdefault("status", {}).update(extendedResourceClaimStatus=told))
        await w.settle()
        assert w.api.all(RESOURCE_CLAIMS)
        w.api.update(PODS, "ns", "p", lambda o: o["status"].update(phase="Failed"))
        await w.settle()
        assert w.api.all(RESOURCE_CLAIMS) == []
