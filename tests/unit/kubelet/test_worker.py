"""Pod workers on the simulated runtime: whole lives of pods, with a clock that tests move."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.build import NodeFacts
from kubelet.containers.hooks import HookRunner
from kubelet.containers.httpget import http_client
from kubelet.dra.plugins import DraError
from kubelet.images.manager import ImageManager
from kubelet.pods.killer import Exits, Killer
from kubelet.pods.kit import Kit
from kubelet.pods.manager import PodManager
from kubelet.pods.metrics import REGISTRY as PODS
from kubelet.pods.mounts import ClusterDns, PodMounts
from kubelet.pods.objects import NoObjects
from kubelet.pods.pulls import PodImages
from kubelet.pods.room import NoVictims, Preemption
from kubelet.pods.services import NoServices
from kubelet.pods.starter import ContainerStarter
from kubelet.probes.manager import ProbeManager
from kubelet.probes.prober import Prober
from kubelet.runtime.protocol import RuntimeUnavailable
from kubelet.runtime.simulated import SimulatedRuntime
from kubelet.volumes.image import ImageVolumes
from kubelet.volumes.manager import VolumeManager
from kubelet.volumes.tokens import NoTokens
from kubeling.api.meta import Key
from kubeling.client.clock import Clock, SystemClock


class Events:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
        self.told.append((reason, message))

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.told]


class Engine(SimulatedRuntime):
    """Its containers hear signals when ``hearing`` is set."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.hearing = asyncio.Event()
        self.hearing.set()

    async def signal(self, container_id: str, signal: str) -> None:
        await self.hearing.wait()
        await super().signal(container_id, signal)


class World:
    """One kubelet without API server: the last status of each pod, all statuses in turn, and those whose end was reported."""

    def __init__(self, folder: Path) -> None:
        clock, self.events = SystemClock(), Events()
        self.runtime = Engine(clock)
        self.statuses: dict[str, dict[str, Any]] = {}
        self.told: list[dict[str, Any]] = []
        self.finished: list[str] = []
        self.http = http_client()
        runtime: Any = self.runtime
        node = NodeFacts("n1", "192.0.2.1", "cluster.local", 1 << 30, folder)
        hooks, exits = HookRunner(runtime, clock, self.http, self.events), Exits(clock)
        starter = ContainerStarter(
            runtime=runtime, services=NoServices(), objects=NoObjects(), recorder=self.events, hooks=hooks, node=node,
            images=PodImages(ImageManager(runtime, clock), NoObjects(), self.events, ImageVolumes(runtime, may_mount=False)),
            mounts=PodMounts(folder, node, ClusterDns(("192.0.2.10",), "cluster.local", folder / "none"), may_mount=False),
        )  # fmt: skip
        volumes = VolumeManager(folder, objects=NoObjects(), tokens=NoTokens(), recorder=self.events, clock=clock)
        self.kit = Kit(
            runtime=runtime, starter=starter, killer=Killer(runtime, hooks, self.events, clock, exits, "192.0.2.1"),
            exits=exits, volumes=volumes,
            probes=ProbeManager(Prober(runtime, self.http), self.events, clock), recorder=self.events, clock=clock, node=node,
            pods_folder=folder, publish=self._publish, finish=self._finish, release=lambda uid: None,
        )  # fmt: skip
        self.pods = PodManager(self.kit, self._admit, lambda: True, self._know_node, self._victims)
        self.room: Callable[[list[Any]], Preemption] = lambda others: Preemption()
        self.refusal: tuple[str, str] | None = None
        self.after_look: tuple[str, str] | None = None

    def _admit(self, pod: Any, others: Any) -> tuple[str, str] | None:
        return self.refusal

    def _victims(self, pod: Any, others: list[Any]) -> Preemption:
        return self.room(others)

    async def _know_node(self) -> None:
        self.refusal = self.after_look

    def _publish(self, pod: Any, status: Any) -> None:
        self.statuses[pod["metadata"]["uid"]] = status
        self.told.append(status)

    async def _finish(self, pod: Any, status: Any) -> None:
        self.finished.append(pod["metadata"]["uid"])

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)

    def phase(self, uid: str = "u1") -> str:
        return str(self.statuses.get(uid, {}).get("phase"))


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    follower = asyncio.create_task(world.pods.follow_runtime())
    yield world
    follower.cancel()
    await world.pods.close()
    await world.http.aclose()


