"""Whatever happens to a node's pods, and in whatever order: what their statuses tell is true, told once, and never goes back.

Containers end or vanish, sandboxes break, probes change their minds, users delete and update, engine and API server go
away, the kubelet is killed. The properties are functions over all versions of the pods that the API server has had; in the
end, with everybody back, the world must be what the pods' rules give.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet.runtime.records import State
from kubeling.api.errors import StatusError, failure
from kubeling.api.meta import Object, is_deleting, parse_time, uid_of
from kubeling.api.resources import PODS
from tests.unit.kubelet.nodeworld import NODE, NodeWorld

EXAMPLES = os.environ.get("EXAMPLES")
RULES = settings(max_examples=int(EXAMPLES or 12), deadline=None, derandomize=EXAMPLES is None)
TERMINAL = ("Succeeded", "Failed")
ORDER = ("Pending", "Running", "Succeeded", "Failed")
ACTIONS = (
    "create", "create", "end well", "end badly", "end badly", "lose", "sandbox", "unready", "unwell", "well", "delete",
    "update", "engine", "api", "kill", "second", "second", "minute", "minutes",
)  # fmt: skip
Step = tuple[str, int]


def probe(kind: str) -> Object:
    return {"exec": {"command": [kind]}, "periodSeconds": 20, "failureThreshold": 2, "successThreshold": 1}


def container(name: str, *probes: str, **more: Any) -> Object:
    return {"name": name, "image": "app:1", **{f"{p}Probe": probe(p) for p in probes}, **more}


SPECS: tuple[Object, ...] = (
    {"containers": [container("a", "readiness", "liveness")], "restartPolicy": "Always"},
    {"containers": [container("a"), container("b")], "restartPolicy": "Never"},
    {"containers": [container("a", "startup")], "restartPolicy": "OnFailure"},
    {
        "initContainers": [container("i"), container("s", "startup", restartPolicy="Always"), container("j")],
        "containers": [container("a", "readiness"), container("b")],
        "restartPolicy": "Always",
    },
)


class Story:
    def __init__(self, folder: Path) -> None:
        self.world = NodeWorld(folder)
        self.made = 0
        self.api_away = self.api_was_away = False
        self.world.api.fail = self._fail

    def _fail(self, request: Any) -> StatusError | None:
        return failure(503, "ServiceUnavailable", "away") if self.api_away and request.method != "GET" else None

    async def act(self, action: str, choice: int) -> None:
        world = self.world
        pods = sorted(world.all(), key=lambda p: str(p["metadata"]["name"]))
        pod = pods[choice % len(pods)] if pods else None
        runs = sorted((r for r in world.engine.everything()), key=lambda r: (r.pod.name, r.name, r.attempt))
        running = [r for r in runs if r.state is State.RUNNING]
        match action:
            case "create":
                self.create(choice)
            case "end well" | "end badly" if running:
                world.engine.end(running[choice % len(running)], 0 if action == "end well" else 1 + choice)
            case "lose" if runs:
                world.engine.lose(runs[choice % len(runs)])
            case "sandbox" if pod:
                world.engine.break_sandbox(uid_of(pod))
            case "unready":
                world.answers.bad ^= {("a", "readiness")}
            case "unwell":
                world.answers.bad |= {("a", "liveness")} if choice % 2 else {("s", "startup")}
            case "well":
                world.answers.bad.clear()
            case "delete" if pod:
                self.delete(pod)
            case "update" if pod and not is_deleting(pod):
                world.api.update(PODS, "ns", pod["metadata"]["name"], self.change_image)
            case "engine":
                world.engine.away = not world.engine.away
            case "api":
                self.api_away, self.api_was_away = not self.api_away, True
            case "kill":
                await world.kill()
                await world.start()
            case "second" | "minute" | "minutes":
                await world.pass_time({"second": 1, "minute": 61, "minutes": 661}[action])

    def create(self, choice: int) -> None:
        self.made += 1
        spec = {**SPECS[choice % len(SPECS)], "nodeName": NODE, "terminationGracePeriodSeconds": 30}
        given = {"metadata": {"name": f"p{self.made}", "namespace": "ns"}, "spec": spec, "status": {"phase": "Pending"}}
        self.world.api.create(PODS, given)

    def delete(self, pod: Object) -> None:
        def mark(obj: Object) -> None:
            obj["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            obj["metadata"].setdefault("deletionGracePeriodSeconds", 30)

        self.world.api.update(PODS, "ns", pod["metadata"]["name"], mark)

    @staticmethod
    def change_image(obj: Object) -> None:
        obj["spec"]["containers"][0]["image"] += "0"

    async def rest(self) -> None:
        """Everybody is back, every probe is content, and time passes beyond every back-off."""
        self.world.engine.away = self.api_away = False
        self.world.answers.bad.clear()
        for _ in range(8):
            for record in self.world.engine.everything():
                if record.name in ("i", "j") and record.state is State.RUNNING:
                    self.world.engine.end(record, 0)
            await self.world.pass_time(80)


# --- what holds of all versions of a pod ---------------------------------------------------------------------------


def statuses(version: Object) -> Iterator[Object]:
    status = version.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def conditions(version: Object) -> dict[str, Object]:
    return {c["type"]: c for c in (version.get("status") or {}).get("conditions") or ()}


def phase(version: Object) -> str:
    return str(version["status"]["phase"])


def never_backwards(old: Object, new: Object) -> None:
    if phase(old) in TERMINAL:
        assert phase(new) == phase(old)
    assert ORDER.index(phase(new)) >= ORDER.index(phase(old)), (phase(old), phase(new))
    before, after = old["status"].get("startTime"), new["status"].get("startTime")
    assert before in (None, after), (before, after)
    generations = [v["status"].get("observedGeneration") or 0 for v in (old, new)]
    assert generations[0] <= generations[1] <= new["metadata"]["generation"], generations


def containers_are_never_lost(old: Object, new: Object) -> None:
    now = {s["name"]: s for s in statuses(new)}
    for before in statuses(old):
        after = now[before["name"]]
        assert after["restartCount"] >= before["restartCount"], (before, after)
        if "terminated" in before["lastState"]:
            assert "terminated" in {*after["lastState"], *after["state"]}, (before, after)
        if before.get("containerID") and before["restartCount"] == after["restartCount"]:
            assert after.get("containerID") in (None, before["containerID"]), (before, after)


def times_move_with_statuses(old: Object, new: Object, *, exact: bool) -> None:
    """Not ``exact``: what could not be told while the API server was away may have gone there and back."""
    before = conditions(old)
    for type_, condition in conditions(new).items():
        if type_ in before:
            same = before[type_]["status"] == condition["status"]
            times = parse_time(before[type_]["lastTransitionTime"]), parse_time(condition["lastTransitionTime"])
            assert times[0] == times[1] if same and exact else times[0] <= times[1], (before[type_], condition)
    assert before.keys() <= conditions(new).keys()
    if before.get("Initialized", {}).get("status") == "True":
        assert conditions(new)["Initialized"]["status"] == "True"


def consistent(version: Object) -> None:
    verdicts = {t: c["status"] == "True" for t, c in conditions(version).items()}
    for entry in statuses(version):
        assert len(entry["state"]) == 1, entry
        if entry.get("started"):
            assert "running" in entry["state"], entry
        if "running" in entry["state"]:
            assert phase(version) not in TERMINAL, version["status"]
    if verdicts.get("Ready"):
        assert verdicts["ContainersReady"] and verdicts["Initialized"] and phase(version) == "Running"
    if verdicts.get("ContainersReady"):
        ready = {s["name"]: s["ready"] for s in statuses(version)}
        assert all(ready[c["name"]] for c in version["spec"]["containers"]), version["status"]
    if phase(version) in TERMINAL:
        assert not verdicts.get("Ready") and not verdicts.get("ContainersReady")
        main = version["status"]["containerStatuses"]
        assert not any(s["ready"] for s in main)
        if phase(version) == "Succeeded":
            assert all(s["state"]["terminated"]["exitCode"] == 0 for s in main), main


def check_history(story: Story) -> None:
    """All properties, over every version of every pod; and every status that was written was a change."""
    lives: dict[str, list[Object]] = {}
    for _, type_, ident, obj in story.world.api.history:
        if ident[1] == "pods" and type_ != "DELETED":
            lives.setdefault(uid_of(obj), []).append(obj)
    for versions in lives.values():
        for old, new in pairwise(versions):
            never_backwards(old, new)
            containers_are_never_lost(old, new)
            times_move_with_statuses(old, new, exact=not story.api_was_away)
        for version in versions:
            consistent(version)
    written = sum(method == "PATCH" and path.endswith("/status") for method, path in story.world.api.writes)
    changes = sum(
        a["metadata"]["resourceVersion"] != b["metadata"]["resourceVersion"]
        and a["metadata"].get("deletionTimestamp") == b["metadata"].get("deletionTimestamp")
        and a["spec"] == b["spec"]
        for versions in lives.values()
        for a, b in pairwise(versions)
    )
    assert written == changes, "a status was written that told nothing new"


# --- what the end must be ------------------------------------------------------------------------------------------


def check_end(story: Story) -> None:
    pods = {uid_of(p): p for p in story.world.all()}
    for pod in pods.values():
        assert not is_deleting(pod), f"{pod['metadata']['name']} does not go away: {pod['status']}"
        policy, main = pod["spec"]["restartPolicy"], pod["status"]["containerStatuses"]
        if phase(pod) == "Running":
            assert conditions(pod)["Ready"]["status"] == "True" or policy == "Never", pod["status"]
        else:
            assert phase(pod) in TERMINAL and policy != "Always", pod["status"]
            assert all("terminated" in s["state"] for s in main)
            assert policy == "Never" or phase(pod) == "Succeeded"
            continue
        assert pod["status"]["observedGeneration"] == pod["metadata"]["generation"]
    for record in story.world.engine.everything():
        assert record.pod.uid in pods, f"{record.name} of a pod that has gone"
        if record.state is State.RUNNING:
            known = {s["name"]: s for s in statuses(pods[record.pod.uid])}[record.name]
            assert known["containerID"] == f"docker://{record.id}" and "running" in known["state"]


@RULES
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), max_size=25))
def test_statuses_are_true_told_once_and_never_go_back(steps: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), [("create", 0), ("second", 0), *steps]))


async def play(folder: Path, steps: Sequence[Step]) -> None:
    story = Story(folder)
    await story.world.start()
    try:
        for action, choice in steps:
            await story.act(action, choice)
            await story.world.pass_time(0)
        await story.rest()
        check_history(story)
        check_end(story)
    finally:
        await story.world.kill()
