import asyncio
from pathlib import Path
from typing import Any

import pytest

from controllers.volumes import BINDER, EXPANSION, PROVISIONER, PV_PROTECTION, PVC_PROTECTION, VAC_PROTECTION
from controllers.volumes.matching import best_match
from controllers.volumes.plan import VolumePlan, plan_claim, plan_volume, unbound_volume
from controllers.volumes.protection import uses
from kubeling.api.meta import Object, is_deleting, name_of
from kubeling.api.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
    VOLUME_ATTRIBUTES_CLASSES,
)
from tests.unit.controllers.world import World


def claim_spec(size: str = "1Gi", storage_class: str = "", **more: Any) -> Object:
    resources = {"requests": {"storage": size}}
    return {"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": storage_class, **more}


def volume_spec(size: str = "1Gi", storage_class: str = "", **more: Any) -> Object:
    modes = ["ReadWriteOnce", "ReadWriteMany"]
    return {"capacity": {"storage": size}, "accessModes": modes, "storageClassName": storage_class, **more}


def volume(name: str, size: str = "1Gi", labels: Any = None, **spec: Any) -> Object:
    metadata = {"name": name, "uid": name, "labels": labels or {}}
    return {"metadata": metadata, "spec": volume_spec(size, **spec), "status": {"phase": "Available"}}


CLAIM = {"metadata": {"name": "c", "namespace": "ns", "uid": "cu"}, "spec": claim_spec("2Gi")}


@pytest.mark.parametrize(
    ("volumes", "spec", "expected"),
    [
        ([volume("a", "1Gi")], {}, None),
        ([volume("a", "5Gi"), volume("b", "3Gi"), volume("c", "4Gi")], {}, "b"),
        ([volume("a", "5Gi", storage_class="x")], {}, None),
        ([volume("a", "5Gi", volumeMode="Block")], {}, None),
        ([volume("a", "5Gi", claimRef={"namespace": "ns", "name": "other"})], {}, None),
        ([volume("a", "3Gi"), volume("b", "5Gi", claimRef={"namespace": "ns", "name": "c"})], {}, "b"),
        ([volume("a", "5Gi")], {"accessModes": ["ReadOnlyMany"]}, None),
        ([volume("a", "5Gi"), volume("b", "9Gi", {"k": "v"})], {"selector": {"matchLabels": {"k": "v"}}}, "b"),
        ([volume("a", "3Gi"), volume("b", "5Gi", accessModes=["ReadWriteOnce"])], {}, "b"),
        ([volume("a", "3Gi", volumeAttributesClassName="fast")], {}, None),
        ([volume("a", "3Gi", volumeAttributesClassName="fast")], {"volumeAttributesClassName": "fast"}, "a"),
        ([{**volume("a", "3Gi"), "status": {"phase": "Pending"}}], {}, None),
        ([volume("a", "1Gi", claimRef={"namespace": "ns", "name": "c"})], {}, None),
    ],
)
def test_the_best_volume(volumes: list[Object], spec: Object, expected: str | None) -> None:
    found = best_match({**CLAIM, "spec": {**CLAIM["spec"], **spec}}, volumes, only_reserved=False)
    assert (name_of(found) if found else None) == expected


REF = {"namespace": "ns", "name": "c", "uid": "cu"}


def test_what_becomes_of_volumes() -> None:
    held = volume("a", claimRef=REF, persistentVolumeReclaimPolicy="Delete")
    bound = {**CLAIM, "spec": {**CLAIM["spec"], "volumeName": "a"}}
    assert plan_volume(volume("a"), None).phase == "Available"
    assert plan_volume(held, bound).phase == "Bound"
    assert plan_volume(held, CLAIM).phase is None  # the claim's side is still to come
    assert plan_volume(held, None) == plan_volume(held, {**bound, "metadata": {**bound["metadata"], "uid": "new"}})
    assert plan_volume(held, None) == VolumePlan("Released", released=True)
    assert plan_volume({**held, "status": {"phase": "Failed"}}, None) == VolumePlan("Failed", released=True)


