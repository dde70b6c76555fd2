from collections.abc import Callable
from typing import Any

import pytest

from kubeling.api.meta import Object

CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def test_defaults(strategies: Any, workload: Callable[..., Object]) -> None:
    _, made = strategies.decoded(workload("StatefulSet", volumeClaimTemplates=[CLAIM]))
    spec = made["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["kind"] == "PersistentVolumeClaim"
    assert claim["spec"]["volumeMode"] == "Filesystem"
    assert claim["status"] == {"phase": "Pending"}


def test_mounts_may_use_claims_of_the_set(strategies: Any, workload: Callable[..., Object]) -> None:
    mounting = {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]}
    assert strategies.errors(workload("StatefulSet", template=mounting, volumeClaimTemplates=[CLAIM])) == []
    assert strategies.errors(workload("StatefulSet", template=mounting)) == [
        'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'
    ]


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (
            {"podManagementPolicy": "X"},
            ["spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'"],
        ),
        (
            {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}},
            [
                'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": '
                'supported values: "Retain", "Delete"'
            ],
        ),
        (
            {"ordinals": {"start": -1}},
            ["spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"],
        ),
    ],
)
def test_rules(strategies: Any, workload: Callable[..., Object], spec: dict[str, Any], wanted: list[str]) -> None:
    assert strategies.errors(workload("StatefulSet", **spec)) == wanted


def test_most_fields_are_immutable(strategies: Any, workload: Callable[..., Object]) -> None:
    old = workload("StatefulSet")
    free = workload("StatefulSet", replicas=5, minReadySeconds=3, template={"hostNetwork": True})
    assert strategies.update_errors(old, free) == []
    (error,) = strategies.update_errors(old, workload("StatefulSet", serviceName="other"))
    assert error.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas'")


def test_negative_history_is_kept_with_a_warning(strategies: Any, workload: Callable[..., Object]) -> None:
    kind, made = strategies.decoded(workload("StatefulSet", revisionHistoryLimit=-1))
    assert kind.strategy.warnings_on_create(strategies.context, made) == [
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    ]


def test_controller_revisions_need_their_data(strategies: Any) -> None:
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}, "revision": 1}
    assert strategies.errors(revision) == ["data: Required value: data is mandatory"]
    with_data = {**revision, "data": {"a": 1}}
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
    owned = {**with_data, "metadata": {"name": "r", "ownerReferences": [owner]}}
    assert strategies.cells(owned)["Controller"] == "daemonset.apps/d"
    (error,) = strategies.update_errors(with_data, {**with_data, "data": {"a": 2}})
    assert error.startswith("data: Invalid value: ") and error.endswith("field is immutable")
