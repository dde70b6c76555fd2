"""Deployments and ReplicaSets through their strategies."""

from collections.abc import Callable
from typing import Any

import pytest

from kubeling.api.meta import Object


def test_defaults(strategies: Any, workload: Callable[..., Object]) -> None:
    _, made = strategies.decoded(workload("Deployment"))
    spec = made["spec"]
    assert spec["replicas"] == 1
    assert spec["revisionHistoryLimit"] == 10
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"])
def test_minimal_objects_are_valid(strategies: Any, workload: Callable[..., Object], kind: str) -> None:
    assert strategies.errors(workload(kind)) == []


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
        ),
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}},
            ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            [
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        ),
        (
            {"selector": {"matchLabels": {"app": "y"}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
            ],
        ),
        ({"selector": {}}, ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]),
    ],
)
def test_deployment_rules(
    strategies: Any, workload: Callable[..., Object], spec: dict[str, Any], wanted: list[str]
) -> None:
    assert strategies.errors(workload("Deployment", **spec)) == wanted


def test_selectors_are_immutable(strategies: Any, workload: Callable[..., Object]) -> None:
    old = workload("Deployment")
    new = workload("Deployment", selector={"matchLabels": {"app": "y"}})
    new["spec"]["template"]["metadata"]["labels"] = {"app": "y"}
    assert strategies.update_errors(old, new) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"y"}}: field is immutable'
    ]


def test_pods_that_end_are_refused(strategies: Any, workload: Callable[..., Object]) -> None:
    found = strategies.errors(workload("ReplicaSet", template={"restartPolicy": "Never", "activeDeadlineSeconds": 4}))
    assert found == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ]


def test_disks_for_one_writer(strategies: Any, workload: Callable[..., Object]) -> None:
    disk = {"volumes": [{"name": "d", "gcePersistentDisk": {"pdName": "x"}}]}
    assert strategies.errors(workload("ReplicaSet", template=disk)) == []
    (error,) = strategies.errors(workload("ReplicaSet", template=disk, replicas=2))
    assert error.startswith("spec.template.spec.volumes[0].gcePersistentDisk.readOnly: Invalid value: false: must be ")


def test_generation_counts_annotations(strategies: Any, workload: Callable[..., Object]) -> None:
    old = strategies.created(workload("Deployment"))
    new = {**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}}}
    strategy = strategies.kind("Deployment", "apps").strategy
    assert strategy.generation_changed(new, old)
    assert not strategies.kind("ReplicaSet", "apps").strategy.generation_changed(new, old)


def test_status_rules(strategies: Any, workload: Callable[..., Object]) -> None:
    kind, old = strategies.decoded(workload("ReplicaSet"))
    new = {**old, "status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}}
    assert [str(e) for e in kind.status.validate_update(strategies.context, new, old)] == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
    ]


def test_rows(strategies: Any, workload: Callable[..., Object]) -> None:
    obj = workload("Deployment", replicas=3)
    obj["metadata"]["creationTimestamp"] = "2026-05-06T07:03:09Z"
    obj["status"] = {"replicas": 3, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}
    assert strategies.cells(obj) == {
        "Name": "w",
        "Ready": "1/3",
        "Up-to-date": 2,
        "Available": 1,
        "Age": "5m",
        "Containers": "c",
        "Images": "i",
        "Selector": "app=x",
    }
    selector = {"matchLabels": {"b": "c"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}]}
    assert strategies.cells(workload("ReplicaSet", selector=selector))["Selector"] == "a in (1,2),b=c"
