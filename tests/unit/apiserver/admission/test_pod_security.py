"""PodSecurity: the checks and what the plugin makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.pod_security.checks import violations
from apiserver.admission.pod_security.plugin import PodSecurity
from apiserver.admission.pod_security.policy import BASELINE, RESTRICTED, LevelVersion, policy_of
from kubeling.api.errors import StatusError
from kubeling.api.resources import DEPLOYMENTS, NAMESPACES, PODS

PREFIX = "pod-security.kubernetes.io/"


def pod(*contexts: dict[str, Any], **spec: Any) -> dict[str, Any]:
    containers = [
        {"name": f"c{i}", "image": "i", "securityContext": context} for i, context in enumerate(contexts or ({},))
    ]
    return {"metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": containers, **spec}}


GOOD_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
GOOD_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(), ""),
        (pod({"privileged": True}, {"privileged": True}),
         'privileged (containers "c0", "c1" must not set securityContext.privileged=true)'),
        (pod(hostNetwork=True, hostIPC=True), "host namespaces (hostNetwork=true, hostIPC=true)"),
        (pod(volumes=[{"name": "h", "hostPath": {}}, {"name": "g", "hostPath": {}}]), 'hostPath volumes (volumes "h", "g")'),
        (pod({"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}}),
         'non-default capabilities (container "c0" must not include "SYS_ADMIN" in securityContext.capabilities.add)'),
        (pod({"procMount": "Unmasked"}), 'procMount (container "c0" must not set securityContext.procMount to "Unmasked")'),
        (pod(securityContext={"seLinuxOptions": {"type": "odd_t", "user": "u"}}),
         'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "odd_t"; user may not be set)'),
        (pod({"seccompProfile": {"type": "Unconfined"}}, securityContext={"seccompProfile": {"type": "Unconfined"}}),
         'seccompProfile (pod and container "c0" must not set securityContext.seccompProfile.type to "Unconfined")'),
        (pod(securityContext={"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}),
         "forbidden sysctls (kernel.msgmax)"),
        (pod(securityContext={"windowsOptions": {"hostProcess": True}}),
         "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"),
        (pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
         'forbidden AppArmor profile (pod must not set securityContext.appArmorProfile.type to "Unconfined")'),
    ],
)  # fmt: skip
def test_baseline(obj: Any, expected: str) -> None:
    assert ", ".join(map(str, violations(LevelVersion(BASELINE), obj))) == expected


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(GOOD_CONTAINER, securityContext=GOOD_POD), ""),
        (pod({**GOOD_CONTAINER, "runAsUser": 0}, securityContext=GOOD_POD),
         'runAsUser=0 (container "c0" must not set runAsUser=0)'),
        (pod({**GOOD_CONTAINER, "runAsNonRoot": False}, securityContext=GOOD_POD),
         'runAsNonRoot != true (container "c0" must not set securityContext.runAsNonRoot=false)'),
        (pod(GOOD_CONTAINER, securityContext={"runAsNonRoot": True}),
         'seccompProfile (pod or container "c0" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'),
        (pod(GOOD_CONTAINER, securityContext=GOOD_POD, volumes=[{"name": "h", "hostPath": {}}, {"name": "e", "emptyDir": {}}]),
         'restricted volume types (volume "h" uses restricted volume type "hostPath")'),
        (pod({"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}},
             securityContext=GOOD_POD),
         'unrestricted capabilities (container "c0" must not include "CHOWN" in securityContext.capabilities.add)'),
    ],
)  # fmt: skip
def test_restricted(obj: Any, expected: str) -> None:
    assert ", ".join(map(str, violations(LevelVersion(RESTRICTED), obj))) == expected


def test_versions() -> None:
    obj = pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_keepalive_time"}]})
    assert violations(LevelVersion(BASELINE, 28), obj)
    assert not violations(LevelVersion(BASELINE, 29), obj)


@pytest.mark.parametrize(
    ("labels", "policy", "problems"),
    [
        ({}, ("privileged:latest", "privileged:latest"), 0),
        ({"enforce": "baseline"}, ("baseline:latest", "baseline:latest"), 0),
        (
            {"enforce": "baseline", "enforce-version": "v1.25", "warn": "privileged"},
            ("baseline:v1.25", "privileged:latest"),
            0,
        ),
        ({"enforce": "bogus", "audit-version": "1.2"}, ("restricted:latest", "restricted:latest"), 2),
    ],
)
def test_labels(labels: dict[str, str], policy: tuple[str, str], problems: int) -> None:
    found, errors = policy_of({PREFIX + k: v for k, v in labels.items()})
    assert ((str(found.enforce), str(found.warn)), len(errors)) == (policy, problems)


def namespace(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "ns", "labels": {PREFIX + k.replace("_", "-"): v for k, v in labels.items()}}}


async def test_pods_are_refused_and_their_makers_warned(attributes: Any, registries: Any) -> None:
    registries.put(NAMESPACES, namespace(enforce="baseline"))
    bad = pod({"privileged": True})
    with pytest.raises(StatusError) as error:
        await PodSecurity().validate(attributes(PODS, bad))
    assert error.value.message.startswith('pods "p" is forbidden: violates PodSecurity "baseline:latest": privileged (')
    deployment = {"metadata": {"name": "d"}, "spec": {"template": bad}}
    request = attributes(DEPLOYMENTS, deployment)
    await PodSecurity().validate(request)
    assert request.warnings[0].startswith('would violate PodSecurity "baseline:latest": privileged (')


async def test_an_update_that_changes_no_image_is_let_through(attributes: Any, registries: Any) -> None:
    registries.put(NAMESPACES, namespace(enforce="restricted"))
    old = pod()
    new = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    await PodSecurity().validate(attributes(PODS, new, old, operation="UPDATE"))
    with pytest.raises(StatusError):
        changed = {**new, "spec": {**new["spec"], "ephemeralContainers": [{"name": "e", "image": "i"}]}}
        await PodSecurity().validate(
            attributes(PODS, changed, old, operation="UPDATE", subresource="ephemeralcontainers")
        )


async def test_a_stricter_namespace_tells_of_the_pods_it_has(attributes: Any, registries: Any) -> None:
    for name in ("b", "a"):
        obj = pod({"privileged": True})
        obj["metadata"]["name"] = name
        registries.put(PODS, obj)
    request = attributes(NAMESPACES, namespace(enforce="baseline"), namespace(), operation="UPDATE")
    await PodSecurity().validate(request)
    assert request.warnings == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 1 other pod): privileged",
    ]


async def test_wrong_labels_are_refused_on_creation(attributes: Any) -> None:
    with pytest.raises(StatusError) as error:
        await PodSecurity().validate(attributes(NAMESPACES, namespace(enforce="bogus")))
    assert "metadata.labels[pod-security.kubernetes.io/enforce]" in error.value.message
