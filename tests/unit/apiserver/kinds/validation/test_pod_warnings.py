"""Warnings about pods and templates."""

from typing import Any

import pytest

from apiserver.kinds.validation.pod.disabled import drop_disabled
from apiserver.kinds.validation.pod.overlaps import overlapping_paths
from apiserver.kinds.validation.pod.warnings import pod_warnings
from kubeling.api.fields import Path
from kubeling.api.meta import Object


def warnings(spec: Object, annotations: Object | None = None) -> list[str]:
    return pod_warnings(spec, {"annotations": annotations or {}}, Path(), template=False)


def container(**fields: Any) -> Object:
    return {"containers": [{"name": "c", "image": "i", **fields}]}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (container(), []),
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (
            {"topologySpreadConstraints": [{"topologyKey": "zone"}]},
            ["spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"],
        ),
        (
            {"volumes": [{"name": "g", "gitRepo": {"repository": "r"}}]},
            ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
        ),
        (
            {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]},
            ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"'],
        ),
        (
            {"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {"name": ""}]},
            [
                'spec.imagePullSecrets[1].name: duplicate name "a"',
                'spec.imagePullSecrets[2].name: invalid empty name ""',
            ],
        ),
        (
            container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A):2"}]), []),
        (
            container(resources={"requests": {"memory": "1500m"}}),
            [
                "spec.containers[0].resources.requests[memory]: "
                'fractional byte value "1500m" is invalid, must be an integer'
            ],
        ),
        (
            container(ports=[{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"}]),
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
    ],
)
def test_warnings(spec: Object, wanted: list[str]) -> None:
    assert warnings(spec) == wanted


def test_annotations_that_do_nothing() -> None:
    assert warnings(container(), {"scheduler.alpha.kubernetes.io/critical-pod": ""}) == [
        "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: "
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ]


def test_overlapping_paths() -> None:
    items = [{"key": "a", "path": "d/a"}, {"key": "b", "path": "d"}, {"key": "c", "path": "da"}]
    volumes = [{"name": "v", "configMap": {"name": "m", "items": items}}]
    assert list(overlapping_paths({"volumes": volumes})) == [
        'volume "v" (ConfigMap "m"): overlapping paths: "d" with "d/a"'
    ]
    sources = [
        {"secret": {"name": "s", "items": items[:1]}},
        {"serviceAccountToken": {"path": "d/a"}},
        {},
    ]
    volumes = [{"name": "v", "projected": {"sources": sources}}]
    assert list(overlapping_paths({"volumes": volumes})) == [
        'volume "v" (Projected): overlapping paths: "d/a" (ServiceAccountToken) with "d/a" (Secret "s")',
        'volume "v" (Projected) has no sources provided',
    ]


def test_fields_behind_gates_are_dropped_unless_in_use() -> None:
    spec: Object = {"volumes": [{"name": "v", "projected": {"sources": [{"podCertificate": {"keyType": "ED25519"}}]}}]}
    used: Object = {"volumes": [{"name": "w", "projected": {"sources": [{"podCertificate": {"keyType": "RSA3072"}}]}}]}
    drop_disabled(spec, used)
    assert spec["volumes"][0]["projected"]["sources"][0]
    drop_disabled(spec)
    assert spec["volumes"][0]["projected"]["sources"] == [{}]
