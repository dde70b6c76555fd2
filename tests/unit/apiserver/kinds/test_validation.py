"""One rule or two of every kind, in upstream's words; the recordings of the real server hold many more."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.meta import Object

NOT_LESS = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"


def obj(api_version: str, kind: str, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **rest}


def autoscaler(**spec: Any) -> Object:
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3}
    return obj("autoscaling/v2", "HorizontalPodAutoscaler", spec=target | spec)


def ingress(**spec: Any) -> Object:
    return obj("networking.k8s.io/v1", "Ingress", spec=spec)


def policy(**spec: Any) -> Object:
    return obj("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}} | spec)


def volume(**spec: Any) -> Object:
    usual = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    return obj("v1", "PersistentVolume", spec={k: v for k, v in (usual | spec).items() if v is not None})


def claim(**spec: Any) -> Object:
    usual = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return obj("v1", "PersistentVolumeClaim", spec=usual | spec)


def limits(**item: Any) -> Object:
    return obj("v1", "LimitRange", spec={"limits": [{"type": "Container"} | item]})


def slice_(*addresses: str, kind: str = "IPv4") -> Object:
    return obj("discovery.k8s.io/v1", "EndpointSlice", addressType=kind, endpoints=[{"addresses": list(addresses)}])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            obj("v1", "ConfigMap", data={"a": "1"}, binaryData={"a": "AA=="}),
            ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
        ),
        (
            obj("v1", "Secret", type="kubernetes.io/tls"),
            ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
        ),
        (
            obj("v1", "Secret", type="kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": "{bad"}),
            [
                'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": '
                "invalid character 'b' looking for beginning of object key string"
            ],
        ),
        (
            obj("v1", "Namespace", spec={"finalizers": ["nodomain"]}),
            [
                'spec.finalizers: Invalid value: "nodomain": '
                "name is neither a standard finalizer name nor is it fully qualified"
            ],
        ),
        (
            obj("v1", "Node", spec={"taints": [{"key": "a", "effect": "Odd"}]}),
            [
                'metadata.taints[0].effect: Unsupported value: "Odd": '
                'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'
            ],
        ),
        (
            obj("v1", "Endpoints", subsets=[{"ports": [{"port": 80}]}]),
            ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
        ),
        (
            limits(min={"cpu": "2"}, max={"cpu": "1"}),
            [
                'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": '
                "min value 2 is greater than default request value 1",
                'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
            ],
        ),
        (
            obj("v1", "ResourceQuota", spec={"scopes": ["BestEffort"], "hard": {"requests.cpu": "1"}}),
            ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
        ),
        (volume(hostPath=None), ["spec: Required value: must specify a volume type"]),
        (
            volume(nfs={"server": "a", "path": "/b"}),
            ["spec.nfs: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            volume(hostPath=None, local={"path": "/x"}),
            ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
        ),
        (claim(resources={}), ["spec.resources[storage]: Required value"]),
        (
            claim(dataSourceRef={"kind": "X", "name": "y"}),
            [
                f'spec.{field}: Invalid value: "X": '
                "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
                for field in ("dataSource", "dataSourceRef")
            ],
        ),
        (ingress(), ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
        (
            ingress(rules=[{"host": "1.2.3.4"}]),
            ['spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
        ),
        (
            policy(ingress=[{"from": [{}]}]),
            ["spec.ingress[0].from[0]: Required value: must specify a peer"],
        ),
        (
            policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]),
            ['spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/9": must be a strict subset of `cidr`'],
        ),
        (
            obj("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.0.0.1/8"]}),
            ['spec.cidrs[0]: Invalid value: "10.0.0.1/8": must be in canonical form ("10.0.0.0/8")'],
        ),
        (
            slice_("2001:db8::1"),
            ['endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be a valid IPv4 address'],
        ),
        (slice_(), ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
        (
            obj("policy/v1", "PodDisruptionBudget", spec={"minAvailable": "101%"}),
            ['spec.minAvailable: Invalid value: "101%": must not be greater than 100%'],
        ),
        (
            autoscaler(maxReplicas=0),
            [
                "spec.maxReplicas: Required value: must be set and greater than 0",
                "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            ],
        ),
        (
            autoscaler(behavior={"scaleUp": {"policies": []}}),
            ["spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"],
        ),
        (
            obj("coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 0}),
            ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
        ),
        (
            obj("scheduling.k8s.io/v1", "PriorityClass", value=2_000_000_000),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        ),
        (
            obj("node.k8s.io/v1", "RuntimeClass", handler="r", overhead={"podFixed": {"cpu": "-1"}}),
            [f'overhead.limits[cpu]: Invalid value: "-1": {NOT_LESS}'],
        ),
        (
            obj("storage.k8s.io/v1", "StorageClass", provisioner="a", reclaimPolicy="Recycle"),
            ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
        ),
        (
            obj("storage.k8s.io/v1", "CSINode", spec={"drivers": [{"name": "a.b"}]}),
            ["spec.drivers[0].nodeID: Required value"],
        ),
        (
            obj("storage.k8s.io/v1", "VolumeAttachment", spec={"attacher": "a", "nodeName": "n", "source": {}}),
            ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
        ),
    ],
    ids=lambda value: value.get("kind", "") if isinstance(value, dict) else "",
)
def test_create(strategies: Any, given: Object, expected: list[str]) -> None:
    assert strategies.errors(given) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            obj("v1", "ConfigMap", data={"a": "1"}, immutable=True),
            obj("v1", "ConfigMap", data={"a": "2"}, immutable=True),
            ["data: Forbidden: field is immutable when `immutable` is set"],
        ),
        (
            obj("v1", "Secret", type="a"),
            obj("v1", "Secret", type="b"),
            [f'type: Invalid value: "b": {IMMUTABLE}'],
        ),
        (
            obj("v1", "Node", spec={"providerID": "a://1"}),
            obj("v1", "Node"),
            ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'],
        ),
        (
            obj("scheduling.k8s.io/v1", "PriorityClass", value=1),
            obj("scheduling.k8s.io/v1", "PriorityClass", value=2),
            ["value: Forbidden: may not be changed in an update."],
        ),
        (
            obj("storage.k8s.io/v1", "StorageClass", provisioner="a"),
            obj("storage.k8s.io/v1", "StorageClass", provisioner="b"),
            [f'provisioner: Invalid value: "b": {IMMUTABLE}'],
        ),
        (slice_("192.0.2.1"), slice_("a.example", kind="FQDN"), [f'addressType: Invalid value: "FQDN": {IMMUTABLE}']),
        (claim(volumeName="v"), claim(volumeName="v", resources={"requests": {"storage": "1024Mi"}}), []),
    ],
    ids=lambda value: value.get("kind", "") if isinstance(value, dict) else "",
)
def test_update(strategies: Any, old: Object, new: Object, expected: list[str]) -> None:
    assert strategies.update_errors(old, new) == expected


def test_changed_claim_shows_the_difference(strategies: Any) -> None:
    (error,) = strategies.update_errors(claim(storageClassName="fast"), claim(storageClassName="slow"))
    assert error.startswith("spec: Forbidden: spec is immutable after creation except resources.requests and")
    assert '- "StorageClassName": "fast",\n+ "StorageClassName": "slow",\n' in error


def test_changed_volume_source_shows_the_difference(strategies: Any) -> None:
    (error,) = strategies.update_errors(volume(), volume(hostPath={"path": "/y"}))
    assert '-  "Path": "/x",\n+  "Path": "/y",\n' in error
