"""PodDisruptionBudget: how many pods of a set may be disrupted now.

Source of the rules: the PodDisruptionBudget documentation and kubernetes/pkg/controller/disruption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.numbers import scaled
from controllers.lib.podcontrol import patch_condition
from controllers.lib.pods import is_finished, is_ready
from controllers.lib.scales import Scales, ScaleUnknown, replicas_of
from kubeling.api import selectors
from kubeling.api.errors import StatusError, is_conflict
from kubeling.api.meta import (
    Key,
    Object,
    condition_of,
    controller_of,
    has_condition,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    with_condition,
)
from kubeling.api.resource import Resource
from kubeling.api.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from kubeling.api.selectors import EVERYTHING, Selector
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "controllermanager"
DELETION_SECONDS = 120  # an eviction that has led to no deletion after this long is forgotten


@dataclass(frozen=True, slots=True)
class Expected:
    """How many pods there should be, and how many of them healthy."""

    count: int
    healthy: int


def expected_of(budget: Object, pods: Sequence[Object], scales: Sequence[int]) -> Expected:
    """``scales``: the wanted sizes of the pods' controllers; only needed for maxUnavailable and percentages."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        count = sum(scales)
        return Expected(count, max(0, count - scaled(spec["maxUnavailable"], count, round_up=True)))
    least = spec.get("minAvailable")
    if isinstance(least, str):
        count = sum(scales)
        return Expected(count, scaled(least, count, round_up=True))
    return Expected(len(pods), int(least or 0))


def needs_scale(budget: Object) -> bool:
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def still_disrupted(
    disrupted: Mapping[str, str], pods: Iterable[Object], now: datetime
) -> tuple[dict[str, str], float | None, list[Object]]:
    """The evictions still under way, when the next one runs out (seconds), and the pods whose eviction came to nothing."""
    kept: dict[str, str] = {}
    waits: list[float] = []
    failed: list[Object] = []
    for pod in pods:
        since = disrupted.get(name_of(pod))
        if since is None or is_deleting(pod):
            continue
        left = (parse_time(since) + timedelta(seconds=DELETION_SECONDS) - now).total_seconds()
        if left <= 0:
            failed.append(pod)
        else:
            kept[name_of(pod)] = since
            waits.append(left)
    return kept, min(waits, default=None), failed


def status_of(
    budget: Object, pods: Sequence[Object], expected: Expected, disrupted: dict[str, str], now: datetime
) -> Object:
    """The status that the pods and the evictions under way give."""
    healthy = sum(is_ready(p) and not is_deleting(p) and name_of(p) not in disrupted for p in pods)
    allowed = healthy - expected.healthy if expected.count > 0 else 0
    status: Object = {
        "observedGeneration": budget["metadata"].get("generation", 0),
        "disruptionsAllowed": max(0, allowed),
        "currentHealthy": healthy,
        "desiredHealthy": expected.healthy,
        "expectedPods": expected.count,
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    enough = status["disruptionsAllowed"] > 0
    reason = "SufficientPods" if enough else "InsufficientPods"
    status["conditions"] = _condition(budget, enough, reason, "", now, status["observedGeneration"])
    return status


def failed_status(budget: Object, message: str, now: datetime) -> Object:
    """The status when the budget cannot be worked out: nothing may be disrupted."""
    status = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    seen = status.get("observedGeneration", 0)  # this generation's numbers are not known: it does not count as observed
    status["conditions"] = _condition(budget, False, "SyncFailed", message, now, seen)
    return status


def _condition(
    budget: Object, allowed: bool, reason: str, message: str, now: datetime, generation: int
) -> list[Object]:
    before = (budget.get("status") or {}).get("conditions")
    value = "True" if allowed else "False"
    more = {"observedGeneration": generation}
    conditions = with_condition(before, "DisruptionAllowed", value, now, reason, message, **more)
    return [{**c, "message": c.get("message", "")} for c in conditions]


def selector_of(budget: Object) -> Selector:
    """policy/v1: an empty selector selects everything, a missing one nothing."""
    found = budget["spec"].get("selector")
    return EVERYTHING if found == {} else selectors.from_label_selector(found)


def unmanaged_text(budget: Object) -> str:
    """The event about pods that nobody controls; the selector is shown as Go prints one."""
    shown = selectors.go_text(budget["spec"].get("selector"))
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {shown}) were found to be unmanaged. As a result, the "
        "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods "
        'please set ".spec.minAvailable" field of the PDB to an integer value.'
    )


