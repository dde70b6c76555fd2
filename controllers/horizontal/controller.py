"""The loop of the HorizontalPodAutoscaler: reads scale and metrics, decides, scales, tells what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.horizontal.calculator import Settings
from controllers.horizontal.limits import History, limit
from controllers.horizontal.metrics import UNKNOWN, Found, MetricFailed, Metrics, Target
from controllers.lib.collection import Collection
from controllers.options import Options
from kubeling.api import quantity
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, key_of, labels_of, name_of, namespace_of, rfc3339, with_condition
from kubeling.api.resource import Resource
from kubeling.api.resources import HORIZONTAL_POD_AUTOSCALERS, PODS
from kubeling.api.selectors import Selector, SelectorError, parse_labels
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.discovery import KnownKinds
from kubeling.client.events import EventRecorder

COMPONENT = "horizontal-pod-autoscaler"
_KEPT = timedelta(hours=1)
"""The longest stabilization window that validation allows."""


class _NoSize(Exception):
    """No size follows from the metrics now; the message is that of the event FailedComputeMetricsReplicas."""


class _Run:
    """One look at one autoscaler: its status as it grows."""

    def __init__(self, hpa: Object, recorder: EventRecorder, now: datetime) -> None:
        self.hpa, self.now, self._recorder = hpa, now, recorder
        self.status: Object = dict(hpa.get("status") or {})
        self.metrics: list[Object] = []

    def condition(self, type_: str, status: str, reason: str, message: str) -> None:
        before = self.status.get("conditions")
        self.status["conditions"] = with_condition(before, type_, status, self.now, reason, message)

    def warn(self, reason: str, message: str) -> None:
        self._recorder.event(self.hpa, "Warning", reason, message)

    def inactive(self, reason: str, message: str) -> None:
        self.condition("ScalingActive", "False", reason, message)

    def sized(self, current: int, desired: int | None) -> None:
        """The figures of this look; with None the last desired size stays."""
        self.status["currentReplicas"] = current
        self.status["desiredReplicas"] = self.status.get("desiredReplicas", 0) if desired is None else desired
        self.status.pop("currentMetrics", None)
        if self.metrics:
            self.status["currentMetrics"] = self.metrics


class HorizontalReconciler:
    """Every sync period for every autoscaler. Its memory of recommendations does not outlive the process."""

    def __init__(
        self, hpas: Collection, pods: Collection, recorder: EventRecorder, clock: Clock, options: Options
    ) -> None:
        self._hpas, self._pods, self._recorder, self._clock = hpas, pods, recorder, clock
        self._client = hpas.client
        self._options = options
        self._kinds = KnownKinds(hpas.client, clock)
        self._metrics = Metrics(hpas.client, self._kinds)
        self._histories: dict[Key, History] = {}
        self._selectors: dict[Key, Selector] = {}

    async def reconcile(self, key: Key) -> Result | None:
        hpa = self._hpas.get(key)
        if hpa is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            return None
        run = _Run(hpa, self._recorder, self._clock.now())
        await self._look(run)
        if run.status != (hpa.get("status") or {}):
            try:
                await self._hpas.update_status({**hpa, "status": run.status})
            except StatusError as err:
                run.warn("FailedUpdateStatus", str(err))
                raise
        return Result(self._options.horizontal_pod_autoscaler_sync_period)

    async def _look(self, run: _Run) -> None:
        reference = run.hpa["spec"]["scaleTargetRef"]
        try:
            resource = await self._resource(reference)
            scale = await self._client.get(resource, reference["name"], namespace_of(run.hpa), subresource="scale")
        except StatusError as err:
            run.warn("FailedGetScale", str(err))
            text = f"the HPA controller was unable to get the target's current scale: {err}"
            run.condition("AbleToScale", "False", "FailedGetScale", text)
            return
        text = "the HPA controller was able to get the target's current scale"
        run.condition("AbleToScale", "True", "SucceededGetScale", text)
        current = int((scale.get("spec") or {}).get("replicas") or 0)
        history = self._histories.setdefault(key_of(run.hpa), History([(run.now, current)]))
        decided = await self._decide(run, scale, current, history)
        if decided is None:
            run.sized(current, None)
            return
        desired, reason = decided
        if desired != current:
            await self._rescale(run, resource, scale, desired, reason, history)
        else:
            run.sized(current, current)

    async def _resource(self, reference: Object) -> Resource:
        version, kind = reference.get("apiVersion", "v1"), reference["kind"]
        group = version.rpartition("/")[0]
        resource = await self._kinds.of_kind(version, kind)
        if resource is not None:
            return resource
        what = f'no matches for kind "{kind}" in group "{group}"'
        if "/" in group:
            what = f"unexpected GroupVersion string: {version}"
        raise StatusError({"kind": "Status", "status": "Failure", "message": what, "code": 404})

    async def _decide(self, run: _Run, scale: Object, current: int, history: History) -> tuple[int, str] | None:
        """The size and why; None when the metrics give none."""
        spec = run.hpa["spec"]
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current == 0 and least != 0:
            run.inactive("ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
            return 0, ""
        if current > most:
            return most, "Current number of replicas above Spec.MaxReplicas"
        if current < least:
            return least, "Current number of replicas below Spec.MinReplicas"
        try:
            best = await self._by_metrics(run, scale, current)
        except _NoSize as err:
            run.warn("FailedComputeMetricsReplicas", str(err))
            return None
        reason = f"{best.name} above target" if best.replicas > current else ""
        if best.replicas < current:
            reason = "All metrics below target"
        window = int(self._options.horizontal_pod_autoscaler_downscale_stabilization)
        limited = limit(spec, current, best.replicas, history, run.now, window)
        history.forget(run.now - _KEPT)
        history.recommendations.append((run.now, best.replicas))
        run.condition("AbleToScale", *limited.able)
        run.condition("ScalingLimited", *limited.limited)
        return limited.replicas, reason

    async def _by_metrics(self, run: _Run, scale: Object, current: int) -> Found:
        """The metric that asks for most. With one that fails, never fewer pods than there are. Raises _NoSize."""
        namespace, selector = namespace_of(run.hpa), self._selector(run, scale)
        pods = self._selected(namespace, selector)
        self._refuse_shared(run, selector, pods)
        observed = int((scale.get("status") or {}).get("replicas") or 0)
        target, settings = Target(namespace, current, observed, selector, pods), _settings(self._options, run.hpa)
        found: list[Found] = []
        failed: list[MetricFailed] = []
        for metric in run.hpa["spec"].get("metrics") or ():
            try:
                found.append(await self._metrics.evaluate(metric, target, settings, run.now))
                run.metrics.append(found[-1].status)
            except MetricFailed as err:
                failed.append(err)
                run.warn(err.reason, str(err))
                run.metrics.append(UNKNOWN)
        best = max(found, key=lambda f: f.replicas, default=None)
        if best is None or (failed and best.replicas < current):
            first = failed[0]
            run.inactive(first.reason, f"the HPA was unable to compute the replica count: {first}")
            count = len(run.metrics)
            raise _NoSize(f"invalid metrics ({len(failed)} invalid out of {count}), first error is: {first.summary}")
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        run.condition("ScalingActive", "True", "ValidMetricFound", text)
        return best

    def _selector(self, run: _Run, scale: Object) -> Selector:
        """The target's own selector of its pods."""
        text = (scale.get("status") or {}).get("selector") or ""
        if not text:
            run.warn("SelectorRequired", "selector is required")
            run.inactive("InvalidSelector", "the HPA target's scale is missing a selector")
            raise _NoSize("selector is required")
        try:
            return parse_labels(text)
        except SelectorError as err:
            why = f"couldn't convert selector into a corresponding internal selector object: {err}"
            raise self._refused(run, "InvalidSelector", why) from err

    def _refuse_shared(self, run: _Run, selector: Selector, pods: Sequence[Object]) -> None:
        """Pods that several autoscalers select are scaled by none of them."""
        key = key_of(run.hpa)
        self._selectors[key] = selector
        nearby = {k: s for k, s in self._selectors.items() if k.namespace == key.namespace}
        selecting = sorted(str(k) for k, s in nearby.items() if any(s.matches(labels_of(pod)) for pod in pods))
        if len(selecting) > 1:
            why = f"pods by selector {selector} are controlled by multiple HPAs: [{' '.join(selecting)}]"
            raise self._refused(run, "AmbiguousSelector", why)

    def _refused(self, run: _Run, reason: str, why: str) -> _NoSize:
        run.warn(reason, why)
        run.inactive(reason, why)
        return _NoSize(why)

    def _selected(self, namespace: str, selector: Selector) -> list[Object]:
        return [p for p in self._pods.store.list(namespace) if selector.matches(labels_of(p))]

    async def _rescale(
        self, run: _Run, resource: Resource, scale: Object, desired: int, reason: str, history: History
    ) -> None:
        current = int((scale.get("spec") or {}).get("replicas") or 0)
        wanted = {**scale, "spec": {**(scale.get("spec") or {}), "replicas": desired}}
        try:
            await self._client.update(resource, wanted, subresource="scale")
        except StatusError as err:
            run.warn("FailedRescale", f"New size: {desired}; reason: {reason}; error: {err}")
            text = f"the HPA controller was unable to update the target scale: {err}"
            run.condition("AbleToScale", "False", "FailedUpdateScale", text)
            run.sized(current, None)
            return
        text = f"the HPA controller was able to update the target scale to {desired}"
        run.condition("AbleToScale", "True", "SucceededRescale", text)
        self._recorder.event(run.hpa, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        history.changes.append((run.now, desired - current))
        run.sized(current, desired)
        run.status["lastScaleTime"] = rfc3339(run.now)


def _settings(options: Options, hpa: Object) -> Settings:
    behavior = hpa["spec"].get("behavior") or {}

    def tolerance(side: str) -> float:
        own = (behavior.get(side) or {}).get("tolerance")
        return options.horizontal_pod_autoscaler_tolerance if own is None else float(quantity.parse(own).value)

    return Settings(
        timedelta(seconds=options.horizontal_pod_autoscaler_cpu_initialization_period),
        timedelta(seconds=options.horizontal_pod_autoscaler_initial_readiness_delay),
        tolerance("scaleUp"),
        tolerance("scaleDown"),
    )


def _changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Our own status writes do not call us; the sync period does."""
    for hpa in (new or old,):
        if hpa is not None and name_of(hpa) and (old is None or new is None or old["spec"] != new["spec"]):
            yield key_of(hpa)


def build(context: Context) -> Sequence[Runnable]:
    hpas, pods = context.collection(HORIZONTAL_POD_AUTOSCALERS), context.collection(PODS)
    reconciler = HorizontalReconciler(hpas, pods, context.recorder(COMPONENT), context.clock, context.options)
    controller = context.controller("horizontalpodautoscaler", reconciler)
    controller.watch(hpas.informer, _changed)
    controller.watch(pods.informer, lambda old, new: ())  # only to wait for the copy
    return [controller]


CONTROLLER = ControllerSpec(
    "horizontal-pod-autoscaler-controller",
    build,
    alias="horizontalpodautoscaling",
    account="horizontal-pod-autoscaler",
    syncs="concurrent_horizontal_pod_autoscaler_syncs",
)
