"""What a pod needs now: a pure function of its spec, what runs, and the probes' verdicts.

The order follows the kubelet's: sandbox, ephemeral containers, init containers one after the other, then all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubelet.pods import spec as podspec
from kubelet.pods.rounds import is_stale, round_begun
from kubelet.runtime.records import ContainerRecord, PodRecord, SandboxRecord, State
from kubeling.api.meta import Object


@dataclass(frozen=True, slots=True)
class Start:
    """Start this container as its n-th attempt; ``after`` is the run it replaces, ``round`` when the present round began."""

    container: Object
    attempt: int
    kind: str = "container"  # or "init", "ephemeral"
    after: ContainerRecord | None = None
    round: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    record: ContainerRecord
    container: Object | None
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PodActions:
    """``kill_pod``: end every container and the sandbox first. ``waiting``: containers held back, and until when.

    ``restarting``: all of this is because one container's end restarts all.
    """

    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    kills: tuple[Kill, ...] = ()
    starts: tuple[Start, ...] = ()
    waiting: Mapping[str, datetime] = field(default_factory=dict)
    restarting: bool = False

    @property
    def wake_at(self) -> datetime | None:
        return min(self.waiting.values(), default=None)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What probes and hooks say, by container name. ``failed`` names the probe that failed: ``liveness`` or ``startup``."""

    started: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)


RESTART_ALL = "restart-all"  # why a container is ended, beside the names of probes

# when may this container run again after that run; None for at once
HoldUntil = Callable[[Object, ContainerRecord], datetime | None]


class _Plan:
    """Collects actions while the containers are looked at in order."""

    def __init__(
        self,
        pod: Object,
        observed: PodRecord,
        sandbox: SandboxRecord,
        verdicts: Verdicts,
        hold: HoldUntil,
        now: datetime,
    ) -> None:
        self.pod, self.observed, self.sandbox = pod, observed, sandbox
        self.verdicts, self.hold, self.now = verdicts, hold, now
        self.kills: list[Kill] = []
        self.starts: list[Start] = []
        self.waiting: dict[str, datetime] = {}
        self.round = round_begun(pod, observed, sandbox.id)

    def stale(self, record: ContainerRecord) -> bool:
        """Whether all containers are to run anew since that run was decided on."""
        return is_stale(record, self.round)

    def begins_round(self) -> bool:
        """Whether all containers are to run anew, and none has begun to."""
        named = [*podspec.init_containers(self.pod), *podspec.containers(self.pod)]
        return self.round is not None and all(self.current(c) is None for c in named)

    def current(self, container: Object) -> ContainerRecord | None:
        """The newest run in this sandbox."""
        record = self.observed.latest(container["name"])
        return record if record and record.sandbox_id == self.sandbox.id and not self.stale(record) else None

    def start(self, container: Object, kind: str) -> None:
        after = self.observed.latest(container["name"])
        if after is not None and after.state is State.RUNNING:  # it is killed first; its own end is no reason to wait
            after = self.observed.latest_ended(container["name"])
        if after is not None and after.state is State.EXITED and kind != "ephemeral":
            until = self.hold(container, after)
            if until is not None and until > self.now:
                self.waiting[container["name"]] = until
                return
        self.starts.append(Start(container, next_attempt(self.pod, container, self.observed), kind, after, self.round))

    def replace_if_unwell(self, container: Object, record: ContainerRecord, kind: str) -> None:
        """Kills a running container that changed or failed a probe, and starts it again if it may run again."""
        name = container["name"]
        probe = self.verdicts.failed.get(name)
        changed = record.spec_hash != podspec.spec_hash(container)
        if not changed and not probe:
            return
        message = f"Container {name} " + ("definition changed" if changed else f"failed {probe} probe")
        again = True
        if kind == "init":
            message = "Init c" + message[1:]
        elif again := changed or podspec.runs_again(self.pod, container):  # whatever the policy, what changed runs anew
            message += ", will be restarted"
        self.kills.append(Kill(record, container, message, "" if changed else probe or ""))
        if again:
            self.start(container, kind)

    def keep_sidecar(self, container: Object) -> None:
        """A sidecar that has begun is kept running. Until it has started, only its startup probe counts."""
        record, name = self.current(container), container["name"]
        if record is None or record.state is not State.RUNNING:
            self.start(container, "init")
        elif name in self.verdicts.started or name in self.verdicts.failed:
            self.replace_if_unwell(container, record, "init")


