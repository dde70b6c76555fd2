"""What the default profile decides: one table of reasons, one of preferences."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scheduler.framework.profile import Profile
from scheduler.model.resources import pod_requests
from scheduler.plugins import DEFAULT_PROFILE
from scheduler.plugins.volumebinding import VolumeBinding
from tests.unit.scheduler.worlds import Listed, chosen, cluster, node, pod, why

CLAIMLESS = "no new claims to deallocate, "
USELESS = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
VICTIMLESS = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


def affinity(kind: str, *terms: dict[str, Any], preferred: bool = False) -> dict[str, Any]:
    when = (
        "preferredDuringSchedulingIgnoredDuringExecution"
        if preferred
        else "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return {"affinity": {kind: {when: list(terms)}}}


def near(app: str, key: str = HOST, **more: Any) -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def nodes_named(*names: str) -> dict[str, Any]:
    fields = [{"key": "metadata.name", "operator": "In", "values": list(names)}]
    return {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": fields}]}
            }
        }
    }


def spread(key: str = ZONE, **more: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "a"}}
    constraint = {
        "topologyKey": key,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector,
        **more,
    }
    return {"topologySpreadConstraints": [constraint]}


@pytest.mark.parametrize(
    ("wanted", "world", "reason", "preemption"),
    [
        (pod(cpu="5"), [node("n")], "Insufficient cpu", USELESS),
        (pod(cpu="2"), [node("n"), pod(on="n", cpu="3")], "Insufficient cpu", VICTIMLESS),
        (pod(), [node("n", allocatable={"pods": "0"})], "Too many pods", VICTIMLESS),
        (pod(requests={"example.com/gpu": "1"}), [node("n")], "Insufficient example.com/gpu", USELESS),
        (pod(), [node("n", unschedulable=True)], "node(s) were unschedulable", USELESS),
        (pod(), [node("n", taints=[TAINT])], "node(s) had untolerated taint(s)", USELESS),
        (pod(nodeSelector={"a": "b"}), [node("n")], "node(s) didn't match Pod's node affinity/selector", USELESS),
        (pod(**nodes_named("other")), [node("n")], "node(s) didn't satisfy plugin(s) [NodeAffinity]", USELESS),
        (
            pod(ports=[{"hostPort": 80}]),
            [node("n"), pod(on="n", ports=[{"hostPort": 80, "hostIP": "10.0.0.1"}])],
            "node(s) didn't have free ports for the requested pod ports",
            VICTIMLESS,
        ),
        (pod(**affinity("podAffinity", near("db"))), [node("n")], "node(s) didn't match pod affinity rules", USELESS),
        (
            pod(**affinity("podAntiAffinity", near("db"))),
            [node("n"), pod(on="n", labels={"app": "db"})],
            "node(s) didn't match pod anti-affinity rules",
            VICTIMLESS,
        ),
        (
            pod(labels={"app": "db"}),
            [node("n"), pod(on="n", **affinity("podAntiAffinity", near("db")))],
            "node(s) didn't satisfy existing pods anti-affinity rules",
            VICTIMLESS,
        ),
        (
            pod(**spread()),
            [node("n")],
            "node(s) didn't match pod topology spread constraints (missing required label)",
            USELESS,
        ),
        (
            pod(labels={"app": "a"}, **spread(minDomains=2)),
            [node("n", labels={ZONE: "z"}), pod(on="n", labels={"app": "a"})],
            "node(s) didn't match pod topology spread constraints",
            VICTIMLESS,
        ),
    ],
)
def test_why_a_pod_does_not_fit(wanted: Any, world: list[Any], reason: str, preemption: str) -> None:
    assert why(wanted, cluster(*world)) == f"0/1 nodes are available: 1 {reason}. {CLAIMLESS}{preemption}"


def test_reasons_are_counted_and_sorted_as_text() -> None:
    world = cluster(
        node("n1", unschedulable=True),
        node("n2", allocatable={"cpu": "1", "memory": "1Gi"}),
        node("n3"),
        pod(on="n3", cpu="4"),
    )
    assert why(pod(cpu="2", memory="2Gi"), world) == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu. "
        "no new claims to deallocate, preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_without_nodes() -> None:
    assert why(pod(), cluster()) == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("wanted", "world", "where"),
    [
        (pod(cpu="4"), [node("n")], {"n"}),
        (pod(tolerations=[{"operator": "Exists"}]), [node("n", unschedulable=True, taints=[TAINT])], {"n"}),
        (pod(tolerations=[{"key": "k", "value": "v"}]), [node("n", taints=[TAINT])], {"n"}),
        (pod(tolerations=[{"key": "k", "value": "w"}]), [node("n", taints=[TAINT]), node("m")], {"m"}),
        (
            pod(tolerations=[{"key": "k", "operator": "Exists", "effect": "NoExecute"}]),
            [node("n", taints=[TAINT]), node("m")],
            {"m"},
        ),
        (pod(), [node("n", taints=[{**TAINT, "effect": "PreferNoSchedule"}]), node("m")], {"m"}),
        (pod(cpu="1"), [node("n"), pod(on="n", cpu="2"), node("m")], {"m"}),
        (pod(), [node("n"), node("m")], {"n", "m"}),
        (pod(**nodes_named("n")), [node("n"), node("m")], {"n"}),
        (pod(nodeSelector={"disk": "ssd"}), [node("n"), node("m", labels={"disk": "ssd"})], {"m"}),
        (
            pod(**affinity("podAffinity", near("db"))),
            [node("n"), node("m"), pod(on="m", labels={"app": "db"})],
            {"m"},
        ),
        (pod(labels={"app": "db"}, **affinity("podAffinity", near("db"))), [node("n"), node("m")], {"n", "m"}),
        (
            pod(**affinity("podAffinity", near("db"))),  # of another namespace
            [node("n"), node("m"), pod(on="m", labels={"app": "db"}, namespace="other")],
            {""},
        ),
        (
            pod(**affinity("podAffinity", near("db", namespaceSelector={}))),
            [node("n"), node("m"), pod(on="m", labels={"app": "db"}, namespace="other")],
            {"m"},
        ),
        (
            pod(**affinity("podAntiAffinity", {"weight": 100, "podAffinityTerm": near("db")}, preferred=True)),
            [node("n"), node("m"), pod(on="m", labels={"app": "db"})],
            {"n"},
        ),
        (
            pod(labels={"app": "a"}, **spread()),
            [
                node("n", labels={ZONE: "z1"}),
                node("m", labels={ZONE: "z2"}),
                pod(on="n", labels={"app": "a"}),
                pod(on="m", labels={"app": "a"}, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            ],
            {"m"},
        ),
        (
            pod(labels={"app": "a"}, **spread(HOST, whenUnsatisfiable="ScheduleAnyway")),
            [node("n"), node("m"), pod(on="n", labels={"app": "a"})],
            {"m"},
        ),
        (pod(image="big"), [node("n", images={"big:latest": 900 << 20}), node("m")], {"n"}),
        (
            pod(ports=[{"hostPort": 80, "protocol": "UDP"}]),
            [node("n"), pod(on="n", ports=[{"hostPort": 80, "protocol": "TCP"}])],
            {"n"},
        ),
    ],
)
def test_where_a_pod_goes(wanted: Any, world: list[Any], where: set[str]) -> None:
    assert chosen(wanted, cluster(*world)) == where


def test_pods_of_a_service_are_spread_without_being_asked() -> None:
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "a"}}}
    world = cluster(
        node("n"), node("m"), *(pod(on="n", labels={"app": "a"}) for _ in range(3)), *(pod(on="m") for _ in range(3)),
        listers=Listed(Service=[service]),
    )  # fmt: skip
    assert chosen(pod(labels={"app": "a"}), world) == {"m"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{"cpu": "1"}, {"cpu": "500m"}]}, 1500),
        ({"containers": [{"cpu": "1"}], "initContainers": [{"cpu": "2"}, {"cpu": "1"}]}, 2000),
        ({"containers": [{"cpu": "1"}], "initContainers": [{"cpu": "1", "sidecar": True}]}, 2000),
        ({"containers": [{"cpu": "1"}], "initContainers": [{"cpu": "1", "sidecar": True}, {"cpu": "2"}]}, 3000),
        ({"containers": [{"cpu": "1"}], "initContainers": [{"cpu": "2"}, {"cpu": "1", "sidecar": True}]}, 2000),
        ({"containers": [{"cpu": "1"}], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [{"cpu": "1"}], "resources": {"requests": {"cpu": "3"}}}, 3000),
    ],
)
def test_what_a_pod_asks_for(spec: dict[str, Any], expected: int) -> None:
    def container(short: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"resources": {"requests": {"cpu": short["cpu"]}}}
        return {**made, "restartPolicy": "Always"} if short.get("sidecar") else made

    full = {k: [container(c) for c in v] if k in ("containers", "initContainers") else v for k, v in spec.items()}
    assert pod_requests(full)["cpu"] == expected


def test_strategies_of_the_fit_plugin() -> None:
    world = cluster(node("n"), pod(on="n", cpu="2", memory="4Gi"), node("m"))
    most = {"NodeResourcesFit": {"scoringStrategy": {"type": "MostAllocated"}}}
    assert chosen(pod(cpu="1", memory="2Gi"), world, Profile.of(DEFAULT_PROFILE, args=most)) == {"n"}
    shape = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
    ratio = {"scoringStrategy": {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": shape}}}
    assert chosen(pod(cpu="1", memory="2Gi"), world, Profile.of(DEFAULT_PROFILE, args={"NodeResourcesFit": ratio})) == {
        "n"
    }


# volumes


def claim(name: str = "c", *, volume: str = "", cls: str = "late", **more: Any) -> dict[str, Any]:
    annotations = {"pv.kubernetes.io/bind-completed": "yes"} if volume else {}
    spec = {"volumeName": volume, "storageClassName": cls, "accessModes": ["ReadWriteOnce"]}
    spec["resources"] = {"requests": {"storage": "1Gi"}}  # type: ignore[assignment]
    return {"metadata": {"name": name, "namespace": "default", "annotations": annotations}, "spec": {**spec, **more}}


def volume(name: str, on: str, **more: Any) -> dict[str, Any]:
    expressions = [{"key": HOST, "operator": "In", "values": [on]}]
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "late",
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}},
            **more,
        },
        "status": {"phase": "Available"},
    }


LATE = {
    "metadata": {"name": "late"},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}
RESERVED = volume("pv", "m", claimRef={"namespace": "default", "name": "c"})
FAST = volume("pv", "m", volumeAttributesClassName="fast")
DYNAMIC = {**LATE, "provisioner": "example.com/disk"}
WITH_CLAIM = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (Listed(PersistentVolumeClaim=[claim(volume="pv")], PersistentVolume=[volume("pv", "m")]), {"m"}),
        (Listed(PersistentVolumeClaim=[claim()], StorageClass=[LATE], PersistentVolume=[volume("pv", "m")]), {"m"}),
        (Listed(PersistentVolumeClaim=[claim()], StorageClass=[DYNAMIC]), {"n", "m"}),
        (
            Listed(PersistentVolumeClaim=[claim()], StorageClass=[LATE], PersistentVolume=[RESERVED, volume("v", "n")]),
            {"m"},
        ),
        (
            Listed(PersistentVolumeClaim=[claim()], StorageClass=[LATE], PersistentVolume=[FAST, volume("v", "n")]),
            {"n"},
        ),
    ],
)
def test_volumes_choose_the_node(listed: Listed, expected: set[str]) -> None:
    assert chosen(pod(**WITH_CLAIM), cluster(node("n"), node("m"), listers=listed)) == expected


def room(where: str, **amounts: str) -> dict[str, Any]:
    topology = {"matchLabels": {HOST: where}}
    return {"metadata": {"name": where}, "storageClassName": "late", "nodeTopology": topology, **amounts}


TELLS = {"metadata": {"name": "example.com/disk"}, "spec": {"storageCapacity": True}}


@pytest.mark.parametrize(
    ("capacities", "expected"),
    [
        ([room("n", capacity="5Gi"), room("m", capacity="100Mi")], {"n"}),
        ([room("n", capacity="5Gi", maximumVolumeSize="100Mi"), room("m", capacity="1Gi")], {"m"}),
        ([{**room("n", capacity="5Gi"), "storageClassName": "other"}, room("m", capacity="1Gi")], {"m"}),
    ],
)
def test_a_volume_is_made_where_its_driver_has_room(capacities: list[Any], expected: set[str]) -> None:
    listed = Listed(
        PersistentVolumeClaim=[claim()], StorageClass=[DYNAMIC], CSIDriver=[TELLS], CSIStorageCapacity=capacities
    )
    assert chosen(pod(**WITH_CLAIM), cluster(node("n"), node("m"), listers=listed)) == expected


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (
            Listed(PersistentVolumeClaim=[claim()], StorageClass=[DYNAMIC], CSIDriver=[TELLS]),
            " 1 node(s) did not have enough free storage.",
        ),
        (Listed(), ' persistentvolumeclaim "c" not found.'),
        (Listed(PersistentVolumeClaim=[claim(cls="fast")]), " pod has unbound immediate PersistentVolumeClaims."),
        (
            Listed(PersistentVolumeClaim=[claim()], StorageClass=[LATE]),
            " 1 node(s) didn't find available persistent volumes to bind.",
        ),
        (
            Listed(PersistentVolumeClaim=[claim(volume="pv")], PersistentVolume=[volume("pv", "elsewhere")]),
            " 1 node(s) had volume node affinity conflict.",
        ),
        (
            Listed(PersistentVolumeClaim=[claim(volume="pv")]),
            " 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).",
        ),
    ],
)
def test_volumes_that_cannot_be_had(listed: Listed, message: str) -> None:
    told = why(pod(**WITH_CLAIM), cluster(node("n"), listers=listed))
    assert told == f"0/1 nodes are available:{message} {CLAIMLESS}{USELESS}"


def test_a_claim_for_one_pod_is_used_once() -> None:
    once = claim(volume="pv", accessModes=["ReadWriteOncePod"])
    listed = Listed(PersistentVolumeClaim=[once], PersistentVolume=[volume("pv", "n")])
    world = cluster(node("n"), pod(on="n", **WITH_CLAIM), listers=listed)
    assert "ReadWriteOncePod access mode already in-use by another pod" in why(pod(**WITH_CLAIM), world)


class Volumes:
    """Stands for the writer and the volume controller: what is claimed or selected is bound at the next look."""

    def __init__(self, listed: Listed) -> None:
        self.listed = listed
        self.claimed: list[tuple[str, str]] = []
        self.selected: list[tuple[str, str]] = []

    async def claim_volume(self, volume: dict[str, Any], claim: dict[str, Any]) -> None:
        self.claimed.append((volume["metadata"]["name"], claim["metadata"]["name"]))

    async def select_node(self, claim: dict[str, Any], node: str) -> None:
        self.selected.append((claim["metadata"]["name"], node))

    async def claims_changed(self) -> None:
        for bound in self.listed.kinds["PersistentVolumeClaim"]:
            bound["spec"]["volumeName"] = "pv"
            bound["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes"


async def test_a_waiting_claim_is_bound_before_the_pod_is() -> None:
    listed = Listed(PersistentVolumeClaim=[claim()], StorageClass=[LATE], PersistentVolume=[volume("pv", "n")])
    world, wanted = cluster(node("n"), listers=listed), pod(**WITH_CLAIM)
    plugin, writer = VolumeBinding({}), Volumes(listed)
    plugin.writer = writer
    info = world.node("n")
    assert info is not None and plugin.reserve(wanted, info, world) is None
    # the volume is spoken for: a second pod with a claim of its own finds none
    listed.kinds["PersistentVolumeClaim"].append(claim("other"))
    second = pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "other"}}])
    check = plugin.filter(second, world)
    assert callable(check) and check(info) is not None
    assert await plugin.pre_bind(wanted, "n") is None
    assert (writer.claimed, writer.selected) == ([("pv", "c")], [])


async def test_a_claim_to_be_provisioned_is_told_its_node() -> None:
    listed = Listed(PersistentVolumeClaim=[claim()], StorageClass=[DYNAMIC])
    world, wanted = cluster(node("n"), listers=listed), pod(**WITH_CLAIM)
    plugin, writer = VolumeBinding({}), Volumes(listed)
    plugin.writer = writer
    info = world.node("n")
    assert info is not None and plugin.reserve(wanted, info, world) is None
    assert await plugin.pre_bind(wanted, "n") is None
    assert (writer.claimed, writer.selected) == ([], [("c", "n")])


async def test_a_node_that_the_provisioner_cannot_serve_is_given_up() -> None:
    class Helpless(Volumes):
        """A provisioner that takes the node's name off the claim again, once it has been seen there."""

        async def claims_changed(self) -> None:
            annotations = self.listed.kinds["PersistentVolumeClaim"][0]["metadata"]["annotations"]
            if annotations.pop("volume.kubernetes.io/selected-node", "") == "":
                annotations["volume.kubernetes.io/selected-node"] = "n"

    listed = Listed(PersistentVolumeClaim=[claim()], StorageClass=[DYNAMIC])
    world, wanted = cluster(node("n"), listers=listed), pod(**WITH_CLAIM)
    plugin = VolumeBinding({})
    plugin.writer = Helpless(listed)
    info = world.node("n")
    assert info is not None and plugin.reserve(wanted, info, world) is None
    rejection = await plugin.pre_bind(wanted, "n")
    assert rejection is not None and rejection.message == 'binding volumes: provisioning failed for PVC "c"'


async def test_a_claim_that_is_not_bound_in_time_gives_up() -> None:
    class Idle(Volumes):
        async def claims_changed(self) -> None:
            await asyncio.Event().wait()

    listed = Listed(PersistentVolumeClaim=[claim()], StorageClass=[DYNAMIC])
    world, wanted = cluster(node("n"), listers=listed), pod(**WITH_CLAIM)
    plugin = VolumeBinding({"bindTimeoutSeconds": 0.05})
    plugin.writer = Idle(listed)
    info = world.node("n")
    assert info is not None and plugin.reserve(wanted, info, world) is None
    rejection = await plugin.pre_bind(wanted, "n")
    assert rejection is not None and rejection.message == "binding volumes: context deadline exceeded"
