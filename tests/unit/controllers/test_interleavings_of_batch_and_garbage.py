"""Jobs, cron jobs, the garbage collector and endpoint slices come to the right end, however things are interleaved."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given

from controllers.cronjob import CONTROLLER as CRON_JOB
from controllers.endpoints import ENDPOINT_SLICE
from controllers.garbagecollector import CONTROLLER as GARBAGE_COLLECTOR
from controllers.job import CONTROLLER as JOB
from controllers.job import indexes
from controllers.job.finish import is_finished
from controllers.job.jobpods import index_of
from kubeling.api.meta import Object, has_condition, is_deleting, labels_of, name_of, owner_reference, rfc3339, uid_of
from kubeling.api.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    ENDPOINT_SLICES,
    JOBS,
    NODES,
    PODS,
    SERVICES,
)
from tests.unit.controllers.fakeapi import Id
from tests.unit.controllers.interleaving import RULES, Step, Story, harm, living, pick, play, steps
from tests.unit.controllers.world import World

COMPLETIONS = 6


class JobStory(Story):
    """``harmed``: how many of its pods failed or were deleted by somebody else."""

    controllers = (JOB,)
    actions = ("fail", "delete", "ready", "succeed", "succeed", "suspend", "resume")
    writes_a_step = 6 * COMPLETIONS
    mode = "NonIndexed"

    def __init__(self) -> None:
        self.harmed = 0
        self.suspended = False

    def begin(self, w: World) -> None:
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "one"}]}
        spec = {
            "parallelism": 3,
            "completions": COMPLETIONS,
            "completionMode": self.mode,
            "backoffLimit": 1000,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod},
        }
        w.create(JOBS, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        self.harmed += bool(living(w)) and action in ("fail", "delete")
        if harm(w, action, choice):
            return
        if action in ("suspend", "resume"):
            self.suspended = True
            w.api.update(JOBS, "ns", "x", lambda job: job["spec"].update(suspend=action == "suspend"))
        elif (pod := pick(living(w), choice)) is not None:
            w.set_status(pod, phase="Succeeded")

    def kubelets(self, w: World) -> None:
        w.finish_deleted()
        for pod in living(w):
            w.set_status(pod, phase="Succeeded" if (pod.get("status") or {}).get("phase") else "Running")

    def end(self, w: World) -> None:
        w.api.update(JOBS, "ns", "x", lambda job: job["spec"].update(suspend=False))

    def check(self, w: World) -> None:
        status = w.get(JOBS, "x")["status"]
        assert has_condition({"status": status}, "Complete") and has_condition({"status": status}, "SuccessCriteriaMet")
        assert status["succeeded"] == COMPLETIONS
        # a pod that fails in the moment in which a suspended job lets go of it counts for nothing
        assert status.get("failed", 0) <= self.harmed if self.suspended else status.get("failed", 0) == self.harmed
        assert not status.get("active") and not status["ready"] and not status["terminating"]
        assert status["uncountedTerminatedPods"] == {} and status["completionTime"]
        assert status.get("completedIndexes", "0-5") == "0-5"
        assert not [p for p in w.pods() if p["metadata"].get("finalizers")]


class IndexedJobStory(JobStory):
    mode = "Indexed"


class PerIndexJobStory(Story):
    """Each index may fail once more, never with exit code 42, and code 7 is ignored; indexes 0 and 1 are enough.

    ``failed``: the exit codes with which each index failed, as the pretended kubelets reported them.
    """

    controllers = (JOB,)
    actions = ("fail", "fail", "succeed", "succeed", "ready", "delete", "suspend", "resume")
    writes_a_step = 8 * COMPLETIONS
    codes = (1, 1, 42, 7)

    def __init__(self) -> None:
        self.failed: dict[int, list[int]] = {}

    def begin(self, w: World) -> None:
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "one"}]}
        rules = [
            {"action": action, "onExitCodes": {"operator": "In", "values": [code]}}
            for action, code in (("FailIndex", 42), ("Ignore", 7))
        ]
        spec = {
            "parallelism": 3,
            "completions": COMPLETIONS,
            "completionMode": "Indexed",
            "backoffLimit": 2**31 - 1,
            "backoffLimitPerIndex": 1,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": rules},
            "successPolicy": {"rules": [{"succeededIndexes": "0-1"}]},
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod},
        }
        w.create(JOBS, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        pod = pick(living(w), choice)
        if action in ("suspend", "resume"):
            w.api.update(JOBS, "ns", "x", lambda job: job["spec"].update(suspend=action == "suspend"))
        elif pod is None:
            return
        elif action == "fail":
            self._fail(w, pod, self.codes[choice % len(self.codes)])
        elif action == "succeed":
            w.set_status(pod, phase="Succeeded")
        else:
            harm(w, action, choice)

    def _fail(self, w: World, pod: Object, code: int) -> None:
        self.failed.setdefault(index_of(pod) or 0, []).append(code)
        ended = {"exitCode": code, "finishedAt": rfc3339(w.clock.now())}
        w.set_status(pod, phase="Failed", containerStatuses=[{"name": "c", "state": {"terminated": ended}}])

    def kubelets(self, w: World) -> None:
        """Deleted pods end by their signal; the others do their work."""
        for pod in w.pods():
            if is_deleting(pod) and (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded"):
                self._fail(w, pod, 143)
        w.finish_deleted()
        for pod in living(w):
            w.set_status(pod, phase="Succeeded" if (pod.get("status") or {}).get("phase") else "Running")

    def end(self, w: World) -> None:
        w.api.update(JOBS, "ns", "x", lambda job: job["spec"].update(suspend=False))

    def check(self, w: World) -> None:
        status = w.get(JOBS, "x")["status"]
        completed = indexes.parse(status.get("completedIndexes"), COMPLETIONS)
        lost = indexes.parse(status.get("failedIndexes"), COMPLETIONS)
        assert not completed & lost
        for index in lost:  # nothing is given up that had not failed often enough, or for good
            codes = self.failed.get(index, [])
            assert 42 in codes or sum(code != 7 for code in codes) >= 2, (index, codes)
        if has_condition({"status": status}, "Complete"):
            assert {0, 1} <= completed and status["completionTime"]
        else:
            assert has_condition({"status": status}, "Failed") and lost
        assert not status.get("active") and not status["ready"] and not status["terminating"]
        assert status["uncountedTerminatedPods"] == {}
        assert not [p for p in w.pods() if p["metadata"].get("finalizers")]
        self._one_pod_an_index(w)

    def _one_pod_an_index(self, w: World) -> None:
        """At no moment has an index two pods that have not ended."""
        running: dict[int, set[str]] = {}
        for _, type_, ident, obj in w.api.history:
            if ident[1] != "pods":
                continue
            holders = running.setdefault(index_of(obj) or 0, set())
            over = type_ == "DELETED" or (obj.get("status") or {}).get("phase") in ("Failed", "Succeeded")
            (holders.discard if over else holders.add)(ident[3])
            assert len(holders) <= 1, holders


class CronJobStory(Story):
    controllers = (CRON_JOB,)
    actions = ("wait", "wait", "complete", "fail", "suspend", "resume", "delete")
    writes_a_step = 12
    turns = (0,)  # a crash between a job's creation and the status may let a second one run, upstream too
    policy = "Allow"

    def begin(self, w: World) -> None:
        spec = {
            "schedule": "*/5 * * * *",
            "concurrencyPolicy": self.policy,
            "jobTemplate": {"metadata": {"labels": {"app": "x"}}, "spec": {"template": {"spec": {}}}},
            "successfulJobsHistoryLimit": 2,
            "failedJobsHistoryLimit": 1,
        }
        w.create(CRON_JOBS, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        running = [job for job in w.api.all(JOBS) if not is_finished(job)]
        if action == "wait":
            await w.clock.advance(60.0 * choice)
        elif action in ("suspend", "resume"):
            w.api.update(CRON_JOBS, "ns", "x", lambda owner: owner["spec"].update(suspend=action == "suspend"))
        elif (job := pick(running, choice)) is not None:
            if action == "delete":
                w.api.delete(JOBS, "ns", name_of(job))
            else:
                self._finish(w, job, "Complete" if action == "complete" else "Failed")

    def _finish(self, w: World, job: Object, type_: str) -> None:
        status = {"conditions": [{"type": type_, "status": "True"}], "startTime": rfc3339(w.clock.now())}
        if type_ == "Complete":
            status["completionTime"] = rfc3339(w.clock.now())
        w.api.update(JOBS, "ns", name_of(job), lambda obj: obj.update(status=status))

    def end(self, w: World) -> None:
        w.api.update(CRON_JOBS, "ns", "x", lambda owner: owner["spec"].update(suspend=True))

    def check(self, w: World) -> None:
        status, jobs = w.get(CRON_JOBS, "x").get("status") or {}, w.api.all(JOBS)
        running = {name_of(job) for job in jobs if not is_finished(job)}
        assert {a["name"] for a in status.get("active") or ()} == running
        assert (
            sum(has_condition(job, "Complete") for job in jobs) <= 2
            and sum(has_condition(job, "Failed") for job in jobs) <= 1
        )
        made = Counter(ident[3] for _, type_, ident, _ in w.api.history if type_ == "ADDED" and ident[1] == "jobs")
        assert set(made.values()) <= {1}  # no scheduled time twice
        times = [datetime.fromtimestamp(int(name.removeprefix("x-")) * 60, UTC) for name in made]
        assert all(time.minute % 5 == 0 for time in times)
        if times:
            assert status["lastScheduleTime"] == rfc3339(max(times))
        completed = [
            obj["status"]["completionTime"]
            for _, _, ident, obj in w.api.history
            if ident[1] == "jobs" and (obj.get("status") or {}).get("completionTime")
        ]
        assert not status.get("lastSuccessfulTime") or status["lastSuccessfulTime"] in completed
        if self.policy != "Allow":
            assert _most_running(w) <= 1


def _most_running(w: World) -> int:
    running: set[str] = set()
    most = 0
    for _, type_, ident, obj in w.api.history:
        if ident[1] == "jobs":
            (running.discard if type_ == "DELETED" or is_finished(obj) else running.add)(ident[3])
            most = max(most, len(running))
    return most


class ForbiddingCronJobStory(CronJobStory):
    policy = "Forbid"


class ReplacingCronJobStory(CronJobStory):
    policy = "Replace"


class GarbageStory(Story):
    """Config maps that own each other; ``by_hand``: the uids that somebody deleted."""

    controllers = (GARBAGE_COLLECTOR,)
    actions = ("create", "create", "create", "Background", "Foreground", "Orphan")
    writes_a_step = 24
    longest_wait = 20.0  # the collector looks at every kind there is: time is dear

    def __init__(self) -> None:
        self.by_hand: set[str] = set()

    def begin(self, w: World) -> None:
        w.create(CONFIG_MAPS, "root", {})

    async def act(self, w: World, action: str, choice: int) -> None:
        there = w.api.all(CONFIG_MAPS)
        if action == "create":
            ghost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "ghost"}}
            owners = [*there, ghost] if choice == 7 else there
            chosen = (
                {uid_of(o): o for o in owners[choice % len(owners) :][:1] + owners[-1:]} if choice and owners else {}
            )
            references = [owner_reference(o, controller=False, block=choice % 2 == 0) for o in chosen.values()]
            w.create(CONFIG_MAPS, f"c{w.api.version}", {}, ownerReferences=references)
        elif (obj := pick(there, choice)) is not None and not is_deleting(obj):
            self.by_hand.add(uid_of(obj))
            w.api.delete(CONFIG_MAPS, "ns", name_of(obj), {"propagationPolicy": action})

    def check(self, w: World) -> None:
        there = w.api.all(CONFIG_MAPS)
        uids = {uid_of(o) for o in there}
        assert not [o for o in there if is_deleting(o)]
        for obj in there:
            assert {r["uid"] for r in obj["metadata"].get("ownerReferences") or ()} <= uids
        assert not uids & self.by_hand
        self._nothing_wrongly(w)

    def _nothing_wrongly(self, w: World) -> None:
        """What nobody deleted by hand went only when none of its owners was there to stay."""
        state: dict[Id, Object] = {}
        for _, type_, ident, obj in w.api.history:
            if ident[1] != "configmaps":
                continue
            before = state.get(ident)
            begun = type_ == "DELETED" or (before is not None and is_deleting(obj) and not is_deleting(before))
            if begun and before is not None and not is_deleting(before) and uid_of(obj) not in self.by_hand:
                owners = {r["uid"] for r in before["metadata"].get("ownerReferences") or ()}
                solid = {uid_of(o) for o in state.values() if not is_deleting(o)}
                assert owners and not owners & solid, obj
            state[ident] = obj
            if type_ == "DELETED":
                del state[ident]


class SliceStory(Story):
    """At most three endpoints a slice, so that few pods already need several."""

    controllers = (ENDPOINT_SLICE,)
    options = {"max_endpoints_per_slice": 3}  # constant
    actions = ("add", "add", "add", "delete", "fail", "ready", "unready", "leave", "port", "publish")
    writes_a_step = 8

    def begin(self, w: World) -> None:
        w.create(NODES, "n1", {}, namespace="")
        ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
        spec = {"selector": {"app": "x"}, "ports": ports, "ipFamilies": ["IPv4"], "clusterIP": "10.96.0.9"}
        w.create(SERVICES, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        if harm(w, action, choice):
            return
        pod = pick(living(w), choice)
        if action == "add":
            made = w.create(PODS, f"p{w.api.version}", {"nodeName": "n1", "containers": []}, labels={"app": "x"})
            ip = f"10.244.0.{w.api.version % 250}"
            w.set_status(made, phase="Running", ready=bool(choice % 3), podIP=ip, podIPs=[{"ip": ip}])
        elif action == "port":
            w.api.update(SERVICES, "ns", "x", lambda s: s["spec"]["ports"][0].update(targetPort=8080 + choice % 2))
        elif action == "publish":
            w.api.update(SERVICES, "ns", "x", lambda s: s["spec"].update(publishNotReadyAddresses=bool(choice % 2)))
        elif pod is not None and action == "unready":
            w.set_status(pod, phase="Running", ready=False)
        elif pod is not None:
            w.api.update(PODS, "ns", name_of(pod), lambda p: p["metadata"].update(labels={}))

    def kubelets(self, w: World) -> None:
        w.finish_deleted()

    def check(self, w: World) -> None:
        service, slices = w.get(SERVICES, "x"), w.api.all(ENDPOINT_SLICES)
        published = service["spec"].get("publishNotReadyAddresses", False)
        pods = [p for p in living(w) if labels_of(p)]
        wanted = {p["status"]["podIP"]: published or has_condition(p, "Ready") for p in pods}
        endpoints = [e for s in slices for e in s["endpoints"] or ()]
        assert {e["addresses"][0]: e["conditions"]["ready"] for e in endpoints} == wanted
        assert len(endpoints) == len(wanted)
        assert all(len(s["endpoints"] or ()) <= 3 for s in slices)
        assert all(s["endpoints"] for s in slices) or len(slices) == 1
        if wanted:
            assert {s["ports"][0]["port"] for s in slices} == {service["spec"]["ports"][0]["targetPort"]}


@RULES
@given(steps(JobStory()))
def test_job(drawn: list[Step]) -> None:
    play(JobStory(), drawn)


@RULES
@given(steps(IndexedJobStory()))
def test_indexed_job(drawn: list[Step]) -> None:
    play(IndexedJobStory(), drawn)


@RULES
@given(steps(PerIndexJobStory()))
def test_job_with_policies(drawn: list[Step]) -> None:
    play(PerIndexJobStory(), drawn)


@RULES
@given(steps(CronJobStory()))
def test_cron_job(drawn: list[Step]) -> None:
    play(CronJobStory(), drawn)


@RULES
@given(steps(ForbiddingCronJobStory()))
def test_forbidding_cron_job(drawn: list[Step]) -> None:
    play(ForbiddingCronJobStory(), drawn)


@RULES
@given(steps(ReplacingCronJobStory()))
def test_replacing_cron_job(drawn: list[Step]) -> None:
    play(ReplacingCronJobStory(), drawn)


@RULES
@given(steps(GarbageStory()))
def test_garbage_collector(drawn: list[Step]) -> None:
    play(GarbageStory(), drawn)


@RULES
@given(steps(SliceStory()))
def test_endpoint_slices(drawn: list[Step]) -> None:
    play(SliceStory(), drawn)
