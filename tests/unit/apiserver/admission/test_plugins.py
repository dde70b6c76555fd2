"""The smaller plugins, one table or story each."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from apiserver.admission.build import ADMISSION, Dependencies, UnknownPlugin, build_admission
from apiserver.admission.certificates import CertificateApproval, CertificateSigning
from apiserver.admission.claim_resize import PersistentVolumeClaimResize
from apiserver.admission.default_classes import DefaultIngressClass, DefaultStorageClass
from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.optional import (
    AlwaysPullImages,
    DenyServiceExternalIPs,
    ExtendedResourceToleration,
    NamespaceAutoProvision,
    NamespaceExists,
    OwnerReferencesPermissionEnforcement,
)
from apiserver.admission.pod_resize import PodResizeValidator
from apiserver.admission.priority import Priority
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import MOUNT_PATH, ServiceAccount
from apiserver.admission.storage_protection import StorageObjectInUseProtection
from apiserver.admission.taint_nodes import TaintNodesByCondition
from apiserver.admission.topology_labels import PodTopologyLabels
from apiserver.authz.build import Authorization
from apiserver.authz.union import AlwaysAllow, AlwaysDeny
from kubeling.api.errors import StatusError
from kubeling.api.resources import (
    CERTIFICATE_SIGNING_REQUESTS,
    CONFIG_MAPS,
    INGRESS_CLASSES,
    INGRESSES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    PRIORITY_CLASSES,
    RUNTIME_CLASSES,
    SERVICE_ACCOUNTS,
    SERVICES,
    STORAGE_CLASSES,
)


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def named(name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, **fields}


async def message(work: Any) -> str:
    with pytest.raises(StatusError) as error:
        await work
    return error.value.message


def test_the_chain_is_built_from_the_list() -> None:
    dependencies = Dependencies(Authorization(AlwaysAllow(), None))
    names = [p.name for p in build_admission(dependencies).plugins]
    assert names == [p.name for p in ADMISSION if p.default]
    assert "NodeRestriction" in [p.name for p in build_admission(dependencies, enable=["NodeRestriction"]).plugins]
    assert "Priority" not in [p.name for p in build_admission(dependencies, disable=["Priority"]).plugins]
    with pytest.raises(UnknownPlugin):
        build_admission(dependencies, enable=["Nonsense"])


async def test_namespace_lifecycle(attributes: Any, registries: Any) -> None:
    plugin, config = NamespaceLifecycle(), named("c", "ns")
    assert await message(plugin.mutate(attributes(CONFIG_MAPS, config))) == 'namespaces "ns" not found'
    registries.put(NAMESPACES, named("ns", status={"phase": "Active"}))
    await plugin.mutate(attributes(CONFIG_MAPS, config))
    registries.put(NAMESPACES, named("ns", status={"phase": "Terminating"}))
    with pytest.raises(StatusError) as error:
        await plugin.mutate(attributes(CONFIG_MAPS, config))
    assert error.value.message == (
        'configmaps "c" is forbidden: unable to create new content in namespace ns because it is being terminated'
    )
    assert error.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    await plugin.mutate(attributes(CONFIG_MAPS, config, config, operation="UPDATE"))
    deleting = attributes(NAMESPACES, None, named("default"), operation="DELETE")
    assert (
        await message(plugin.mutate(deleting)) == 'namespaces "default" is forbidden: this namespace may not be deleted'
    )


async def test_a_pod_gets_account_and_token(attributes: Any, registries: Any) -> None:
    registries.put(SERVICE_ACCOUNTS, named("default", "ns", imagePullSecrets=[{"name": "pull"}]))
    created = pod(initContainers=[{"name": "i"}])
    await ServiceAccount().mutate(attributes(PODS, created))
    spec = created["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    volume = spec["volumes"][0]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == len("kube-api-access-12345")
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}]
    await ServiceAccount().mutate(attributes(PODS, created))
    assert len(spec["volumes"]) == 1


@pytest.mark.parametrize(
    ("account", "spec", "mounted"),
    [
        ({}, {"automountServiceAccountToken": False}, False),
        ({"automountServiceAccountToken": False}, {}, False),
        ({"automountServiceAccountToken": False}, {"automountServiceAccountToken": True}, True),
        ({}, {"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": MOUNT_PATH}]}]}, False),
    ],
)
async def test_who_wants_no_token(attributes: Any, registries: Any, account: Any, spec: Any, mounted: bool) -> None:
    registries.put(SERVICE_ACCOUNTS, named("default", "ns", **account))
    created = pod(**spec)
    await ServiceAccount().mutate(attributes(PODS, created))
    assert bool(created["spec"].get("volumes")) is mounted


async def test_an_account_must_be_there(attributes: Any) -> None:
    assert await message(ServiceAccount().mutate(attributes(PODS, pod(serviceAccountName="x")))) == (
        'pods "p" is forbidden: error looking up service account ns/x: serviceaccount "x" not found'
    )


async def test_mirror_pods_need_no_account(attributes: Any) -> None:
    created = pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}])
    created["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    await ServiceAccount().mutate(attributes(PODS, created))
    assert "serviceAccountName" not in created["spec"]
    assert (await message(ServiceAccount().validate(attributes(PODS, created)))).endswith("may not reference secrets")


@pytest.mark.parametrize(
    ("tolerations", "added"),
    [
        ([], ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]),
        ([{"operator": "Exists"}], []),
        (
            [{"operator": "Exists", "effect": "NoSchedule"}],
            ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"],
        ),
        ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}], ["node.kubernetes.io/not-ready"]),
    ],
)
async def test_default_tolerations(attributes: Any, tolerations: Any, added: list[str]) -> None:
    created = pod(tolerations=tolerations)
    await DefaultTolerationSeconds().mutate(attributes(PODS, created))
    assert [t["key"] for t in created["spec"]["tolerations"][len(tolerations) :]] == added


async def test_new_nodes_are_not_ready(attributes: Any) -> None:
    node = named("n", spec={})
    for _ in range(2):
        await TaintNodesByCondition().mutate(attributes(NODES, node))
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


CLASSES = [
    named("high", value=1000, preemptionPolicy="Never"),
    named("usual", value=7, globalDefault=True, preemptionPolicy="PreemptLowerPriority"),
]


@pytest.mark.parametrize(
    ("spec", "computed"),
    [
        ({"priorityClassName": "high"}, ("high", 1000, "Never")),
        ({}, ("usual", 7, "PreemptLowerPriority")),
        ({"priority": 7}, ("usual", 7, "PreemptLowerPriority")),
    ],
)
async def test_priorities(attributes: Any, registries: Any, spec: Any, computed: Any) -> None:
    registries.put(PRIORITY_CLASSES, *CLASSES)
    created = pod(**spec)
    await Priority().mutate(attributes(PODS, created))
    assert tuple(created["spec"][f] for f in ("priorityClassName", "priority", "preemptionPolicy")) == computed


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"priorityClassName": "none"}, "no PriorityClass with name none was found"),
        (
            {"priorityClassName": "high", "priority": 3},
            "the integer value of priority (3) must not be provided in pod spec",
        ),
        (
            {"priorityClassName": "high", "preemptionPolicy": "X"},
            "the string value of PreemptionPolicy (X) must not be",
        ),
    ],
)
async def test_priorities_that_are_refused(attributes: Any, registries: Any, spec: Any, text: str) -> None:
    registries.put(PRIORITY_CLASSES, *CLASSES)
    assert text in await message(Priority().mutate(attributes(PODS, pod(**spec))))


async def test_one_default_priority_class(attributes: Any, registries: Any) -> None:
    registries.put(PRIORITY_CLASSES, *CLASSES)
    second = attributes(PRIORITY_CLASSES, named("second", globalDefault=True))
    assert "usual is already marked as default" in await message(Priority().validate(second))
    system = attributes(PRIORITY_CLASSES, None, named("system-node-critical"), operation="DELETE")
    assert "this is a system priority class" in await message(Priority().validate(system))


async def test_default_classes(attributes: Any, registries: Any) -> None:
    def marked(name: str, mark: str, created: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "annotations": {mark: "true"}, "creationTimestamp": created}}

    mark = "storageclass.kubernetes.io/is-default-class"
    times = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    registries.put(
        STORAGE_CLASSES, marked("old", mark, times[0]), marked("b", mark, times[1]), marked("a", mark, times[1])
    )
    claim = named("c", "ns", spec={})
    await DefaultStorageClass().mutate(attributes(PERSISTENT_VOLUME_CLAIMS, claim))
    assert claim["spec"]["storageClassName"] == "a"
    none = named("c", "ns", spec={"storageClassName": ""})
    await DefaultStorageClass().mutate(attributes(PERSISTENT_VOLUME_CLAIMS, none))
    assert none["spec"]["storageClassName"] == ""
    registries.put(INGRESS_CLASSES, marked("nginx", "ingressclass.kubernetes.io/is-default-class", times[0]))
    ingress = named("i", "ns", spec={})
    await DefaultIngressClass().mutate(attributes(INGRESSES, ingress))
    assert ingress["spec"]["ingressClassName"] == "nginx"


async def test_claims_grow_where_their_class_lets_them(attributes: Any, registries: Any) -> None:
    def claim(size: str, phase: str = "Bound") -> dict[str, Any]:
        spec = {"storageClassName": "s", "resources": {"requests": {"storage": size}}}
        return named("c", "ns", spec=spec, status={"phase": phase})

    def resize(new: str, old: dict[str, Any]) -> Any:
        request = attributes(PERSISTENT_VOLUME_CLAIMS, claim(new), old, operation="UPDATE")
        return PersistentVolumeClaimResize().validate(request)

    assert "only dynamically provisioned pvc can be resized" in await message(resize("2Gi", claim("1Gi")))
    registries.put(STORAGE_CLASSES, named("s", allowVolumeExpansion=True))
    await resize("2Gi", claim("1Gi"))
    await resize("1Gi", claim("1Gi", "Pending"))
    assert "Only bound persistent volume claims" in await message(resize("2Gi", claim("1Gi", "Pending")))


async def test_pods_grow_up_to_what_their_node_has(attributes: Any, registries: Any) -> None:
    def asking(cpu: str, node: str = "n", **more: str) -> dict[str, Any]:
        container = {"name": "c", "resources": {"requests": {"cpu": cpu, **more}}}
        return named("p", "ns", spec={"nodeName": node, "containers": [container]})

    def resize(new: dict[str, Any], old: dict[str, Any] | None = None) -> Any:
        request = attributes(PODS, new, old or asking("1"), operation="UPDATE", subresource="resize")
        return PodResizeValidator().validate(request)

    assert await message(resize(asking("2"))) == 'pods "p" is forbidden: node "n" not found'
    await resize(asking("2", node=""))
    registries.put(NODES, named("n", status={"allocatable": {"cpu": "2", "memory": "1Gi"}}))
    await resize(asking("2", memory="1Gi"))
    with pytest.raises(StatusError) as error:
        await resize(asking("2500m", memory="2Gi"))
    lacking = "cpu, requested: 2500, allocatable: 2000; memory, requested: 2147483648, allocatable: 1073741824"
    assert error.value.message == f'pods "p" is forbidden: node didn\'t have enough allocatable resources: {lacking}'
    assert error.value.status["details"]["causes"] == [{"reason": "NodeCapacity"}]
    await resize(asking("3"), asking("3"))
    windows = {"kubernetes.io/os": "windows"}
    registries.put(NODES, {"metadata": {"name": "w", "labels": windows}, "status": {"allocatable": {"cpu": "9"}}})
    with pytest.raises(StatusError, match='only supported on linux nodes, node "w" is "windows"') as error:
        await resize(asking("2", node="w"))
    assert error.value.status["details"]["causes"] == [{"reason": "UnsupportedPlatform"}]


async def test_storage_is_protected_while_in_use(attributes: Any) -> None:
    claim = named("c", "ns")
    for _ in range(2):
        await StorageObjectInUseProtection().mutate(attributes(PERSISTENT_VOLUME_CLAIMS, claim))
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


async def test_runtime_classes(attributes: Any, registries: Any) -> None:
    scheduling = {"nodeSelector": {"k": "v"}, "tolerations": [{"key": "t"}]}
    registries.put(RUNTIME_CLASSES, named("gvisor", overhead={"podFixed": {"cpu": "100m"}}, scheduling=scheduling))
    created = pod(runtimeClassName="gvisor", nodeSelector={"a": "b"})
    await RuntimeClass().mutate(attributes(PODS, created))
    assert created["spec"]["overhead"] == {"cpu": "100m"}
    assert created["spec"]["nodeSelector"] == {"a": "b", "k": "v"}
    assert created["spec"]["tolerations"] == [{"key": "t"}]
    unknown = attributes(PODS, pod(runtimeClassName="none"))
    assert 'RuntimeClass "none" not found' in await message(RuntimeClass().mutate(unknown))
    clash = attributes(PODS, pod(runtimeClassName="gvisor", nodeSelector={"k": "other"}))
    assert "conflict: runtimeClass.scheduling.nodeSelector[k] = v" in await message(RuntimeClass().mutate(clash))


@pytest.mark.parametrize(("plugin", "subresource"), [(CertificateApproval, "approval"), (CertificateSigning, "status")])
async def test_signers_are_guarded(attributes: Any, plugin: Any, subresource: str) -> None:
    old = named("r", spec={"signerName": "example.com/s"}, status={})
    new = {**old, "status": {"certificate": base64.b64encode(b"x").decode()}}
    request = attributes(CERTIFICATE_SIGNING_REQUESTS, new, old, operation="UPDATE", subresource=subresource)
    assert plugin(AlwaysDeny()).handles(request)
    await plugin(AlwaysAllow()).validate(request)
    assert 'requests with signerName "example.com/s"' in await message(plugin(AlwaysDeny()).validate(request))


async def test_pods_learn_where_their_node_is(attributes: Any, registries: Any) -> None:
    node = named("n")
    node["metadata"]["labels"] = {"topology.kubernetes.io/zone": "z", "other": "x"}
    registries.put(NODES, node)
    binding = named("p", "ns", target={"kind": "Node", "name": "n"})
    await PodTopologyLabels().mutate(attributes(PODS, binding, subresource="binding"))
    assert binding["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z"}


async def test_optional_plugins(attributes: Any, registries: Any) -> None:
    created = pod(containers=[{"name": "c", "resources": {"requests": {"example.com/gpu": "1", "cpu": "1"}}}])
    await AlwaysPullImages().mutate(attributes(PODS, created))
    await ExtendedResourceToleration().mutate(attributes(PODS, created))
    assert created["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert created["spec"]["tolerations"] == [{"key": "example.com/gpu", "operator": "Exists"}]
    service = named("s", "ns", spec={"externalIPs": ["192.0.2.1"]})
    await DenyServiceExternalIPs().validate(attributes(SERVICES, service, service, operation="UPDATE"))
    assert "denied by admission control" in await message(
        DenyServiceExternalIPs().validate(attributes(SERVICES, service))
    )
    assert await message(NamespaceExists().validate(attributes(PODS, created))) == 'namespaces "ns" not found'
    await NamespaceAutoProvision().mutate(attributes(PODS, created))
    await NamespaceExists().validate(attributes(PODS, created))


async def test_owners_are_set_by_those_who_may_delete(attributes: Any, registries: Any) -> None:
    owned = named("c", "ns")
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "blockOwnerDeletion": True}
    ]
    registries.of(PODS)
    request = attributes(CONFIG_MAPS, owned, named("c", "ns"), operation="UPDATE")
    await OwnerReferencesPermissionEnforcement(AlwaysAllow()).validate(request)
    plugin = OwnerReferencesPermissionEnforcement(AlwaysDeny())
    assert "cannot set an ownerRef" in await message(plugin.validate(request))
    assert "cannot set blockOwnerDeletion" in await message(plugin.validate(attributes(CONFIG_MAPS, owned)))
