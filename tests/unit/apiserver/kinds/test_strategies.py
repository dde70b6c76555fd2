"""What the strategies of single kinds do besides validation: defaults, what is kept, what is converted, what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apiserver.kinds.autoscaling.conversion import METRICS, from_v2, to_v2
from apiserver.kinds.autoscaling.horizontalpodautoscaler import HORIZONTAL_POD_AUTOSCALER
from apiserver.kinds.core.event import EVENT
from apiserver.kinds.events.conversion import from_core, to_core
from apiserver.kinds.printing import joined, selector_text
from apiserver.registry.kind import Context
from kubeling.api.meta import Object


def obj(api_version: str, kind: str, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **rest}


def test_namespace_gets_label_finalizer_and_phase(strategies: Any) -> None:
    made = strategies.created(obj("v1", "Namespace", status={"phase": "Terminating"}))
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert (made["spec"]["finalizers"], made["status"]["phase"]) == (["kubernetes"], "Active")


def test_namespace_goes_when_both_kinds_of_finalizers_are_gone(strategies: Any) -> None:
    strategy = strategies.kind("Namespace").strategy
    held = {"metadata": {}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    assert not strategy.may_be_removed(held)
    strategy.prepare_for_delete(strategies.context, held)
    assert held["status"] == {"phase": "Terminating"}
    assert strategy.may_be_removed({"metadata": {}, "spec": {}})
    assert not strategy.may_be_removed({"metadata": {"finalizers": ["a/b"]}, "spec": {}})


def test_finalize_names_the_finalizer_that_is_wrong(strategies: Any) -> None:
    kind = strategies.kind("Namespace")
    wrong = {"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes", "bad"]}}
    (error,) = kind.updates["finalize"].validate_update(strategies.context, wrong, {"metadata": {"name": "a"}})
    assert error.field == "spec.finalizers[1]"
    (error,) = kind.strategy.validate(strategies.context, wrong)
    assert error.field == "spec.finalizers"


def test_secret_text_becomes_data(strategies: Any) -> None:
    made = strategies.created(obj("v1", "Secret", data={"a": "MQ==", "b": "MQ=="}, stringData={"a": "2"}))
    assert made["data"] == {"a": "Mg==", "b": "MQ=="}
    assert "stringData" not in made
    assert made["type"] == "Opaque"


def test_tls_secret_is_warned_about(strategies: Any) -> None:
    secret = obj("v1", "Secret", type="kubernetes.io/tls", stringData={"tls.crt": "x", "tls.key": "y"})
    warnings = strategies.kind("Secret").strategy.warnings_on_create(strategies.context, strategies.created(secret))
    assert warnings == ["tls: failed to find any PEM data in certificate input"]


def test_node_takes_the_single_pod_cidr(strategies: Any) -> None:
    made = strategies.created(obj("v1", "Node", spec={"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.9.0/24"]}))
    assert made["spec"]["podCIDRs"] == ["10.0.0.0/24"]


def test_limit_range_completes_bounds(strategies: Any) -> None:
    limits = [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]
    (item,) = strategies.created(obj("v1", "LimitRange", spec={"limits": limits}))["spec"]["limits"]
    assert (item["default"], item["defaultRequest"]) == ({"cpu": "2"}, {"cpu": "2", "memory": "1Mi"})


def test_claim_drops_sources_of_old_clients(strategies: Any) -> None:
    spec = {"dataSource": {"kind": "Pod", "name": "x"}}
    assert "dataSource" not in strategies.created(obj("v1", "PersistentVolumeClaim", spec=spec))["spec"]
    spec = {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}
    made = strategies.created(obj("v1", "PersistentVolumeClaim", spec=spec))["spec"]
    assert made["dataSourceRef"] == made["dataSource"]


def test_volume_phase_change_is_dated(strategies: Any) -> None:
    status = strategies.kind("PersistentVolume").status
    old = {"spec": {}, "status": {"phase": "Pending", "lastPhaseTransitionTime": "2020-01-01T00:00:00Z"}}
    new = {"spec": {}, "status": {"phase": "Bound", "lastPhaseTransitionTime": "2020-01-01T00:00:00Z"}}
    status.prepare_for_update(strategies.context, new, old)
    assert new["status"]["lastPhaseTransitionTime"] == "2026-05-06T07:08:09Z"


@pytest.mark.parametrize(
    ("kind", "api_version"),
    [
        ("Service", "v1"),
        ("ResourceQuota", "v1"),
        ("PersistentVolumeClaim", "v1"),
        ("PersistentVolume", "v1"),
        ("Ingress", "networking.k8s.io/v1"),
        ("PodDisruptionBudget", "policy/v1"),
        ("HorizontalPodAutoscaler", "autoscaling/v2"),
        ("VolumeAttachment", "storage.k8s.io/v1"),
        ("Node", "v1"),
    ],
)
def test_spec_and_status_have_endpoints_of_their_own(strategies: Any, kind: str, api_version: str) -> None:
    declared = strategies.kind(kind, api_version.rpartition("/")[0])
    old = {"metadata": {}, "spec": {"a": 1}, "status": {"b": 1}}
    for strategy, kept, changed in ((declared.strategy, "status", "spec"), (declared.status, "spec", "status")):
        new = {"metadata": {}, "spec": {"a": 2}, "status": {"b": 2}}
        strategy.prepare_for_update(strategies.context, new, old)
        assert new[kept] == old[kept]
        assert new[changed] != old[changed]


def test_network_policy_types_follow_the_rules(strategies: Any) -> None:
    def types(**spec: Any) -> Any:
        return strategies.created(obj("networking.k8s.io/v1", "NetworkPolicy", spec=spec))["spec"]["policyTypes"]

    assert types() == ["Ingress"]
    assert types(egress=[{"ports": [{"port": 1}]}]) == ["Ingress", "Egress"]


AUTOSCALER = obj(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    spec={
        "minReplicas": 2,
        "maxReplicas": 9,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 55}},
            },
            {
                "type": "Pods",
                "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}},
            },
            {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "30"}}},
        ],
        "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]}},
    },
    status={"desiredReplicas": 0, "currentMetrics": None},
)


def test_autoscaler_survives_the_old_version() -> None:
    old = from_v2(AUTOSCALER)
    assert old["spec"]["targetCPUUtilizationPercentage"] == 55
    assert "metrics" not in old["spec"]
    others = json.loads(old["metadata"]["annotations"][METRICS])
    assert others[0] == {"type": "Pods", "pods": {"metricName": "rps", "targetAverageValue": "1k"}}
    assert to_v2(old) == AUTOSCALER


def test_autoscaler_of_the_old_version_aims_at_80_percent() -> None:
    (version,) = HORIZONTAL_POD_AUTOSCALER.versions
    written = obj("autoscaling/v1", "HorizontalPodAutoscaler", spec={"maxReplicas": 3})
    assert "metrics" not in to_v2(written)["spec"]  # converting adds nothing
    version.strategy.default(written)
    made = to_v2(written)
    assert made["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}


def test_autoscaler_cells(strategies: Any) -> None:
    assert strategies.cells(AUTOSCALER)["Targets"] == "cpu: <unknown>/55%, <unknown>/1k + 1 more..."


EVENT_V1 = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "x", "namespace": "n"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "regarding": {"kind": "Pod", "name": "p", "namespace": "n"},
    "reportingController": "a.b/c",
    "reportingInstance": "i",
    "action": "A",
    "reason": "R",
    "type": "Normal",
    "note": "text",
    "deprecatedSource": {},
    "deprecatedFirstTimestamp": None,
    "deprecatedLastTimestamp": None,
}


def test_event_is_one_object_in_two_groups() -> None:
    core = to_core(EVENT_V1)
    assert (core["message"], core["involvedObject"]["name"], core["reportingComponent"]) == ("text", "p", "a.b/c")
    assert from_core(core) == EVENT_V1


def test_event_rules_are_stricter_in_the_new_group(strategies: Any) -> None:
    core = to_core({**EVENT_V1, "deprecatedCount": 3, "type": "Odd"})
    assert EVENT.strategy.validate(Context(strategies.context.now, api_version="v1"), core) == []
    strict = EVENT.strategy.validate(Context(strategies.context.now, api_version="events.k8s.io/v1"), core)
    assert [e.field for e in strict] == ["type", "count"]


def test_endpoints_cells(strategies: Any) -> None:
    addresses = [{"ip": f"192.0.2.{i}"} for i in range(1, 6)]
    shown = strategies.cells(obj("v1", "Endpoints", subsets=[{"addresses": addresses, "ports": [{"port": 80}]}]))
    assert shown["Endpoints"] == "192.0.2.1:80,192.0.2.2:80,192.0.2.3:80 + 2 more..."


def test_node_cells(strategies: Any) -> None:
    node = obj(
        "v1", "Node", spec={"unschedulable": True}, status={"conditions": [{"type": "Ready", "status": "Unknown"}]}
    )
    node["metadata"]["labels"] = {"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a"}
    cells = strategies.cells(node)
    assert (cells["Status"], cells["Roles"]) == ("NotReady,SchedulingDisabled", "a,b")


def test_quota_cells(strategies: Any) -> None:
    hard = {"pods": "3", "limits.cpu": "2"}
    cells = strategies.cells(obj("v1", "ResourceQuota", status={"hard": hard, "used": {"pods": "1"}}))
    assert (cells["Request"], cells["Limit"]) == ("pods: 1/3", "limits.cpu: 0/2")


def test_joined() -> None:
    assert joined([]) == "<none>"
    assert joined("abcde") == "a,b,c + 2 more..."


def test_selector_text() -> None:
    selector = {"matchLabels": {"b": "1"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["z", "y"]}]}
    assert selector_text(selector) == "a in (y,z),b=1"
    assert selector_text({}) == "<none>"