def test_a_volume_whose_claim_is_bound_elsewhere_is_let_go() -> None:
    elsewhere = {**CLAIM, "spec": {**CLAIM["spec"], "volumeName": "b"}}
    ours = volume("a", claimRef=REF)
    ours["metadata"]["annotations"] = {"pv.kubernetes.io/bound-by-controller": "yes"}
    assert plan_volume(ours, elsewhere) == VolumePlan("Available", unbind=True)
    assert "claimRef" not in unbound_volume(ours)["spec"] and "annotations" not in unbound_volume(ours)["metadata"]
    users = unbound_volume(volume("a", claimRef=REF))
    assert users["spec"]["claimRef"] == {"namespace": "ns", "name": "c"}
    provisioned = volume("a", claimRef=REF, persistentVolumeReclaimPolicy="Delete")
    provisioned["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "x.io/y"}
    assert plan_volume(provisioned, elsewhere) == VolumePlan("Released", released=True)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, ""),
        ({"capacity": {"storage": "1Gi"}}, "requested PV is too small"),
        ({"storageClassName": "x"}, "storageClassName does not match"),
        ({"volumeAttributesClassName": "x"}, "volumeAttributesClassName does not match"),
        ({"volumeMode": "Block"}, "incompatible volumeMode"),
        ({"accessModes": ["ReadOnlyMany"]}, "incompatible accessMode"),
    ],
)
def test_a_volume_that_a_claim_names_has_to_satisfy_it(spec: Object, problem: str) -> None:
    claim = {**CLAIM, "spec": {**CLAIM["spec"], "volumeName": "a"}}
    named = volume("a", "5Gi")
    named["spec"].update(spec)
    decided = plan_claim(claim, [named], None)
    if problem:
        assert decided.event == ("Warning", "VolumeMismatch", f'Cannot bind to requested volume "a": {problem}')
    else:
        assert decided.bind == named


def test_what_claims_are_told() -> None:
    late = {"volumeBindingMode": "WaitForFirstConsumer", "provisioner": "x.io/y"}
    claim = {**CLAIM, "spec": claim_spec("2Gi", "s")}

    def told(claim: Object, volumes: list[Object], storage_class: Object | None, *pods: str) -> str:
        event = plan_claim(claim, volumes, storage_class, pods).event
        return " ".join(event[1:]) if event else ""

    first = "WaitForFirstConsumer waiting for first consumer to be created before binding"
    assert told(claim, [], late) == first
    assert told(claim, [], late, "p") == "WaitForPodScheduled waiting for pod p to be scheduled"
    assert told(claim, [], late, "p", "q") == "WaitForPodScheduled waiting for pods p,q to be scheduled"
    none = {"provisioner": "kubernetes.io/no-provisioner"}
    assert told(claim, [], none) == "ProvisioningFailed no volume plugin matched name: kubernetes.io/no-provisioner"
    assert told(claim, [], None) == 'ProvisioningFailed storageclass.storage.k8s.io "s" not found'
    named = {**CLAIM, "spec": claim_spec("2Gi", volumeName="a")}
    taken = volume("a", "5Gi", claimRef={**REF, "uid": "other"})
    assert told(named, [taken], None) == 'FailedBinding volume "a" already bound to a different claim.'
    bound = {**named, "metadata": {**named["metadata"], "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}}
    assert told(bound, [], None) == "ClaimLost Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    assert told(bound, [taken], None).startswith("ClaimMisbound")
    del bound["spec"]["volumeName"]
    lost = "ClaimLost Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
    assert told(bound, [], None) == lost


def test_pods_that_keep_a_claim() -> None:
    claim = {**CLAIM, "metadata": {**CLAIM["metadata"], "name": "p-d", "ownerReferences": []}}
    mounted: Object = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "p-d"}}], "nodeName": "n"}
    pod: Object = {"metadata": {"name": "p", "uid": "pu"}, "spec": mounted}
    assert uses(pod, claim) and uses({**pod, "status": {"phase": "Succeeded"}}, claim)
    assert not uses({**pod, "spec": {**mounted, "nodeName": ""}}, claim)
    ephemeral = {**pod, "spec": {"volumes": [{"name": "d", "ephemeral": {"volumeClaimTemplate": {}}}], "nodeName": "n"}}
    assert not uses(ephemeral, claim)
    owned = [{"controller": True, "uid": "pu", "kind": "Pod", "name": "p", "apiVersion": "v1"}]
    claim["metadata"]["ownerReferences"] = owned
    assert uses(ephemeral, claim)
    over = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0}
    assert not uses({**ephemeral, "metadata": {**pod["metadata"], **over}}, claim)