def _end_of_round(plan: _Plan) -> PodActions | None:
    """Before a new round begins, what is left of the old one has to end."""
    kills = []
    for record in plan.observed.running:
        container = podspec.container_named(plan.pod, record.name)
        ephemeral = container in podspec.ephemeral_containers(plan.pod)
        if plan.stale(record) and not ephemeral:
            message = f"Container {record.name} will be restarted with all containers"
            kills.append(Kill(record, container, message, RESTART_ALL))
    return PodActions(kills=tuple(kills), restarting=True) if kills else None


def next_attempt(pod: Object, container: Object, observed: PodRecord) -> int:
    """One more than the newest run; than the API's restart count when the engine has lost the container."""
    latest = observed.latest(container["name"])
    if latest is not None and latest.state is State.CREATED:
        return latest.attempt
    status = podspec.status_named(pod, container["name"])
    told = int(status.get("restartCount") or 0) + bool(status.get("containerID"))
    return max(told, latest.attempt + 1 if latest else 0)


def _without_sandbox(pod: Object, observed: PodRecord) -> PodActions:
    newest = observed.sandboxes[0] if observed.sandboxes else None
    attempt = newest.attempt + 1 if newest else 0

    def wanted(container: Object) -> bool:
        latest = observed.latest(container["name"])
        if latest is None:
            return not (attempt > 0 and observed.containers and podspec.restart_policy(pod) == podspec.NEVER)
        return latest.state is not State.EXITED or podspec.should_restart(pod, container, latest.exit_code)

    if not any(wanted(c) for c in podspec.containers(pod)):
        return PodActions(kill_pod=True, attempt=attempt)
    return PodActions(kill_pod=bool(observed.sandboxes or observed.running), create_sandbox=True, attempt=attempt)


def pod_actions(pod: Object, observed: PodRecord, verdicts: Verdicts, hold: HoldUntil, now: datetime) -> PodActions:
    """What to do next. Without a sandbox that is all there is to say: ask again when there is one."""
    sandbox = observed.sandbox
    if sandbox is None:
        return _without_sandbox(pod, observed)
    plan = _Plan(pod, observed, sandbox, verdicts, hold, now)
    if (ending := _end_of_round(plan)) is not None:
        return ending
    for container in podspec.ephemeral_containers(pod):
        if observed.latest(container["name"]) is None:
            plan.start(container, "ephemeral")
    if any(plan.current(c) is not None for c in podspec.containers(pod)):
        initialized: bool | None = True
        for sidecar in filter(podspec.is_sidecar, podspec.init_containers(pod)):
            plan.keep_sidecar(sidecar)
    else:
        initialized = _init_step(plan)
    if initialized is None or (initialized and not _regular_step(plan)):
        return PodActions(kill_pod=True)
    return PodActions(
        kills=tuple(plan.kills),
        starts=tuple(plan.starts),
        waiting=plan.waiting,
        restarting=bool(plan.starts) and plan.begins_round(),
    )


def _init_step(plan: _Plan) -> bool | None:
    """Takes the next step of initialization; True when it is complete, None when it failed for good.

    The last container that has begun tells how far it is: what ran before it may be lost to the engine, and a sidecar that
    fails meanwhile holds nothing up.
    """
    inits = podspec.init_containers(plan.pod)
    last = max((i for i, c in enumerate(inits) if plan.current(c) is not None), default=-1)
    for sidecar in filter(podspec.is_sidecar, inits[: max(last, 0)]):
        plan.keep_sidecar(sidecar)
    done = _last_init(plan, inits[last]) if last >= 0 else True
    if not done or last + 1 == len(inits):
        return done
    plan.start(inits[last + 1], "init")
    return False


def _last_init(plan: _Plan, container: Object) -> bool | None:
    """Whether the next one may begin; None when it failed for good."""
    record = plan.current(container)
    running = record is not None and record.state is State.RUNNING
    if podspec.is_sidecar(container):
        plan.keep_sidecar(container)
        return running and container["name"] in plan.verdicts.started
    if record is not None and record.state is State.EXITED:
        if record.exit_code == 0:
            return True
        if not podspec.should_restart(plan.pod, container, record.exit_code, init=True):
            return None
    if not running:
        plan.start(container, "init")
    return False


def _regular_step(plan: _Plan) -> bool:
    """Starts, keeps or restarts the regular containers; False when all have ended for good."""
    alive = False
    for container in podspec.containers(plan.pod):
        record = plan.observed.latest(container["name"])
        if record is None or record.state is State.CREATED or plan.stale(record):
            plan.start(container, "container")
        elif record.state is State.RUNNING:
            plan.replace_if_unwell(container, record, "container")
        elif podspec.should_restart(plan.pod, container, record.exit_code):
            plan.start(container, "container")
        else:
            continue
        alive = True
    return alive
