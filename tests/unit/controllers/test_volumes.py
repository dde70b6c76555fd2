from pathlib import Path
from typing import Any

import pytest

from controllers.volumes import BINDER, EXPANSION, PROVISIONER, PV_PROTECTION, PVC_PROTECTION, VAC_PROTECTION
from controllers.volumes.matching import best_match
from controllers.volumes.plan import plan_volume
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
    return {"metadata": {"name": name, "uid": name, "labels": labels or {}}, "spec": volume_spec(size, **spec)}


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
    ],
)
def test_the_best_volume(volumes: list[Object], spec: Object, expected: str | None) -> None:
    found = best_match({**CLAIM, "spec": {**CLAIM["spec"], **spec}}, volumes, only_reserved=False)
    assert (name_of(found) if found else None) == expected


def test_what_becomes_of_volumes() -> None:
    ref = {"namespace": "ns", "name": "c", "uid": "cu"}
    held = volume("a", claimRef=ref, persistentVolumeReclaimPolicy="Delete")
    bound = {**CLAIM, "spec": {**CLAIM["spec"], "volumeName": "a"}}
    assert plan_volume(volume("a"), None).phase == "Available"
    assert plan_volume(held, bound).phase == "Bound"
    assert plan_volume(held, None) == plan_volume(held, {**bound, "metadata": {**bound["metadata"], "uid": "new"}})
    assert plan_volume(held, None).reclaim
    kept = volume("a", claimRef=ref, persistentVolumeReclaimPolicy="Retain")
    assert (plan_volume(kept, None).phase, plan_volume(kept, None).reclaim) == ("Released", False)


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
        assert w.get(PERSISTENT_VOLUME_CLAIMS, "c")["status"]["capacity"] == {"storage": "3Gi"}
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "c")
        for _ in range(100):
            await w.settle()
            if not folder.exists() and is_deleting(w.get(PERSISTENT_VOLUMES, name_of(made))):
                break
        assert not folder.exists()


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
