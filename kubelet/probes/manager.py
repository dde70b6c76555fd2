"""Runs the probes of all containers, each as a task, and keeps their verdicts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.pods.actions import Verdicts
from kubelet.pods.recorder import Recorder, field_path
from kubelet.probes.metrics import PROBE_RESULTS, PROBE_SECONDS, forget_probes
from kubelet.probes.outcome import Outcome, Verdict
from kubelet.probes.prober import Prober
from kubelet.probes.tally import Tally
from kubelet.runtime.records import ContainerRecord, PodRecord
from kubelet.runtime.specs import PodRef
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"
KINDS = (STARTUP, LIVENESS, READINESS)
_TRIES = 3  # of a probe that cannot even be made


@dataclass(slots=True)
class _Run:
    """One run of a container and what its probes say; ``good`` by kind, None for not decided."""

    pod: Object
    container: Object
    record: ContainerRecord
    ip: str
    wake: Callable[[], None]
    good: dict[str, bool | None] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def kinds(self) -> Iterator[str]:
        return (k for k in KINDS if self.container.get(f"{k}Probe"))

    @property
    def started(self) -> bool:
        return STARTUP not in self.good or bool(self.good[STARTUP])

    @property
    def ready(self) -> bool:
        return self.started and (READINESS not in self.good or bool(self.good[READINESS]))

    @property
    def failed(self) -> str:
        return next((k for k in (STARTUP, LIVENESS) if self.good.get(k) is False), "")


class ProbeManager:
    def __init__(self, prober: Prober, recorder: Recorder, clock: Clock) -> None:
        self._prober, self._recorder, self._clock = prober, recorder, clock
        self._born = clock.now()
        self._runs: dict[str, dict[str, _Run]] = {}
        self._counted: dict[str, set[tuple[str, str, PodRef]]] = {}  # by the pod's UID: what metrics tell of

    def follow(
        self, pod: Object, observed: PodRecord, ip: str, wake: Callable[[], None], *, ending: bool = False
    ) -> None:
        """Starts the probes of new runs and ends those of old ones. A pod that ends is asked for readiness only."""
        runs = self._runs.setdefault(podspec.ref_of(pod).uid, {})
        running = {c.name: c for c in observed.running}
        for name in [n for n, r in runs.items() if n not in running or running[n].id != r.record.id]:
            _stop(runs.pop(name))
        for container in [*podspec.containers(pod), *filter(podspec.is_sidecar, podspec.init_containers(pod))]:
            record = running.get(container["name"])
            if record is None:
                continue
            run = runs.get(record.name)
            if run is None:
                run = runs[record.name] = self._begin(pod, container, record, ip, wake)
            run.pod, run.ip = pod, ip
            if ending:
                for kind in (STARTUP, LIVENESS):
                    if task := run.tasks.pop(kind, None):
                        task.cancel()
                        run.good[kind] = True  # an end that was asked for is no failure

    def _begin(
        self, pod: Object, container: Object, record: ContainerRecord, ip: str, wake: Callable[[], None]
    ) -> _Run:
        run = _Run(pod, container, record, ip, wake)
        known = podspec.status_named(pod, record.name)
        adopted = record.started_at is not None and record.started_at < self._born
        same = adopted and str(known.get("containerID") or "").endswith(record.id)
        for kind in run.kinds:
            # a run of before this kubelet keeps what was said about it; liveness is taken as good until it fails
            said = {STARTUP: bool(known.get("started")), LIVENESS: None, READINESS: bool(known.get("ready"))}[kind]
            run.good[kind] = (said or None) if same else None
            run.tasks[kind] = asyncio.create_task(self._work(run, kind), name=f"{kind} {record.name}")
        return run

    async def _work(self, run: _Run, kind: str) -> None:
        """Probes every period until it is cancelled, or the container has to be restarted."""
        probe = run.container[f"{kind}Probe"]
        period = float(probe.get("periodSeconds") or 10)
        if run.record.started_at is not None and run.record.started_at < self._born:
            await self._clock.sleep(random.random() * period)  # not all at once after a restart of ours
        begin = (run.record.started_at or self._clock.now()) + timedelta(seconds=probe.get("initialDelaySeconds") or 0)
        await self._clock.sleep(max(0.0, (begin - self._clock.now()).total_seconds()))
        tally = Tally(good=run.good[kind])
        while True:
            if kind == STARTUP and run.started:
                return
            if kind == STARTUP or run.started:
                outcome = await self._once(run, kind, probe)
                tally = tally.add(outcome, probe)
                if tally.good != run.good[kind]:
                    run.good[kind] = tally.good
                    run.wake()
                    if tally.good and kind == STARTUP:
                        return
                if tally.good is False and kind != READINESS:
                    return  # the container is restarted, and its next run probed anew
                await self._clock.sleep(period)
            else:
                await self._clock.sleep(min(period, 1.0))

    async def _once(self, run: _Run, kind: str, probe: Mapping[str, Any]) -> Outcome:
        begun, ref = self._clock.monotonic(), podspec.ref_of(run.pod)
        for _ in range(_TRIES):
            outcome = await self._prober.probe(probe, run.container, run.record.id, run.ip)
            if outcome.verdict is not Verdict.UNKNOWN:
                break
        self._counted.setdefault(ref.uid, set()).add((kind.capitalize(), run.record.name, ref))
        result = {Verdict.SUCCESS: "successful", Verdict.WARNING: "successful", Verdict.FAILURE: "failed"}
        PROBE_RESULTS.labels(
            kind.capitalize(), result.get(outcome.verdict, "unknown"), run.record.name, ref.name, ref.namespace, ref.uid
        ).inc()
        if outcome.verdict is not Verdict.FAILURE:  # as upstream: how long failures take says nothing
            PROBE_SECONDS.labels(kind.capitalize(), run.record.name, ref.name, ref.namespace).observe(
                self._clock.monotonic() - begun
            )
        title, where = kind.capitalize(), field_path(run.pod, run.container)
        # an id would make every event one of its own
        outcome = replace(outcome, output=outcome.output.replace(run.record.id, run.record.name))
        if outcome.verdict is Verdict.WARNING:
            self._recorder.event(
                run.pod, "Warning", "ProbeWarning", f"{title} probe warning: {outcome.output}", field_path=where
            )
        elif outcome.verdict is Verdict.UNKNOWN:
            text = f"{title} probe errored and resulted in unknown state: {outcome.output}"
            self._recorder.event(run.pod, "Warning", "Unhealthy", text, field_path=where)
        elif outcome.verdict is Verdict.FAILURE:
            text = f"{title} probe failed: {outcome.output}"
            self._recorder.event(run.pod, "Warning", "Unhealthy", text, field_path=where)
        return outcome

    def verdicts(self, uid: str, observed: PodRecord) -> Verdicts:
        """Of the runs that are seen: what was said of an earlier one says nothing about a container that took its place."""
        running = {c.id for c in observed.running}
        runs = {name: run for name, run in self._runs.get(uid, {}).items() if run.record.id in running}
        started = frozenset(name for name, run in runs.items() if run.started)
        return Verdicts(started, {name: run.failed for name, run in runs.items() if run.failed})

    def ready(self, uid: str) -> frozenset[str]:
        """Names of the containers that are ready."""
        return frozenset(name for name, run in self._runs.get(uid, {}).items() if run.ready)

    def forget(self, uid: str) -> None:
        for run in self._runs.pop(uid, {}).values():
            _stop(run)
        for type_, container, ref in self._counted.pop(uid, ()):
            forget_probes(type_, container, ref)

    async def close(self) -> None:
        """Ends every probe, as the engine's connection is about to be closed."""
        tasks = [task for runs in self._runs.values() for run in runs.values() for task in run.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop(run: _Run) -> None:
    for task in run.tasks.values():
        task.cancel()