def pod(image: str = "app:1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
        "spec": {"containers": [{"name": "c", "image": image}], "terminationGracePeriodSeconds": 1, **spec},
    }


def deleted(given: dict[str, Any], grace: int = 1) -> dict[str, Any]:
    metadata = {**given["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace}
    return {**given, "metadata": metadata}


async def test_a_pod_runs_and_goes(world: World, tmp_path: Path) -> None:
    world.pods.put(pod())
    await world.until(lambda: world.phase() == "Running")
    assert world.events.reasons == ["Pulled", "Created", "Started"]
    await world.until(lambda: world.statuses["u1"]["containerStatuses"][0]["ready"])
    world.pods.put(deleted(pod()))
    await world.until(lambda: world.finished == ["u1"])
    assert ("Killing", "Stopping container c") in world.events.told
    assert world.phase() == "Failed"  # the simulated container ends with 143
    assert await world.runtime.pods() == {}
    assert list(tmp_path.iterdir()) == []
    assert world.pods.pods() == []


async def test_a_job_completes_and_stays_until_deleted(world: World) -> None:
    given = pod("done/exit:0", restartPolicy="Never")
    world.pods.put(given)
    await world.until(lambda: world.phase() == "Succeeded")
    assert (await world.runtime.pods())["u1"].containers
    world.pods.put(deleted(given))
    await world.until(lambda: world.finished == ["u1"])


async def test_a_crash_loop_backs_off(world: World) -> None:
    world.pods.put(pod("bad/exit:3"))
    await world.until(lambda: "BackOff" in world.events.reasons)
    entry = world.statuses["u1"]["containerStatuses"][0]
    assert entry["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 10s restarting failed container=c pod=p_ns(u1)",
    }
    assert entry["lastState"]["terminated"]["exitCode"] == 3
    assert entry["restartCount"] == 1
    assert ("BackOff", "Back-off restarting failed container c in pod p_ns(u1)") in world.events.told


@pytest.mark.parametrize("policy", ["Always", "Never"])
async def test_a_changed_image_is_run_whatever_the_policy(world: World, policy: str) -> None:
    world.pods.put(pod(restartPolicy=policy))
    await world.until(lambda: world.phase() == "Running")
    world.pods.put(pod("app:2", restartPolicy=policy))
    await world.until(lambda: world.statuses["u1"]["containerStatuses"][0]["restartCount"] == 1)
    await world.until(lambda: "running" in world.statuses["u1"]["containerStatuses"][0]["state"])
    assert world.phase() == "Running"
    told = [e for e in world.events.told if e[0] in ("Killing", "Started", "BackOff")]
    assert told == [
        ("Started", "Container started"),
        ("Killing", "Container c definition changed, will be restarted"),
        ("Started", "Container started"),
    ]


async def test_nobody_sees_a_container_ended_that_is_killed_to_run_anew(world: World) -> None:
    world.pods.put(pod("app:1"))
    await world.until(lambda: world.phase() == "Running")
    world.pods.put(pod("app:2"))
    await world.until(lambda: world.statuses["u1"]["containerStatuses"][0]["restartCount"] == 1)
    entry = world.statuses["u1"]["containerStatuses"][0]
    assert (entry["image"], entry["lastState"]["terminated"]["exitCode"]) == ("app:2", 143)
    assert not [s for s in world.told if "terminated" in s["containerStatuses"][0]["state"]]


async def test_a_container_that_ends_before_the_others_of_its_pod_is_told_at_once(world: World) -> None:
    slow = {"name": "slow", "image": "app:1", "lifecycle": {"preStop": {"sleep": {"seconds": 1000}}}}
    given = pod(containers=[{"name": "quick", "image": "app:1"}, slow], terminationGracePeriodSeconds=1000)

    def ready() -> list[str]:
        return [c["name"] for c in world.statuses.get("u1", {}).get("containerStatuses", ()) if c["ready"]]

    world.pods.put(given)
    await world.until(lambda: ready() == ["quick", "slow"])
    world.pods.put(deleted(given, 1000))
    await world.until(lambda: ready() == ["slow"])
    status = world.statuses["u1"]
    assert (status["phase"], world.finished) == ("Running", [])
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    conditions = {c["type"]: c for c in status["conditions"]}
    assert conditions["Ready"]["message"] == "containers with unready status: [quick]"
    hurried = deleted(given, 0)
    hurried["spec"] = {**hurried["spec"], "terminationGracePeriodSeconds": 0}
    world.pods.put(hurried)
    await world.until(lambda: world.finished == ["u1"])


async def test_an_image_that_cannot_be_had_is_told_as_the_containers_error_too(world: World) -> None:
    labels = {"container_type": "container", "code": "InvalidImageName"}
    before = PODS.get_sample_value("kubelet_started_containers_errors_total", labels) or 0.0
    started = PODS.get_sample_value("kubelet_started_containers_total", {"container_type": "container"}) or 0.0
    world.pods.put(pod("not a name"))
    await world.until(lambda: ("Failed", "Error: InvalidImageName") in world.events.told)
    await world.until(lambda: "containerStatuses" in world.statuses["u1"])
    assert PODS.get_sample_value("kubelet_started_containers_errors_total", labels) == before + 1
    assert PODS.get_sample_value("kubelet_started_containers_total", {"container_type": "container"}) == started + 1
    assert world.events.reasons[0] == "InspectFailed"


async def test_image_volumes_are_counted(world: World) -> None:
    def counted(name: str) -> float:
        return PODS.get_sample_value(f"kubelet_image_volume_{name}_total") or 0.0

    before = counted("requested"), counted("mounted_succeed"), counted("mounted_errors")
    container = {"name": "c", "image": "app:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    world.pods.put(pod(containers=[container], volumes=[{"name": "v", "image": {"reference": "data:1"}}]))
    await world.until(lambda: world.phase() == "Running")
    after = counted("requested"), counted("mounted_succeed"), counted("mounted_errors")
    assert after == (before[0] + 1, before[1] + 1, before[2])


async def test_a_refused_pod_fails(world: World) -> None:
    world.refusal = ("OutOfcpu", "no room")
    world.pods.put(pod())
    await world.until(lambda: world.phase() == "Failed")
    assert (world.statuses["u1"]["reason"], world.statuses["u1"]["message"]) == (
        "OutOfcpu",
        "Pod was rejected: no room",
    )
    assert ("OutOfcpu", "no room") in world.events.told
    assert await world.runtime.pods() == {}


async def test_a_label_set_just_before_is_seen(world: World) -> None:
    """The first view of the node may be old: what rests on its labels and taints is judged again by its newest version."""
    world.refusal = ("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match")
    world.pods.put(pod())
    await world.until(lambda: world.phase() == "Running")
    assert "NodeAffinity" not in world.events.reasons
    world.refusal = world.after_look = ("TaintToleration", "Predicate TaintToleration failed: why")
    second = pod()
    second["metadata"] = {"name": "q", "namespace": "ns", "uid": "u2"}
    world.pods.put(second)
    await world.until(lambda: world.phase("u2") == "Failed")
    assert world.statuses["u2"]["reason"] == "TaintToleration"


def named(uid: str, **spec: Any) -> dict[str, Any]:
    return {**pod(**spec), "metadata": {"name": uid, "namespace": "ns", "uid": uid}}


async def test_a_critical_pod_begins_when_those_that_make_room_have_ended(world: World) -> None:
    world.runtime.hearing.clear()
    world.pods.put(named("victim"))
    await world.until(lambda: world.phase("victim") == "Running")
    before = PODS.get_sample_value("kubelet_preemptions_total", {"preemption_signal": "cpu"}) or 0.0
    world.room = lambda others: Preemption(tuple(others), "cpu")
    world.pods.put(named("critical"))
    world.room = lambda others: Preemption()
    world.pods.put(named("other"))
    await world.until(lambda: world.phase("other") == "Running")  # it does not wait for anybody
    assert "critical" not in world.statuses and world.phase("victim") == "Running"
    assert ("Preempting", "Preempted in order to admit critical pod") in world.events.told
    world.runtime.hearing.set()
    await world.until(lambda: world.phase("critical") == "Running")
    status = world.statuses["victim"]
    assert (status["phase"], status["reason"]) == ("Failed", "Preempting")
    assert status["message"] == "Preempted in order to admit critical pod"
    (target,) = [c for c in status["conditions"] if c["type"] == "DisruptionTarget"]
    assert (target["reason"], target["message"]) == (
        "TerminationByKubelet",
        "Pod was preempted by Kubelet to accommodate a critical pod.",
    )
    assert PODS.get_sample_value("kubelet_preemptions_total", {"preemption_signal": "cpu"}) == before + 1


async def test_a_critical_pod_that_goes_while_others_make_room_does_not_wait(world: World) -> None:
    world.runtime.hearing.clear()
    world.pods.put(named("victim"))
    await world.until(lambda: world.phase("victim") == "Running")
    world.room = lambda others: Preemption(tuple(others), "cpu")
    world.pods.put(named("critical"))
    world.pods.put(deleted(named("critical")))
    await world.until(lambda: world.finished == ["critical"])


async def test_without_enough_victims_a_critical_pod_is_refused(world: World) -> None:
    def nobody(others: list[Any]) -> Preemption:
        raise NoVictims("preemption: why")

    world.pods.put(named("other"))
    world.room = nobody
    world.pods.put(named("critical"))
    await world.until(lambda: world.phase("critical") == "Failed" and world.phase("other") == "Running")
    message = "Unexpected error while attempting to recover from admission failure: preemption: why"
    assert ("UnexpectedAdmissionError", message) in world.events.told
    assert world.statuses["critical"]["message"] == f"Pod was rejected: {message}"


async def test_missing_volume_is_told_and_retried(world: World) -> None:
    container = {"name": "c", "image": "app:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    world.pods.put(pod(containers=[container], volumes=[{"name": "v", "configMap": {"name": "gone"}}]))
    await world.until(lambda: world.events.reasons.count("FailedMount") > 1)
    assert world.statuses["u1"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"


async def test_a_lost_sandbox_brings_a_new_one(world: World) -> None:
    world.pods.put(pod())
    await world.until(lambda: world.phase() == "Running")
    record = (await world.runtime.pods())["u1"]
    await world.runtime.remove_sandbox(record.sandboxes[0].id)
    await world.runtime.signal(record.containers[0].id, "SIGKILL")
    await world.until(lambda: "Started" in world.events.reasons[3:])
    assert (await world.runtime.pods())["u1"].sandbox is not None


async def test_unknown_containers_are_removed(world: World) -> None:
    world.pods.put(pod())
    await world.until(lambda: world.phase() == "Running")
    await world.pods.close()
    for _ in range(2):  # what is unknown at two looks goes
        await world.pods._collect_orphans(await world.runtime.pods())
    assert await world.runtime.pods() == {}


async def test_an_engine_that_is_away_is_no_fault_of_the_pod(world: World) -> None:
    """No event and no back-off; the pod starts as soon as the workers are told that the engine answers."""
    asked = asyncio.Event()

    class Away(SimulatedRuntime):
        gone = True

        async def run_sandbox(self, spec: Any) -> Any:
            if self.gone:
                asked.set()
                raise RuntimeUnavailable("the engine does not answer")
            return await super().run_sandbox(spec)

    world.runtime.__class__ = Away
    world.pods.put(pod())
    await asyncio.wait_for(asked.wait(), 5)
    await world.until(lambda: world.phase() == "Pending")
    world.runtime.gone = False  # type: ignore[attr-defined]
    world.pods.runtime_error = "the engine does not answer"
    relist = asyncio.create_task(world.pods.relist())
    await world.until(lambda: world.phase() == "Running")
    relist.cancel()
    assert [r for r in world.events.reasons if r.startswith("Failed")] == []


async def test_an_engine_that_falls_silent_is_a_problem_of_the_node(world: World) -> None:
    silence = asyncio.Event()

    class Silent(SimulatedRuntime):
        async def pods(self) -> Any:
            await silence.wait()
            return await super().pods()

    class Later(SystemClock):
        seconds = 0.0

        def monotonic(self) -> float:
            return self.seconds

    world.runtime.__class__ = Silent
    clock = Later()
    manager = PodManager(dataclasses.replace(world.kit, clock=clock), world._admit, lambda: True)
    relist = asyncio.create_task(manager.relist())
    clock.seconds = 180.0
    assert manager.problem == ""
    clock.seconds = 182.5
    assert manager.problem == "PLEG is not healthy: pleg was last seen active 3m2.5s ago; threshold is 3m0s"
    silence.set()
    await world.until(lambda: manager.problem == "")
    relist.cancel()


async def test_what_a_resolver_does_not_take_in_is_told(world: World) -> None:
    servers = [f"192.0.2.{n}" for n in range(5)]
    world.pods.put(pod(dnsConfig={"nameservers": servers}))
    await world.until(lambda: world.phase() == "Running")
    line = "192.0.2.10 192.0.2.0 192.0.2.1"
    assert world.events.told[0] == (
        "DNSConfigForming",
        f"Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {line}",
    )


def static(name: str, uid: str, image: str = "app:1") -> dict[str, Any]:
    given = pod(image)
    annotations = {"kubernetes.io/config.source": "file", "kubernetes.io/config.hash": uid}
    return {**given, "metadata": {"name": name, "namespace": "ns", "uid": uid, "annotations": annotations}}


async def test_a_static_pod_begins_when_the_one_of_its_name_has_gone(world: World) -> None:
    world.pods.put(static("s", "u1"))
    await world.until(lambda: world.phase("u1") == "Running")
    world.pods.drop(static("s", "u1"))
    world.pods.put(static("s", "u2", "app:2"))
    world.pods.put(static("other", "u3"))
    await world.until(lambda: world.phase("u2") == "Running")
    told = [reason for reason, _ in world.events.told]
    assert told.index("Killing") < len(told) - 1 - told[::-1].index("Started")
    assert "u1" not in await world.runtime.pods()
    await world.until(lambda: world.phase("u3") == "Running")


async def test_a_manifest_that_comes_back_at_once_runs_again(world: World) -> None:
    world.pods.put(static("s", "u1"))
    await world.until(lambda: world.phase("u1") == "Running")
    first = (await world.runtime.pods())["u1"].containers[0].id
    world.pods.drop(static("s", "u1"))
    world.pods.put(static("s", "u1"))
    await world.until(lambda: world.events.reasons.count("Started") == 2)
    assert first not in [c.id for c in (await world.runtime.pods())["u1"].running]
    await world.until(lambda: world.statuses["u1"]["containerStatuses"][0]["restartCount"] == 1)
    world.pods.drop(static("s", "u1"))
    world.pods.put(static("s", "u1"))
    world.pods.drop(static("s", "u1"))
    await world.until(lambda: world.pods.pods() == [])
    assert await world.runtime.pods() == {}


async def test_a_name_is_leaving_until_its_pod_is_over(world: World) -> None:
    ends: list[bool] = []
    key = Key("ns", "s")
    world.pods.follow_ends(lambda: ends.append(world.pods.leaving(key)))
    world.pods.put(static("s", "u1"))
    await world.until(lambda: world.phase("u1") == "Running")
    assert not world.pods.leaving(key)
    world.pods.drop(static("s", "u1"))
    assert world.pods.leaving(key)
    world.pods.put(static("s", "u2"))
    assert world.pods.leaving(key)
    await world.until(lambda: ends)
    assert ends == [False]


class Drivers:
    """Claims of pods, in the order of what happens to them; ``problem`` keeps them from being ready."""

    def __init__(self) -> None:
        self.problem = "prepare dynamic resources: DRA driver d is not registered"
        self.done: list[str] = []

    async def prepare(self, pod: Any) -> None:
        if self.problem:
            raise DraError(self.problem)
        self.done.append("prepared")

    async def unprepare(self, pod: Any) -> None:
        if self.problem:
            raise DraError(self.problem)
        self.done.append("given back")


async def test_devices_are_prepared_before_anything_is_made_and_given_back_after(world: World) -> None:
    drivers = Drivers()
    world.kit = dataclasses.replace(world.kit, claims=drivers)
    world.pods = PodManager(world.kit, lambda pod, others: None, lambda: True)
    world.pods.put(pod())
    told = ("FailedPrepareDynamicResources", f"Failed to prepare dynamic resources: {drivers.problem}")
    await world.until(lambda: world.events.told.count(told) > 1)
    assert await world.runtime.pods() == {}
    assert world.statuses["u1"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    drivers.problem = ""
    await world.until(lambda: world.phase() == "Running")
    drivers.problem = "unprepare dynamic resources: DRA driver d is not registered"
    world.pods.put(deleted(pod()))
    await world.until(lambda: "FailedKillPod" in world.events.reasons)
    assert world.phase() == "Running"  # not over before its devices are given back
    drivers.problem = ""
    await world.until(lambda: world.finished == ["u1"])
    assert drivers.done == ["prepared", "given back"]
    await world.pods.close()
