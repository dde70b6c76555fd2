"""Environment, files, resources and security of containers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.build import NodeFacts, VolumePath, container_mounts, container_spec, sandbox_spec
from kubelet.containers.downward import Addresses
from kubelet.containers.env import Lookups, environment, references, service_environment
from kubelet.containers.expand import expand
from kubelet.containers.failure import ConfigError
from kubelet.containers.files import Resolver, container_hostname, hosts_file, pod_resolver
from kubelet.containers.resources import ResourcePolicy, container_resources, cpu_quota, cpu_shares
from kubelet.containers.security import container_security
from kubelet.pods.mounts import ClusterDns, PodMounts
from kubelet.pods.qos import qos_class
from kubelet.runtime.docker_config import container_config, log_config, sandbox_config
from kubelet.runtime.records import ImageRecord, PodRecord, SandboxRecord
from kubelet.runtime.specs import Mount, PodRef

IMAGE = ImageRecord("sha256:1", ("img",), (), 1)
NODE = NodeFacts("n1", "192.0.2.1", "cluster.local", 16 << 30, Path("/nowhere"))


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"b": '2"', "a": "1"}},
        "spec": {"containers": [{"name": "c", "image": "img", **(container or {})}], "nodeName": "n1", **spec},
    }


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$(MISSING)", "$(MISSING)"),
        ("$A", "$A"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
    ],
)
def test_expand(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == result


def test_a_host_name_fits_the_kernel() -> None:
    fits = pod(subdomain="s" * 37, setHostnameAsFQDN=True)
    assert len(container_hostname(fits, "cluster.local", "n1")) == 60
    message = (
        f"failed to construct FQDN from pod hostname and cluster domain, FQDN p.{'s' * 63}.ns.svc.cluster.local is too long "
        "(64 characters is the max, 86 characters requested)"
    )
    with pytest.raises(ConfigError) as refused:
        container_hostname(pod(subdomain="s" * 63, setHostnameAsFQDN=True), "cluster.local", "n1")
    assert str(refused.value) == message
    assert container_hostname(pod(subdomain="s" * 63), "cluster.local", "n1") == "p"


def test_limits_that_stand_in_for_a_containers() -> None:
    def memory(limits: dict[str, str], **spec: Any) -> str:
        ref = {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}
        given = pod({"resources": {"limits": limits}, "env": [{"name": "M", "valueFrom": ref}]}, **spec)
        lookups = Lookups(allocatable={"memory": "4Gi"})
        return environment(given, given["spec"]["containers"][0], lookups, Addresses())["M"]

    assert memory({"memory": "8Mi"}) == "8"
    assert memory({}) == memory({"memory": "0"}) == "4096"
    assert memory({}, resources={"limits": {"memory": "16Mi"}}) == "16"


def env(container: dict[str, Any], **lookups: Any) -> dict[str, str]:
    given = pod(container)
    return environment(given, given["spec"]["containers"][0], Lookups(**lookups), Addresses("10.0.0.5", "192.0.2.1"))


def test_environment_sources_in_order() -> None:
    secret = {"data": {"pw": base64.b64encode(b"s3").decode()}}
    container = {
        "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}},
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "no", "optional": True}}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)-$(P_k)"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
            {"name": "M", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}},
        ],
    }
    found = env(container, config_maps={"cm": {"data": {"k": "v"}}}, secrets={"s": secret, "no": None})
    assert found == {"P_k": "v", "A": "1", "B": "1-v", "IP": "10.0.0.5", "L": "1", "M": "64", "C": "1", "PW": "s3"}
    assert references(container) == ({"cm"}, {"no", "s"})


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "no"}}, "couldn't find key no in ConfigMap ns/cm"),
        ({"secretKeyRef": {"name": "gone", "key": "k"}}, 'secret "gone" not found'),
        ({"fieldRef": {"fieldPath": "spec.nope"}}, "unsupported fieldPath: spec.nope"),
    ],
)
def test_environment_errors(variable: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        env({"env": [{"name": "X", "valueFrom": variable}]}, config_maps={"cm": {"data": {}}})
    assert str(caught.value) == message


def test_service_environment() -> None:
    def service(name: str, namespace: str, ip: str = "10.96.0.7") -> dict[str, Any]:
        port = {"name": "http", "port": 80, "protocol": "TCP"}
        return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": [port]}}

    services = [
        service("my-db", "ns"),
        service("other", "else"),
        service("kubernetes", "default"),
        service("h", "ns", "None"),
    ]
    found = service_environment(pod(), services)
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.7"
    assert found["MY_DB_SERVICE_PORT_HTTP"] == found["MY_DB_SERVICE_PORT"] == "80"
    assert found["MY_DB_PORT_80_TCP"] == found["MY_DB_PORT"] == "tcp://10.96.0.7:80"
    assert {k.split("_SERVICE")[0] for k in found if k.endswith("_SERVICE_HOST")} == {"MY_DB", "KUBERNETES"}
    assert not any(k.startswith("MY_DB") for k in service_environment(pod(enableServiceLinks=False), services))


def test_hosts_file_and_hostnames() -> None:
    given = pod(subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x", "y"]}])
    text = hosts_file(given, "10.0.0.5", "cluster.local", "n1")
    assert "10.0.0.5\tp.sub.ns.svc.cluster.local\tp\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\tx\ty\n")
    assert container_hostname(given, "cluster.local", "n1") == "p"
    assert (
        container_hostname(pod(subdomain="sub", setHostnameAsFQDN=True), "cluster.local", "n1")
        == "p.sub.ns.svc.cluster.local"
    )
    assert container_hostname(pod(hostNetwork=True), "cluster.local", "n1") == "n1"


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        (
            {},
            [
                "search ns.svc.cluster.local svc.cluster.local cluster.local corp",
                "nameserver 10.96.0.10",
                "options ndots:5",
            ],
        ),
        ({"dnsPolicy": "Default"}, ["search corp", "nameserver 192.0.2.53"]),
        ({"hostNetwork": True}, ["search corp", "nameserver 192.0.2.53"]),
        (
            {
                "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]},
            },
            ["nameserver 1.1.1.1", "options ndots:2"],
        ),
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
            [
                "search ns.svc.cluster.local svc.cluster.local cluster.local corp",
                "nameserver 10.96.0.10",
                "options ndots:1",
            ],
        ),
    ],
)
def test_resolver(spec: dict[str, Any], lines: list[str]) -> None:
    host = Resolver.parse("nameserver 192.0.2.53\nsearch corp\n")
    assert pod_resolver(pod(**spec), host, ("10.96.0.10",), "cluster.local").text().splitlines() == lines


def test_a_resolver_takes_in_so_much() -> None:
    searches = tuple(f"{n}.example" for n in range(40))
    fitted, told = Resolver(("1.1.1.1",), searches).fitted()
    assert fitted == Resolver(("1.1.1.1",), searches[:32])
    assert told == (
        "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
        + " ".join(searches[:32]),
    )
    long = tuple("a" * 200 + str(n) for n in range(12))
    assert Resolver((), long).fitted()[0].searches == long[:10]
    assert Resolver((), ("a" * 254, "b")).fitted()[0].searches == ("b",)  # one that glibc would abort over
    assert Resolver(("1.1.1.1",), searches[:2]).fitted()[1] == ()


def test_a_pod_without_the_clusters_servers_is_told(tmp_path: Path) -> None:
    node = NodeFacts("n1", "192.0.2.1", "cluster.local", 1 << 30, tmp_path)
    mounts = PodMounts(tmp_path, node, ClusterDns((), "cluster.local", tmp_path / "none"), may_mount=False)
    assert mounts.dns_warnings(pod(dnsPolicy="Default")) == []
    [(reason, message)] = mounts.dns_warnings(pod())
    assert reason == "MissingClusterDNS" and message.endswith(
        'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. '
        'Falling back to "Default" policy.'
    )


def test_cgroup_numbers() -> None:
    assert [cpu_shares(m) for m in (0, 1, 100, 1000)] == [2, 2, 102, 1024]
    assert [cpu_quota(m) for m in (0, 5, 500, 2000)] == [0, 1000, 50000, 200000]


@pytest.mark.parametrize(
    ("resources", "qos", "score"),
    [
        ({}, "BestEffort", 1000),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed", -997),
        ({"requests": {"memory": "4Gi"}}, "Burstable", 750),
        ({"requests": {"cpu": "1"}}, "Burstable", 999),
        ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}, "Burstable", 938),
    ],
)
def test_quality_of_service(resources: dict[str, Any], qos: str, score: int) -> None:
    given = pod({"resources": resources})
    assert qos_class(given) == qos
    assert container_resources(given, given["spec"]["containers"][0], ResourcePolicy(16 << 30)).oom_score_adj == score


def test_oom_scores_of_sidecars_and_of_pods_with_requests_of_their_own() -> None:
    def score(given: dict[str, Any], container: dict[str, Any]) -> int:
        return container_resources(given, container, ResourcePolicy(16 << 30)).oom_score_adj

    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"memory": "1Gi"}}}
    given = pod({"resources": {"requests": {"memory": "4Gi"}}}, initContainers=[sidecar])
    assert score(given, sidecar) == 750  # no sooner than the container that it serves
    shared = pod({}, resources={"requests": {"memory": "8Gi"}}, initContainers=[sidecar])
    # 7 GiB that no container claims, in two parts
    assert score(shared, shared["spec"]["containers"][0]) == 1000 - 1000 * 7 // 32
    assert score(shared, sidecar) == 1000 - 1000 * 9 // 32
    important = {"priority": 2_000_001_000, "priorityClassName": "system-node-critical"}
    assert score(pod(**important), {}) == -997
    assert score(pod(priority=2_000_000_000, priorityClassName="system-cluster-critical"), {}) == 1000


def security(container: dict[str, Any], image: ImageRecord = IMAGE, **context: Any) -> Any:
    given = pod({"securityContext": container}, securityContext=context)
    return container_security(given, given["spec"]["containers"][0], image, Path("/nowhere"))


def test_security_context() -> None:
    found = security(
        {"runAsUser": 1, "capabilities": {"add": ["net_admin"], "drop": ["ALL"]}},
        runAsUser=2,
        runAsGroup=3,
        fsGroup=9,
        supplementalGroups=[8],
    )
    assert (found.user, found.groups) == ("1:3", (8, 9))
    assert (found.cap_add, found.cap_drop, found.seccomp) == (("NET_ADMIN",), ("ALL",), "unconfined")
    assert security({"seccompProfile": {"type": "RuntimeDefault"}}).seccomp == ""
    assert security({"allowPrivilegeEscalation": False}).no_new_privileges


@pytest.mark.parametrize(
    ("image_user", "run_as", "message"),
    [
        ("", None, "container has runAsNonRoot and image will run as root"),
        (
            "nobody",
            None,
            "container has runAsNonRoot and image has non-numeric user (nobody), cannot verify user is non-root",
        ),
        ("1000", 0, "container's runAsUser breaks non-root policy"),
    ],
)
def test_run_as_non_root(image_user: str, run_as: int | None, message: str) -> None:
    context = {"runAsNonRoot": True} | ({"runAsUser": run_as} if run_as is not None else {})
    with pytest.raises(ConfigError, match=r"\(pod: \"p_ns\(u1\)\", container: c\)") as caught:
        security(context, ImageRecord("x", (), (), 0, user=image_user))
    assert str(caught.value).startswith(message)


def test_mounts_and_sub_paths() -> None:
    container = {
        "name": "c",
        "volumeMounts": [
            {"name": "v", "mountPath": "data", "readOnly": True, "subPathExpr": "x/$(POD)"},
            {"name": "v", "mountPath": "/prop", "mountPropagation": "Bidirectional"},
        ],
    }
    found = container_mounts(container, {"v": VolumePath("/vol")}, {"POD": "p"})
    assert found == [
        ("v", Mount("/vol", "/data", True), "x/p"),
        ("v", Mount("/vol", "/prop", False, "rshared"), ""),
    ]
    with pytest.raises(ConfigError, match="cannot find volume"):
        container_mounts(container, {}, {})
    with pytest.raises(ConfigError, match="missing value"):
        container_mounts(container, {"v": VolumePath("/vol")}, {})


def test_docker_bodies() -> None:
    given = pod(
        {
            "command": ["sh", "-c"],
            "args": ["echo $(A)"],
            "stdin": True,
            "stdinOnce": True,
            "ports": [{"containerPort": 80, "hostPort": 8080}],
        },
        shareProcessNamespace=True,
    )
    sandbox = sandbox_config(sandbox_spec(given, 0, NODE, "crun", "/kubepods/podu1"), "kubeling-dev", {})
    assert sandbox["HostConfig"]["Runtime"] == "crun"
    assert sandbox["Hostname"] == "p"
    assert sandbox["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    ref, created = PodRef("ns", "p", "u1"), datetime(2026, 1, 1, tzinfo=UTC)
    record = PodRecord(ref, (SandboxRecord("sb", ref, 0, True, created, cgroup_parent="/kubepods/podu1"),))
    spec = container_spec(
        given,
        given["spec"]["containers"][0],
        0,
        node=NODE,
        image=IMAGE,
        variables={"A": "1"},
        mounts=[Mount("/a", "/b", True)],
        observed=record,
        handler="crun",
    )
    body = container_config(spec, record.sandboxes[0], {}, log_config(1000, 3))
    assert (body["Entrypoint"], body["Cmd"]) == (["sh", "-c"], ["echo 1"])
    assert body["Env"] == ["A=1"]
    assert body["HostConfig"]["Runtime"] == "crun"
    assert sandbox["HostConfig"]["CgroupParent"] == body["HostConfig"]["CgroupParent"] == "/kubepods/podu1"
    assert body["HostConfig"]["NetworkMode"] == body["HostConfig"]["PidMode"] == "container:sb"
    # an "rprivate" said aloud the engine refuses for folders that hold its own
    assert body["HostConfig"]["Mounts"] == [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True}]
    assert body["HostConfig"]["LogConfig"]["Config"] == {"max-size": "1000", "max-file": "3"}
    assert body["OpenStdin"] and body["StdinOnce"] and not body["Tty"]