async def test_static_binding_and_retain() -> None:
    async with World(BINDER, PVC_PROTECTION, PV_PROTECTION) as w:
        w.create(PERSISTENT_VOLUMES, "v", volume_spec("5Gi", persistentVolumeReclaimPolicy="Retain"), namespace="")
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", claim_spec("2Gi"))
        await w.settle()
        claim, held = w.get(PERSISTENT_VOLUME_CLAIMS, "c"), w.get(PERSISTENT_VOLUMES, "v")
        assert (claim["status"]["phase"], held["status"]["phase"]) == ("Bound", "Bound")
        assert (claim["spec"]["volumeName"], claim["status"]["capacity"]) == ("v", {"storage": "5Gi"})
        assert held["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
        w.create(PODS, "p", {"nodeName": "n", "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]})
        await w.settle()
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "c")
        await w.settle()
        assert is_deleting(w.get(PERSISTENT_VOLUME_CLAIMS, "c"))  # a pod uses it
        w.set_status(w.get(PODS, "p"), phase="Succeeded")
        await w.settle()
        assert is_deleting(w.get(PERSISTENT_VOLUME_CLAIMS, "c"))  # as long as there is the pod, ended or not
        w.api.delete(PODS, "ns", "p")
        w.finish_deleted()
        await w.settle()
        assert w.api.all(PERSISTENT_VOLUME_CLAIMS) == []
        assert w.get(PERSISTENT_VOLUMES, "v")["status"]["phase"] == "Released"


async def test_two_claims_never_get_one_volume() -> None:
    async with World(BINDER) as w:
        for number in range(3):
            w.create(PERSISTENT_VOLUME_CLAIMS, f"c{number}", claim_spec())
        await w.settle()
        for number in range(2):
            w.create(PERSISTENT_VOLUMES, f"v{number}", volume_spec(), namespace="")
        await w.settle()
        phases = [c["status"]["phase"] for c in w.api.all(PERSISTENT_VOLUME_CLAIMS)]
        names = [c["spec"].get("volumeName") for c in w.api.all(PERSISTENT_VOLUME_CLAIMS)]
        assert sorted(phases) == ["Bound", "Bound", "Pending"]
        assert len({n for n in names if n}) == 2
        assert "FailedBinding" in [reason for reason, _ in w.events()]


async def test_a_claim_just_works_grows_and_takes_its_folder_along(tmp_path: Path) -> None:
    async with World(BINDER, PROVISIONER, EXPANSION, hostpath_provisioner_root=str(tmp_path)) as w:
        await w.settle()
        (standard,) = w.api.all(STORAGE_CLASSES)
        assert standard["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", claim_spec("1Gi", "standard"))
        await w.settle()
        assert w.get(PERSISTENT_VOLUME_CLAIMS, "c")["status"]["phase"] == "Pending"
        assert "WaitForFirstConsumer" in [reason for reason, _ in w.events()]
        selected = {"volume.kubernetes.io/selected-node": "n1"}  # as the scheduler says it
        w.api.update(PERSISTENT_VOLUME_CLAIMS, "ns", "c", lambda o: o["metadata"].update(annotations=selected))
        await w.settle()
        claim, (made,) = w.get(PERSISTENT_VOLUME_CLAIMS, "c"), w.api.all(PERSISTENT_VOLUMES)
        assert claim["status"]["phase"] == "Bound"
        assert name_of(made) == f"pvc-{claim['metadata']['uid']}"
        folder = Path(made["spec"]["hostPath"]["path"])
        folder.mkdir()
        more = {"requests": {"storage": "3Gi"}}
        w.api.update(PERSISTENT_VOLUME_CLAIMS, "ns", "c", lambda o: o["spec"].update(resources=more))
        await w.settle()
        status = w.get(PERSISTENT_VOLUME_CLAIMS, "c")["status"]
        assert status["capacity"] == status["allocatedResources"] == {"storage": "3Gi"}
        assert {"ExternalExpanding", "VolumeResizeSuccessful"} <= {reason for reason, _ in w.events()}
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "c")
        async with asyncio.timeout(
            20
        ):  # the folder is removed by a thread, which takes its own time; then the finalizer goes
            while w.get(PERSISTENT_VOLUMES, name_of(made))["metadata"]["finalizers"] != ["kubernetes.io/pv-protection"]:
                await w.settle()
                await asyncio.sleep(0.01)
        assert is_deleting(w.get(PERSISTENT_VOLUMES, name_of(made))) and not folder.exists()


async def test_attributes_in_use_are_kept() -> None:
    async with World(VAC_PROTECTION) as w:
        w.api.create(VOLUME_ATTRIBUTES_CLASSES, {"metadata": {"name": "fast"}, "driverName": "d"})
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", {"volumeAttributesClassName": "fast"})
        await w.settle()
        assert w.get(VOLUME_ATTRIBUTES_CLASSES, "fast")["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
        w.api.delete(VOLUME_ATTRIBUTES_CLASSES, "", "fast")
        await w.settle()
        assert len(w.api.all(VOLUME_ATTRIBUTES_CLASSES)) == 1
        w.api.update(PERSISTENT_VOLUME_CLAIMS, "ns", "c", lambda o: o["spec"].update(volumeAttributesClassName="slow"))
        await w.settle()
        assert w.api.all(VOLUME_ATTRIBUTES_CLASSES) == []


async def test_a_folder_goes_in_whatever_order_volume_and_claim_are_deleted(tmp_path: Path) -> None:
    async with World(BINDER, PROVISIONER, PV_PROTECTION, hostpath_provisioner_root=str(tmp_path)) as w:
        await w.settle()
        selected = {"volume.kubernetes.io/selected-node": "n1"}
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", claim_spec("1Gi", "standard"), annotations=selected)
        await w.settle()
        (made,) = w.api.all(PERSISTENT_VOLUMES)
        folder = Path(made["spec"]["hostPath"]["path"])
        folder.mkdir()
        w.api.delete(PERSISTENT_VOLUMES, "", name_of(made))
        await w.settle()
        assert folder.exists() and len(w.api.all(PERSISTENT_VOLUMES)) == 1
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "c")
        async with asyncio.timeout(20):  # the folder is removed by a thread, which takes its own time
            while w.api.all(PERSISTENT_VOLUMES):
                await w.settle()
                await asyncio.sleep(0.01)
        assert not folder.exists() and w.api.all(PERSISTENT_VOLUMES) == []


async def test_a_default_class_that_comes_late_is_given_to_claims_without_one() -> None:
    async with World(BINDER) as w:
        spec = claim_spec()
        del spec["storageClassName"]
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", spec)
        w.create(PERSISTENT_VOLUME_CLAIMS, "none", claim_spec())
        await w.settle()
        marked = {"name": "s", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
        w.api.create(STORAGE_CLASSES, {"metadata": marked, "provisioner": "x.io/y"})
        await w.settle()
        claim = w.get(PERSISTENT_VOLUME_CLAIMS, "c")
        assert claim["spec"]["storageClassName"] == "s"
        assert claim["metadata"]["annotations"]["volume.kubernetes.io/storage-provisioner"] == "x.io/y"
        assert w.get(PERSISTENT_VOLUME_CLAIMS, "none")["spec"]["storageClassName"] == ""


@pytest.mark.parametrize(
    ("source", "reason", "text"),
    [
        (
            {"hostPath": {"path": "/data"}},
            "VolumeFailedDelete",
            "host_path deleter only supports /tmp/.+ but received provided /data",
        ),
        (
            {"local": {"path": "/data"}},
            "VolumeFailedDelete",
            'error getting deleter volume plugin for volume "v": no deletable volume plugin matched',
        ),
        (
            {"local": {"path": "/data"}, "persistentVolumeReclaimPolicy": "Recycle"},
            "VolumeFailedRecycle",
            "No recycler plugin found for the volume!",
        ),
    ],
)
async def test_a_volume_that_cannot_be_reclaimed_fails_once(source: Object, reason: str, text: str) -> None:
    async with World(BINDER) as w:
        policy = {"persistentVolumeReclaimPolicy": "Delete", **source}
        w.create(PERSISTENT_VOLUMES, "v", volume_spec("5Gi", **policy), namespace="")
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", claim_spec("2Gi"))
        await w.settle()
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "c")
        await w.clock.advance(60)
        status = w.get(PERSISTENT_VOLUMES, "v")["status"]
        assert (status["phase"], status["message"]) == ("Failed", text)
        assert [event for event in w.events() if event[0] == reason] == [(reason, text)]
        event = next(o for (_, p, _, _), o in w.api.objects.items() if p == "events" and o["reason"] == reason)
        assert event["count"] == 1


async def test_a_lost_claim_is_told_once_and_has_nothing_left() -> None:
    async with World(BINDER) as w:
        w.create(PERSISTENT_VOLUMES, "v", volume_spec("5Gi"), namespace="")
        w.create(PERSISTENT_VOLUME_CLAIMS, "c", claim_spec("2Gi"))
        await w.settle()
        w.api.delete(PERSISTENT_VOLUMES, "", "v")
        await w.clock.advance(60)
        assert w.get(PERSISTENT_VOLUME_CLAIMS, "c")["status"] == {"phase": "Lost"}
        lost = next(o for (_, p, _, _), o in w.api.objects.items() if p == "events" and o["reason"] == "ClaimLost")
        assert lost["count"] == 1
