"""What a pod needs now: a pure function of its spec, what runs, and the probes' verdicts.

The order follows the kubelet's: sandbox, ephemeral containers, init containers one after the other, then all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubelet.pods import spec as podspec
from kubelet.runtime.records import ContainerRecord, PodRecord, SandboxRecord, State
from kubeling.api.meta import Object


@dataclass(frozen=True, slots=True)
class Start:
    """Start this container as its n-th attempt; ``after`` is the run it replaces."""

    container: Object
    attempt: int
    kind: str = "container"  # or "init", "ephemeral"
    after: ContainerRecord | None = None


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
        self.round = round_begun(pod, observed, sandbox)

    def stale(self, record: ContainerRecord) -> bool:
        """Whether all containers are to run anew since that run began."""
        return self.round is not None and record.created_at < self.round

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
        if after is not None and after.state is State.EXITED and kind != "ephemeral":
            until = self.hold(container, after)
            if until is not None and until > self.now:
                self.waiting[container["name"]] = until
                return
        self.starts.append(Start(container, next_attempt(self.pod, container, self.observed), kind, after))

    def kill_if_unwell(self, container: Object, record: ContainerRecord, kind: str) -> bool:
        """Kills a running container that changed or failed a probe; True if so."""
        name = container["name"]
        probe = self.verdicts.failed.get(name)
        if record.spec_hash != podspec.spec_hash(container):
            message, reason = f"Container {name} definition changed", ""
        elif probe:
            message, reason = f"Container {name} failed {probe} probe", probe
        else:
            return False
        if kind == "container" and not podspec.should_restart(self.pod, container, 1):
            self.kills.append(Kill(record, container, message, reason))
        else:
            self.kills.append(Kill(record, container, f"{message}, will be restarted", reason))
        return True


def round_begun(pod: Object, observed: PodRecord, sandbox: SandboxRecord) -> datetime | None:
    """When a container last ended so that its rules ask for all containers to run anew; None if never."""
    named = {c["name"]: c for c in [*podspec.init_containers(pod), *podspec.containers(pod)]}
    return max(
        (
            r.finished_at
            for r in observed.containers
            if r.sandbox_id == sandbox.id and r.state is State.EXITED and r.finished_at is not None and r.name in named
            if podspec.rule_action(named[r.name], r.exit_code) == podspec.RESTART_ALL
        ),
        default=None,
    )


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
    initialized = any(plan.current(c) is not None for c in podspec.containers(pod)) or _init_step(plan)
    if initialized is None:
        return PodActions(kill_pod=True)
    if initialized and not _regular_step(plan):
        return PodActions(kill_pod=True)
    if initialized:
        _keep_sidecars(plan)
    return PodActions(
        kills=tuple(plan.kills),
        starts=tuple(plan.starts),
        waiting=plan.waiting,
        restarting=bool(plan.starts) and plan.begins_round(),
    )


def _init_step(plan: _Plan) -> bool | None:
    """Takes the next step of initialization; True when it is complete, None when it failed for good."""
    for container in podspec.init_containers(plan.pod):
        record = plan.current(container)
        sidecar = podspec.is_sidecar(container)
        if record is None or record.state is State.CREATED:
            plan.start(container, "init")
            return False
        if record.state is State.RUNNING:
            unwell = plan.kill_if_unwell(container, record, "init")
            if sidecar and not unwell and container["name"] in plan.verdicts.started:
                continue
            return False
        if sidecar:
            plan.start(container, "init")
            return False
        if record.exit_code != 0:
            if not podspec.should_restart(plan.pod, container, record.exit_code, init=True):
                return None
            plan.start(container, "init")
            return False
    return True


def _regular_step(plan: _Plan) -> bool:
    """Starts, keeps or restarts the regular containers; False when all have ended for good."""
    alive = False
    for container in podspec.containers(plan.pod):
        record = plan.observed.latest(container["name"])
        if record is None or record.state is State.CREATED or plan.stale(record):
            plan.start(container, "container")
        elif record.state is State.RUNNING:
            plan.kill_if_unwell(container, record, "container")
        elif podspec.should_restart(plan.pod, container, record.exit_code):
            plan.start(container, "container")
        else:
            continue
        alive = True
    return alive


def _keep_sidecars(plan: _Plan) -> None:
    """Sidecars that ended run again beside the others."""
    for container in podspec.init_containers(plan.pod):
        if not podspec.is_sidecar(container):
            continue
        record = plan.current(container)
        if record is None or record.state is State.EXITED:
            plan.start(container, "init")
        elif record.state is State.RUNNING:
            plan.kill_if_unwell(container, record, "init")
