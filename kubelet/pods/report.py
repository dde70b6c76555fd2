"""What is told of one pod: why its containers wait, and its status whenever that changes."""

from __future__ import annotations

from collections.abc import Mapping

from kubelet.pods import spec as podspec
from kubelet.pods.actions import PodActions
from kubelet.pods.conditions import OWN, PASSING
from kubelet.pods.current import CurrentPod
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.kit import Kit
from kubelet.pods.messages import TerminationMessages
from kubelet.pods.phase import is_terminal
from kubelet.pods.status import Facts, Waiting, not_yet_terminal, pod_status
from kubelet.pods.terminations import Terminations
from kubelet.runtime.records import ImageRecord, PodRecord
from kubeling.api.meta import Object

_OURS = (*OWN, *PASSING, "AllContainersRestarting")
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_CARRIED = {"phase", "reason", "message", "startTime", "qosClass", "podIP", *_STATUSES}


class PodReport:
    """One pod's; ``last`` is the status told last."""

    def __init__(self, current: CurrentPod, kit: Kit) -> None:
        self._current, self._kit = current, kit
        self._waiting: dict[str, Waiting] = {}
        self._told_backoff: dict[str, str] = {}
        self._messages = TerminationMessages(kit.runtime, kit.pods_folder)
        self._images: dict[str, ImageRecord] = {}
        self.last: Object = current.pod.get("status") or {}
        self._terminations = Terminations(self.last)

    # --- why containers wait -------------------------------------------------------------------------------------

    def failed(self, name: str, why: ContainerFailure) -> None:
        """The container did not start."""
        self._waiting[name] = Waiting(why.reason, why.message)

    def started(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._told_backoff.pop(name, None)

    def held_back(self, actions: PodActions) -> None:
        """CrashLoopBackOff for those held back; told once for every new delay."""
        current, backoff = self._current, self._kit.backoff
        for name in actions.waiting:
            container = podspec.container_named(current.pod, name)
            if container is None:
                continue
            seconds = int(backoff.delay(current.backoff_key(container)).total_seconds())
            shown = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
            pod = podspec.format_pod(current.pod)
            self._waiting[name] = Waiting(
                "CrashLoopBackOff", f"back-off {shown} restarting failed container={name} pod={pod}"
            )
            record = str(actions.waiting[name])
            if self._told_backoff.get(name) != record:
                self._told_backoff[name] = record
                message = f"Back-off restarting failed container {name} in pod {pod}"
                self._kit.starter.tell(current.pod, container, "Warning", "BackOff", message)

    def _waiting_now(self, observed: PodRecord) -> Mapping[str, Waiting]:
        running = {c.name for c in observed.running}
        return {name: why for name, why in self._waiting.items() if name not in running}

    # --- the status ----------------------------------------------------------------------------------------------

    def base(self) -> Object:
        """The pod as it may run now, with the status that was told last."""
        return {**self._current.allocated, "status": {**(self._current.pod.get("status") or {}), **self._carried()}}

    async def publish(self, observed: PodRecord, *, terminal: bool = False, restarting: bool = False) -> None:
        """Brings the probes up to date and sends the status, when it differs from the last.

        A pod whose containers are all done is asked to end; its terminal phase is told when nothing of it runs any more.
        """
        kit, current = self._kit, self._current
        uid, end = current.ref.uid, current.end
        kit.probes.follow(
            current.pod, observed, current.ip(observed), current.pace.wake, ending=terminal or current.ending
        )
        verdicts = kit.probes.verdicts(uid, observed)
        await self._know_images(observed)
        facts = Facts(
            now=kit.clock.now(),
            host_ip=kit.node.ip,
            waiting=self._waiting_now(observed),
            ready=kit.probes.ready(uid),
            started=verdicts.started,
            messages=await self._messages.of(current.pod, observed),
            images=self._images,
            conditions=current.allocation.conditions,
            disruption=end.disruption if terminal else "",
            reason=end.reason if terminal else "",
            message=end.message if terminal else "",
            restarting=restarting,
            terminal=terminal,
            refused=end.refused,
            start_time=current.start_time,
        )
        base = self.base()
        status = pod_status(base, observed, facts)
        if is_terminal(status) and not (terminal or end.refused or is_terminal(base["status"])):
            current.ask_end()
            if not observed.running:
                return  # its end is told at once
            status = not_yet_terminal(status, base["status"])
        elif is_terminal(status):
            current.ask_end()
        self.last = status
        self._terminations.count(status)
        kit.publish(current.pod, status)

    def _carried(self) -> Object:
        """Our own last status beats what the API has shown us so far; conditions of others are the API's, and so is an end."""
        shown = self._current.pod.get("status") or {}
        conditions = {c["type"]: c for c in shown.get("conditions") or ()}
        conditions |= {c["type"]: c for c in self.last.get("conditions") or () if c["type"] in _OURS}
        kept = {k: v for k, v in self.last.items() if k in _CARRIED}
        if is_terminal(shown):
            kept |= {k: shown[k] for k in ("phase", "reason", "message") if k in shown}
        return {**kept, "conditions": list(conditions.values())}

    async def _know_images(self, observed: PodRecord) -> None:
        for record in observed.containers:
            if record.image_id and record.image_id not in self._images:
                image = await self._kit.runtime.image(record.image_id)
                if image is not None:
                    self._images[record.image_id] = image

    def forget(self, observed: PodRecord) -> None:
        """The pod's containers go."""
        self._messages.forget(observed)
