"""Pods that end so that a critical one finds room (pkg/kubelet/preemption, killPodNow in pkg/kubelet/pod_workers.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubelet.pods import spec as podspec
from kubelet.pods.metrics import PREEMPTIONS
from kubelet.pods.recorder import Recorder
from kubelet.pods.within import within
from kubelet.pods.worker import PodWorker
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

PREEMPTING, MESSAGE = "Preempting", "Preempted in order to admit critical pod"
_DISRUPTION = "Pod was preempted by Kubelet to accommodate a critical pod."
_TOO_LONG = "Container runtime did not kill the pod within specified grace period."
_LEAST_SECONDS = 10.0


class NoVictims(Exception):
    """Not even all pods that may go would leave room enough; the text says what would still be missing."""

    @property
    def refusal(self) -> tuple[str, str]:
        return (
            "UnexpectedAdmissionError",
            f"Unexpected error while attempting to recover from admission failure: {self}",
        )


@dataclass(frozen=True, slots=True)
class Preemption:
    """``victims`` have to go for a pod that is short of ``resource`` first of all; nobody, where there is room."""

    victims: tuple[Object, ...] = ()
    resource: str = ""


# who has to go for a new pod, given those that run; raises NoVictims
Victims = Callable[[Object, list[Object]], Preemption]


def nobody(pod: Object, others: list[Object]) -> Preemption:
    """For nodes with room for all."""
    return Preemption()


def preempt(workers: Iterable[PodWorker], resource: str, recorder: Recorder) -> None:
    """Asks them to end as Failed, each within its own grace period."""
    for worker in workers:
        recorder.event(worker.pod, "Warning", PREEMPTING, MESSAGE)
        worker.fail(PREEMPTING, MESSAGE, disruption=_DISRUPTION)
        PREEMPTIONS.labels(resource).inc()


async def gone(workers: Iterable[PodWorker], recorder: Recorder, clock: Clock) -> None:
    """Until they have ended; one that takes half as long again as its grace period is not waited for any longer."""
    await asyncio.gather(*(_gone(worker, recorder, clock) for worker in workers))


async def _gone(worker: PodWorker, recorder: Recorder, clock: Clock) -> None:
    seconds = max(_LEAST_SECONDS, 1.5 * podspec.grace_period(worker.pod))
    if not await within(clock, seconds, worker.ended.wait()):
        recorder.event(worker.pod, "Warning", "ExceededGracePeriod", _TOO_LONG)
