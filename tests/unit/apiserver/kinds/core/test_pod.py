"""Pods through their strategies: defaults, validation, updates."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.kinds.core.pod import POD
from apiserver.kinds.validation.pod.defaults import default_pod, default_template
from apiserver.registry.kind import Context

CTX = Context(datetime(2026, 1, 1, tzinfo=UTC))
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def pod(spec: dict[str, Any] | None = None, container: dict[str, Any] | None = None) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i", **(container or {})}]
    found = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "1"},
        "spec": {"serviceAccountName": "default", "containers": containers, **(spec or {})},
    }
    POD.strategy.default(found)
    return found


def errors_of(found: dict[str, Any]) -> list[str]:
    POD.strategy.prepare_for_create(CTX, found)
    return [str(e) for e in POD.strategy.validate(CTX, found)]


def test_defaults() -> None:
    found = pod(
        container={
            "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1"}},
            "livenessProbe": {"httpGet": {"port": 1}},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        },
        spec={"volumes": [{"name": "e"}, {"name": "s", "secret": {"secretName": "x"}}], "hostNetwork": True},
    )
    assert found["spec"] == {
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "containers": [
            {
                "name": "c",
                "image": "i",
                "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                "livenessProbe": {
                    "httpGet": {"port": 1, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
            }
        ],
        "volumes": [{"name": "e", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}],
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
    }


def test_a_negative_grace_is_one_second_in_pods_and_stays_in_templates() -> None:
    pod = {"spec": {"terminationGracePeriodSeconds": -1, "containers": [{"name": "c", "image": "i"}]}}
    template = copy.deepcopy(pod)
    default_pod(pod)
    default_template(template)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 1
    assert template["spec"]["terminationGracePeriodSeconds"] == -1


@pytest.mark.parametrize(
    ("image", "policy"),
    [("nginx", "Always"), ("nginx:1", "IfNotPresent"), ("x:latest", "Always"), ("Bad", "IfNotPresent")],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pod(container={"image": image})["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "500m"}, {"cpu": "1", "memory": "1Gi"}, "Burstable"),
    ],
)
def test_quality_of_service(requests: dict[str, str], limits: dict[str, str], expected: str) -> None:
    found = pod(container={"resources": {"requests": requests, "limits": limits}})
    POD.strategy.prepare_for_create(CTX, found)
    assert found["status"] == {"phase": "Pending", "qosClass": expected}


CONTAINER_CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"name": "C"}, [f'.name: Invalid value: "C": {LABEL}']),
    ({"image": ""}, [".image: Required value"]),
    ({"image": " i"}, ['.image: Invalid value: " i": must not have leading or trailing whitespace']),
    ({"ports": [{}]}, [".ports[0].containerPort: Required value"]),
    (
        {"ports": [{"containerPort": 1, "protocol": "X"}]},
        ['.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'],
    ),
    ({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}, ['.volumeMounts[0].name: Not found: "v"']),
    (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        ['.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ),
    (
        {"resources": {"requests": {"example.com/x": "1"}}},
        [".resources.limits: Required value: Limit must be set for non overcommitable resources"],
    ),
    (
        {"resources": {"limits": {"bananas": "1"}}},
        [
            '.resources.limits[bananas]: Invalid value: "bananas": must be a standard resource type or fully qualified',
            '.resources.limits[bananas]: Invalid value: "bananas": must be a standard resource for containers',
            '.resources.requests[bananas]: Invalid value: "bananas": must be a standard resource type or fully qualified',
            '.resources.requests[bananas]: Invalid value: "bananas": must be a standard resource for containers',
        ],
    ),
    ({"livenessProbe": {}}, [".livenessProbe: Required value: must specify a handler type"]),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 99}}}},
        [
            ".lifecycle.preStop.sleep: Invalid value: 99: "
            "must be non-negative and less than terminationGracePeriodSeconds (30)"
        ],
    ),
    (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        [
            '.securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,'
            '"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,'
            '"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: '
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        ],
    ),
]


@pytest.mark.parametrize(("container", "expected"), CONTAINER_CASES)
def test_container(container: dict[str, Any], expected: list[str]) -> None:
    assert errors_of(pod(container=container)) == ["spec.containers[0]" + e for e in expected]


SPEC_CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"containers": []}, ["spec.containers: Required value"]),
    (
        {"restartPolicy": "Odd"},
        ['spec.restartPolicy: Unsupported value: "Odd": supported values: "Always", "OnFailure", "Never"'],
    ),
    ({"volumes": [{"name": "a", "hostPath": {}}]}, ["spec.volumes[0].hostPath.path: Required value"]),
    (
        {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]},
        ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
    ),
    (
        {"tolerations": [{"operator": "Equal"}]},
        [
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, '
            'which means "match all values and all keys"'
        ],
    ),
    ({"schedulingGates": [{"name": "g"}, {"name": "g"}]}, ['spec.schedulingGates[1]: Duplicate value: "g"']),
    (
        {"schedulingGates": [{"name": "g"}], "nodeName": "n"},
        ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    ),
    ({"dnsPolicy": "None"}, ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
    ({"hostUsers": False, "hostPID": True}, ["spec.hostPID: Forbidden: when `hostUsers` is false"]),
    ({"os": {"name": "plan9"}}, ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']),
    (
        {"ephemeralContainers": [{"name": "e", "image": "i"}]},
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ),
    (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: "
            "must have at least one node selector term"
        ],
    ),
    (
        {"initContainers": [{"name": "i", "image": "i", "readinessProbe": {"exec": {"command": ["x"]}}}]},
        [
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"
        ],
    ),
    (
        {
            "initContainers": [
                {"name": "i", "image": "i", "restartPolicy": "Always", "readinessProbe": {"exec": {"command": ["x"]}}}
            ]
        },
        [],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), SPEC_CASES)
def test_spec(spec: dict[str, Any], expected: list[str]) -> None:
    assert errors_of(pod(spec)) == expected


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"name": "v", "emptyDir": {}}, []),
        (
            {"name": "v", "hostPath": {"path": "/tmp"}},
            ['Invalid value: "v": referenced volume must be of type emptyDir'],
        ),
        ({"name": "w", "emptyDir": {}}, ['Not found: "v"']),
    ],
)
@pytest.mark.parametrize("kind", ["initContainers", "containers"])
def test_variables_come_from_files_in_empty_directories_only(
    kind: str, volume: dict[str, Any], expected: list[str]
) -> None:
    source = {"fileKeyRef": {"volumeName": "v", "path": "f", "key": "A", "optional": False}}
    user = {"name": "u", "image": "i", "env": [{"name": "A", "valueFrom": source}]}
    spec = {kind: [user], "volumes": [volume]}
    at = f"spec.{kind}[0].env[0].valueFrom.fileKeyRef.volumeName"
    assert errors_of(pod(spec)) == [f"{at}: {text}" for text in expected]


def update_errors(change: dict[str, Any], spec: dict[str, Any] | None = None, container: Any = None) -> list[str]:
    old = pod(spec)
    new = copy.deepcopy(old)
    new["spec"].update(change)
    new["spec"]["containers"][0].update(container or {})
    POD.strategy.prepare_for_update(CTX, new, old)
    return [str(e) for e in POD.strategy.validate_update(CTX, new, old)]


@pytest.mark.parametrize(
    ("change", "spec", "container"),
    [
        ({}, {}, {"image": "other"}),
        ({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 9}, {}),
        ({"tolerations": [{"operator": "Exists"}]}, {}, {}),
        ({"terminationGracePeriodSeconds": 1}, {"terminationGracePeriodSeconds": -1}, {}),
        ({"schedulingGates": []}, {"schedulingGates": [{"name": "g"}]}, {}),
        ({"nodeSelector": {"a": "b"}}, {"schedulingGates": [{"name": "g"}]}, {}),
    ],
)
def test_what_may_change(change: Any, spec: Any, container: Any) -> None:
    assert update_errors(change, spec, container) == []


def test_what_may_not_change_is_shown_as_a_difference() -> None:
    (error,) = update_errors({"nodeName": "n1"})
    head, _, diff = error.partition("\n")
    assert head.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    assert diff.split("\n")[4:6] == ['- "NodeName": "",', '+ "NodeName": "n1",']
    assert diff.endswith("\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"activeDeadlineSeconds": 9},
            "spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value",
        ),
        (
            {"tolerations": []},
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            {"schedulingGates": [{"name": "g"}]},
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'",
        ),
    ],
)
def test_refused_changes(change: Any, expected: str) -> None:
    assert expected in update_errors(change, {"activeDeadlineSeconds": 5, "tolerations": [{"operator": "Exists"}]})


def test_an_ephemeral_container_is_added_and_nothing_else_changes() -> None:
    strategy = POD.updates["ephemeralcontainers"]
    old = pod()
    new = copy.deepcopy(old)
    new["spec"] |= {"ephemeralContainers": [{"name": "e", "image": "i"}], "nodeName": "n"}
    new["metadata"]["labels"] = {"a": "b"}
    strategy.default(new)
    strategy.prepare_for_update(CTX, new, old)
    assert "nodeName" not in new["spec"] and "labels" not in new["metadata"]
    assert strategy.validate_update(CTX, new, old) == []
    changed = copy.deepcopy(new)
    changed["spec"]["ephemeralContainers"][0]["image"] = "j"
    (error,) = strategy.validate_update(CTX, changed, new)
    assert '- "Image": "i",\n+ "Image": "j",' in error.detail


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"requests": {"cpu": "2"}}, []),
        (
            {"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}},
            ["spec: Forbidden: only cpu and memory resources are mutable"],
        ),
        (
            {},
            [
                'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            ],
        ),
    ],
)
def test_resize(resources: dict[str, Any], expected: list[str]) -> None:
    strategy = POD.updates["resize"]
    old = pod(container={"resources": {"requests": {"cpu": "1"}}})
    POD.strategy.prepare_for_create(CTX, old)
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["resources"] = resources
    strategy.prepare_for_update(CTX, new, old)
    assert [str(e) for e in strategy.validate_update(CTX, new, old)] == expected


def test_status_update_keeps_the_spec_and_refuses_a_container_that_rises_again() -> None:
    assert POD.status is not None
    old = pod({"restartPolicy": "Never"})
    old["status"] = {
        "qosClass": "BestEffort",
        "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 0}}}],
    }
    new = copy.deepcopy(old)
    new["spec"]["nodeName"] = "n"
    new["status"] = {"podIP": "10.0.0.1", "containerStatuses": [{"name": "c", "state": {"running": {}}}]}
    POD.status.prepare_for_update(CTX, new, old)
    assert new["spec"] == old["spec"]
    assert (new["status"]["podIPs"], new["status"]["qosClass"]) == ([{"ip": "10.0.0.1"}], "BestEffort")
    assert [str(e) for e in POD.status.validate_update(CTX, new, old)] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


@pytest.mark.parametrize(
    ("spec", "status", "requested", "expected"),
    [
        ({"nodeName": "n"}, {}, None, 30),
        ({"nodeName": "n"}, {}, 5, 5),
        ({"nodeName": "n"}, {}, -5, 1),
        ({}, {}, 5, 0),
        ({"nodeName": "n"}, {"phase": "Succeeded"}, None, 0),
    ],
)
def test_grace_period(spec: Any, status: Any, requested: int | None, expected: int) -> None:
    found = pod(spec)
    found["status"] = status
    assert POD.strategy.grace_period(found, requested) == expected


def test_warnings() -> None:
    found = pod(
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "failure-domain.beta.kubernetes.io/zone"}]},
        container={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    )
    found["metadata"]["name"] = "a.b"
    path = "spec.topologySpreadConstraints[0]"
    assert POD.strategy.warnings_on_create(CTX, found) == [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
        "a DNS label is recommended: [must not contain dots]",
        f"{path}.topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; "
        'use "topology.kubernetes.io/zone" instead',
        f"{path}.labelSelector: a null labelSelector results in matching no pod",
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ]


def test_match_label_keys_become_requirements() -> None:
    term = {"topologyKey": "z", "labelSelector": {}, "matchLabelKeys": ["h"], "mismatchLabelKeys": ["t"]}
    found = pod({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
    found["metadata"]["labels"] = {"h": "1", "t": "2"}
    POD.strategy.prepare_for_create(CTX, found)
    (merged,) = found["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert merged["labelSelector"] == {
        "matchExpressions": [
            {"key": "h", "operator": "In", "values": ["1"]},
            {"key": "t", "operator": "NotIn", "values": ["2"]},
        ]
    }
