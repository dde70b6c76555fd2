"""All pods of the node: a worker for each UID, fed by the sources, woken by the runtime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from kubelet.pods import spec as podspec
from kubelet.pods.allocation import retry_order
from kubelet.pods.kit import Kit
from kubelet.pods.metrics import (
    CONTAINERS_PER_POD,
    ORPHANED_PODS,
    RESTARTED_PODS,
    WORKER_START_SECONDS,
    count_rejection,
)
from kubelet.pods.room import NoVictims, Victims, gone, nobody, preempt
from kubelet.pods.within import within
from kubelet.pods.worker import PodWorker
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.runtime.records import PodRecord
from kubeling.api.duration import go_duration
from kubeling.api.meta import Key, Object, is_deleting, key_of, name_of, namespace_of, uid_of

log = logging.getLogger(__name__)
_RELIST_SECONDS = 10.0
_SECOND_LOOK_SECONDS = 2.0
_ORPHAN_GRACE = 1.0
_RECONNECT_SECONDS = 1.0
# an engine that neither answers nor fails: upstream's threshold for its look at all containers (its "PLEG")
_SILENT_SECONDS = 180.0

# why a pod may not run here, as (reason, message), or None
Refusal = tuple[str, str]
Admit = Callable[[Object, list[Object]], Refusal | None]
# reasons that may rest on an old view of the node: its labels, its taints
_DOUBTFUL = ("NodeAffinity", "TaintToleration")


async def _known_well() -> None:
    """For a node that nobody else changes."""


class PodManager:
    """``admit`` judges a new pod against those that run already; ``ready`` tells whether all sources are known.

    ``know_node`` makes sure that ``admit`` goes by the node as it is now; ``victims`` names who makes room for a critical pod.
    """

    def __init__(
        self,
        kit: Kit,
        admit: Admit,
        sources_ready: Callable[[], bool],
        know_node: Callable[[], Awaitable[None]] = _known_well,
        victims: Victims = nobody,
    ) -> None:
        self._kit, self._admit, self._sources_ready, self._know_node = kit, admit, sources_ready, know_node
        self._victims = victims
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, Object] = {}
        self._on_end: list[Callable[[], None]] = []
        self._closing = False
        self._orphans: set[str] = set()
        self._lost = asyncio.Event()  # the connection to the engine has ended: look at once
        self.runtime_error = ""
        self._looked_at = kit.clock.monotonic()

    # --- sources -------------------------------------------------------------------------------------------------

    def put(self, pod: Object) -> None:
        """A pod is new or has changed."""
        uid = uid_of(pod)
        worker = self._workers.get(uid)
        if worker is not None and worker.gone:
            self._again[uid] = (
                pod  # a manifest that was removed has come back: a new life begins when the old one is over
            )
            worker.returns = True
            return
        if worker is not None:
            worker.update(pod)
            return
        worker = self._workers[uid] = PodWorker(pod, self._kit)
        status = pod.get("status") or {}
        new = not is_deleting(pod) and status.get("phase") in (None, "", "Pending") and not status.get("startTime")
        refusal = self._judge(worker) if new else None
        doubtful = refusal is not None and refusal[0] in _DOUBTFUL
        leaving = self._decide(worker, refusal) if new and not doubtful else []
        CONTAINERS_PER_POD.observe(len(podspec.containers(pod)))
        name = f"pod {podspec.format_pod(pod)}"
        self._tasks[uid] = asyncio.create_task(self._run(worker, leaving, doubtful=doubtful), name=name)

    def _others(self, worker: PodWorker) -> list[PodWorker]:
        return [w for w in self.active() if w is not worker]

    def _judge(self, worker: PodWorker) -> Refusal | None:
        return self._admit(worker.pod, [w.allocated for w in self._others(worker)])

    def _decide(self, worker: PodWorker, refusal: Refusal | None) -> list[PodWorker]:
        """Refuses the pod, or lets it in; those that make room for it are asked to end."""
        if refusal is not None:
            self._refuse(worker, refusal)
            return []
        others = {w.ref.uid: w for w in self._others(worker)}
        try:
            found = self._victims(worker.pod, [w.allocated for w in others.values()])
        except NoVictims as err:
            self._refuse(worker, err.refusal)
            return []
        leaving = [others[uid_of(victim)] for victim in found.victims]
        preempt(leaving, found.resource, self._kit.recorder)
        return leaving

    def _refuse(self, worker: PodWorker, refusal: Refusal) -> None:
        count_rejection(refusal[0])
        self._kit.recorder.event(worker.pod, "Warning", *refusal)
        worker.refuse(refusal[0], f"Pod was rejected: {refusal[1]}")

    async def _look_again(self, worker: PodWorker) -> list[PodWorker]:
        """A label set just before the pod was bound may not have reached us: the node is asked for first."""
        await self._know_node()
        return self._decide(worker, self._judge(worker))

    def drop(self, pod: Object) -> None:
        """A pod has gone from its source."""
        self._again.pop(uid_of(pod), None)
        worker = self._workers.get(uid_of(pod))
        if worker is not None:
            worker.returns = False
            worker.remove()

    async def _run(self, worker: PodWorker, leaving: list[PodWorker], *, doubtful: bool) -> None:
        """``leaving`` are those that make room for it."""
        uid, seen = worker.ref.uid, self._kit.clock.monotonic()
        try:
            if podspec.is_static(worker.pod):
                await self._after_predecessors(worker)
            if doubtful:
                leaving = await self._look_again(worker)
            if leaving:
                await worker.unless_ending(gone(leaving, self._kit.recorder, self._kit.clock))
            WORKER_START_SECONDS.observe(self._kit.clock.monotonic() - seen)
            await worker.run()
        except Exception:
            log.exception("Pod %s", podspec.format_pod(worker.pod))
            raise
        finally:
            self._workers.pop(uid, None)
            self._tasks.pop(uid, None)
            waiting = [w for w in self._workers.values() if w.waits_for_room]
            for other in sorted(waiting, key=lambda w: retry_order(w.pod, w.allocated)):
                other.wake()
            if (pod := self._again.pop(uid, None)) is not None and not self._closing:
                RESTARTED_PODS.labels("true" if podspec.is_static(pod) else "").inc()
                self.put(pod)
            for told in self._on_end:
                told()

    async def _after_predecessors(self, worker: PodWorker) -> None:
        """A static pod that takes another's name begins when that one has gone."""
        name = (worker.ref.namespace, worker.ref.name)
        for uid, other in list(self._workers.items()):
            if other is worker:
                return
            if (other.ref.namespace, other.ref.name) == name and (task := self._tasks.get(uid)) is not None:
                await asyncio.wait([task])

    def follow_ends(self, ended: Callable[[], None]) -> None:
        """Tells whenever a pod is over."""
        self._on_end.append(ended)

    # --- questions -----------------------------------------------------------------------------------------------

    def leaving(self, key: Key) -> bool:
        """Whether a pod of that name has gone from its source and is not over yet."""
        return any(w.gone and key_of(w.pod) == key for w in self._workers.values())

    def pods(self) -> list[Object]:
        return [w.pod for w in self._workers.values()]

    def workers(self) -> Iterable[PodWorker]:
        return list(self._workers.values())

    def active(self) -> Iterable[PodWorker]:
        return [w for w in self._workers.values() if not w.ending]

    def worker(self, uid: str) -> PodWorker | None:
        return self._workers.get(uid)

    def find(self, namespace: str, name: str) -> Object | None:
        """The pod of that name; while two share it, the one that is not ending."""
        found = [w for w in self._workers.values() if namespace_of(w.pod) == namespace and name_of(w.pod) == name]
        return min(found, key=lambda w: w.ending).pod if found else None

    @property
    def problem(self) -> str:
        """Why no pod can be run here at present: what the engine said, or that it has said nothing for too long."""
        silent = self._kit.clock.monotonic() - self._looked_at
        if self.runtime_error or silent <= _SILENT_SECONDS:
            return self.runtime_error
        threshold = go_duration(_SILENT_SECONDS)
        return f"PLEG is not healthy: pleg was last seen active {go_duration(silent)} ago; threshold is {threshold}"

    def refresh(self, uid: str) -> None:
        """Something that the pod's volumes show has changed."""
        if (worker := self._workers.get(uid)) is not None:
            worker.refresh_volumes()

    # --- the runtime ---------------------------------------------------------------------------------------------

    async def follow_runtime(self) -> None:
        """Wakes workers at every event; connects again when the engine comes back."""
        while True:
            try:
                async for event in self._kit.runtime.events():
                    if event.action == "die":
                        self._kit.exits.tell(event.container_id)
                    if (worker := self._workers.get(event.pod_uid)) is not None:
                        worker.wake()
            except (RuntimeFailure, OSError) as err:
                log.debug("Runtime events: %s", err)
            self._lost.set()
            await self._kit.clock.sleep(_RECONNECT_SECONDS)

    async def relist(self) -> None:
        """Every few seconds: catches what no event told, and ends containers that no pod wants."""
        seen: dict[str, PodRecord] = {}
        while True:
            try:
                current = await self._kit.runtime.pods()
                self._looked_at = self._kit.clock.monotonic()
                self._engine_answers()
            except RuntimeFailure as err:
                self.runtime_error = str(err)
                await self._kit.clock.sleep(_RECONNECT_SECONDS)
                continue
            for uid in {u for u in current.keys() | seen.keys() if current.get(u) != seen.get(u)}:
                if (worker := self._workers.get(uid)) is not None:
                    worker.wake()
            seen = current
            if self._sources_ready():
                await self._collect_orphans(current)
            await self._until_next_look(_SECOND_LOOK_SECONDS if self._orphans else _RELIST_SECONDS)

    async def _until_next_look(self, seconds: float) -> None:
        await within(self._kit.clock, seconds, self._lost.wait())

    def _engine_answers(self) -> None:
        """Wakes every worker when the engine was away: each went to sleep over it."""
        if self.runtime_error or self._lost.is_set():
            self.runtime_error = ""
            self._lost.clear()
            for worker in self._workers.values():
                worker.try_again()

    async def _collect_orphans(self, current: dict[str, PodRecord]) -> None:
        """Ends containers of unknown pods that were there at two looks, then removes them and their folders."""
        unknown = {uid for uid in current if uid not in self._workers}
        left = [*await self._kit.volumes.leftovers(), *await self._kit.cgroups.leftovers()]
        unknown |= {uid for uid in left if uid not in self._workers}
        await asyncio.gather(*(self._remove_safely(uid, current.get(uid)) for uid in unknown & self._orphans))
        self._orphans = unknown

    async def _remove_safely(self, uid: str, record: PodRecord | None) -> None:
        try:
            await self._remove_orphan(uid, record)
        except (RuntimeFailure, OSError) as err:
            log.warning("Removing what is left of pod %s: %s", uid, err)

    async def _remove_orphan(self, uid: str, record: PodRecord | None) -> None:
        runtime = self._kit.runtime
        if record is not None:
            ORPHANED_PODS.inc()
            log.info("Pod %s/%s is unknown here: removing its containers", record.pod.namespace, record.pod.name)
            for container in record.running:
                await runtime.signal(container.id, "")
            await asyncio.gather(*(self._kit.exits.wait(c.id, _ORPHAN_GRACE) for c in record.running))
            for container in record.containers:
                await runtime.remove_container(container.id)
            for sandbox in record.sandboxes:
                await runtime.remove_sandbox(sandbox.id)
        await self._kit.logs.remove(uid)  # before the folder that tells whose they are
        await self._kit.volumes.tear_down(uid)
        await self._kit.cgroups.remove(uid)
        self._kit.release(uid)

    async def close(self) -> None:
        """Stops the workers; their containers go on."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._kit.probes.close()