class DisruptionReconciler:
    """Keeps the status of each budget."""

    def __init__(
        self, budgets: Collection, pods: Collection, scales: Scales, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._budgets = budgets
        self._pods = pods
        self._scales = scales
        self._recorder = recorder
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        budget = self._budgets.get(key)
        if budget is None:
            return None
        now, selector = self._clock.now(), selector_of(budget)
        pods = [p for p in self._pods.store.list(key.namespace) if selector.matches(labels_of(p))]
        if not pods:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        wait: float | None = None
        try:
            scales = await self._scales.of(pods) if needs_scale(budget) else []
        except ScaleUnknown as err:
            self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed",
                                 f"Failed to calculate the number of expected pods: {err}")  # fmt: skip
            status = failed_status(budget, str(err), now)
        else:
            if needs_scale(budget) and any(controller_of(pod) is None for pod in pods):
                self._recorder.event(budget, "Warning", "UnmanagedPods", unmanaged_text(budget))
            before = (budget.get("status") or {}).get("disruptedPods") or {}
            disrupted, wait, failed = still_disrupted(before, pods, now)
            for pod in failed:
                text = f"Pod was expected by PDB {key} to be deleted but it wasn't"
                self._recorder.event(pod, "Warning", "NotDeleted", text)
            status = status_of(budget, pods, expected_of(budget, pods, scales), disrupted, now)
        if status != budget.get("status"):
            await self._write(budget, status)
        return Result(wait + 0.1) if wait is not None else None

    async def _write(self, budget: Object, status: Object) -> None:
        try:
            await self._budgets.update_status({**budget, "status": status})
        except StatusError as err:
            if not is_conflict(err):
                raise
            await self._budgets.fetch(key_of(budget))  # an eviction was faster: its change brings us back
            raise


def _concerned(budgets: Collection, recorder: EventRecorder) -> Callable[[Object | None, Object | None], Iterable[Key]]:
    """From pods to the budgets that select them; a pod in several is told, since no eviction of it can be allowed."""

    def selecting(pod: Object) -> list[Object]:
        there = sorted(budgets.store.list(namespace_of(pod)), key=name_of)
        return [budget for budget in there if selector_of(budget).matches(labels_of(pod))]

    def keys(old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is not None and new is not None and _relevant(old) == _relevant(new):
            return
        for pod in (old, new):
            found = selecting(pod) if pod is not None else []
            yield from map(key_of, found)
            if pod is new is not None and len(found) > 1:
                who = f'Pod "{namespace_of(new)}"/"{name_of(new)}"'
                text = f'{who} matches multiple PodDisruptionBudgets.  Chose "{name_of(found[0])}" arbitrarily.'
                recorder.event(new, "Warning", "MultiplePodDisruptionBudgets", text)

    return keys


def _relevant(pod: Object) -> object:
    return labels_of(pod), is_ready(pod), is_deleting(pod), is_finished(pod), controller_of(pod)


def _of_workload(budgets: Collection) -> Callable[[Object | None, Object | None], Iterable[Key]]:
    def keys(old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is not None and new is not None and replicas_of(old) == replicas_of(new):
            return
        there = budgets.store.list(namespace_of(new or old or {}))
        yield from (key_of(budget) for budget in there if needs_scale(budget))

    return keys


_WORKLOADS: tuple[Resource, ...] = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, REPLICATION_CONTROLLERS)


def build(context: Context) -> Sequence[Runnable]:
    budgets, pods = context.collection(POD_DISRUPTION_BUDGETS), context.collection(PODS)
    workloads = {(r.group, r.kind): context.collection(r) for r in _WORKLOADS}
    recorder = context.recorder(COMPONENT)
    reconciler = DisruptionReconciler(budgets, pods, Scales(workloads, budgets), recorder, context.clock)
    controller = context.controller("disruption", reconciler, workers=1)
    controller.watch(budgets.informer)
    controller.watch(pods.informer, _concerned(budgets, recorder))
    for collection in workloads.values():
        controller.watch(collection.informer, _of_workload(budgets))
    stale = context.controller("stale_pod_disruption", StaleDisruption(pods, context.clock), workers=1)
    stale.watch(pods.informer, _targeted)
    return [controller, stale]


class StaleDisruption:
    """Takes back DisruptionTarget from pods that were not deleted within two minutes of it."""

    def __init__(self, pods: Collection, clock: Clock) -> None:
        self._pods = pods
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        pod = self._pods.get(key)
        if pod is None or not _is_target(pod):
            return None
        condition = next(c for c in pod["status"]["conditions"] if c["type"] == "DisruptionTarget")
        due = parse_time(condition["lastTransitionTime"]) + timedelta(seconds=DELETION_SECONDS)
        left = (due - self._clock.now()).total_seconds()
        if left > 0:
            return Result(left)
        await patch_condition(self._pods, pod, "DisruptionTarget", "False", self._clock.now())
        return None


def _is_target(pod: Object) -> bool:
    """The kubelet's own notice never goes stale: the pod's end may take as long as its grace period."""
    if not has_condition(pod, "DisruptionTarget") or is_deleting(pod) or is_finished(pod):
        return False
    return (condition_of(pod, "DisruptionTarget") or {}).get("reason") != "TerminationByKubelet"


def _targeted(old: Object | None, new: Object | None) -> Iterable[Key]:
    if new is not None and _is_target(new):
        yield key_of(new)


CONTROLLER = ControllerSpec("disruption-controller", build, alias="disruption")
