"""Sends pod statuses to the API server: the newest of each pod, once per change, and deletes pods that have ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.pods.conditions import OWN, PASSING, SOMETIMES
from kubelet.pods.metrics import STATUS_SECONDS
from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Object, name_of, namespace_of, uid_of
from kubeling.api.resources import PODS
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client, PatchKind

log = logging.getLogger(__name__)
_RETRY_FIRST, _RETRY_MAX = 0.5, 10.0
_FOR_GOOD = (400, 405, 413, 415, 422)  # what the same status would be answered again


def status_patch(pod: Object, status: Object) -> Object:
    """A strategic merge patch from what the API has to ``status``; empty when there is no difference.

    Conditions merge by type, so others' are never touched; the UID keeps it off a successor of the same name.
    """
    old: dict[str, Any] = pod.get("status") or {}
    changed = {k: v for k, v in status.items() if k != "conditions" and old.get(k) != v}
    for field in ("podIP", "podIPs", "message", "reason"):
        if old.get(field) and field not in status:
            changed[field] = None
    if changed.get("podIPs"):
        changed["podIPs"] = [{"$patch": "replace"}, *changed["podIPs"]] if old.get("podIPs") else changed["podIPs"]
    known = {c["type"]: c for c in old.get("conditions") or ()}
    conditions = [
        _dropping(known.get(c["type"]), c)
        for c in status.get("conditions") or ()
        if c["type"] in (*OWN, *PASSING, *SOMETIMES) and _differs(known.get(c["type"]), c)
    ]
    said = {c["type"] for c in status.get("conditions") or ()}
    conditions += [{"type": t, "$patch": "delete"} for t in PASSING if t in known and t not in said]
    if conditions:
        changed["conditions"] = conditions
    return {"metadata": {"uid": uid_of(pod)}, "status": changed} if changed else {}


def _dropping(old: Object | None, new: Object) -> Object:
    """The condition as a merge patch: what it no longer says is null."""
    return new | {k: None for k in ("reason", "message") if (old or {}).get(k) and k not in new}


def _differs(old: Object | None, new: Object) -> bool:
    def told(condition: Object) -> Object:
        return {k: v for k, v in condition.items() if v not in (None, "")}

    return old is None or told(old) != told(new)


class StatusReporter:
    """``latest`` finds a pod's newest API object (a static pod's mirror), None when there is none."""

    def __init__(self, client: Client, latest: Callable[[Object], Object | None], clock: Clock) -> None:
        self._client, self._latest, self._clock = client, latest, clock
        self._pending: dict[str, tuple[Object, Object]] = {}
        self._since: dict[str, float] = {}  # when the oldest status that the API lacks came up
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._sent: dict[str, tuple[Object, Object]] = {}  # uid: last status sent, and the object that came back

    def publish(self, pod: Object, status: Object) -> None:
        """Sends the status soon; a newer one takes its place."""
        uid = uid_of(pod)
        self._pending[uid] = (pod, status)
        self._since.setdefault(uid, self._clock.monotonic())
        if uid not in self._busy:
            self._busy[uid] = asyncio.create_task(self._drain(uid), name=f"status {podspec.format_pod(pod)}")

    async def _drain(self, uid: str) -> None:
        delay = _RETRY_FIRST
        try:
            while uid in self._pending:
                pod, status = self._pending.pop(uid)
                since = self._since.pop(uid)
                try:
                    if await self._send(uid, pod, status):
                        STATUS_SECONDS.observe(self._clock.monotonic() - since)
                    delay = _RETRY_FIRST
                except (ClientError, StatusError) as err:
                    if is_not_found(err):
                        continue
                    if isinstance(err, StatusError) and err.code in _FOR_GOOD:
                        # told again with the next sync; a pod whose status nobody takes may go without
                        log.warning("Status of pod %s is refused: %s", podspec.format_pod(pod), err)
                        continue
                    level = logging.DEBUG if is_conflict(err) else logging.WARNING
                    log.log(level, "Status of pod %s: %s; trying again", podspec.format_pod(pod), err)
                    self._pending.setdefault(uid, (pod, status))
                    self._since[uid] = since
                    await self._clock.sleep(delay)
                    delay = min(delay * 2, _RETRY_MAX)
        finally:
            self._busy.pop(uid, None)

    async def _send(self, uid: str, pod: Object, status: Object) -> bool:
        """Whether there was anything to tell."""
        target = self._newest(uid, pod)
        patch = status_patch(target, status) if target is not None else None
        if target is None or not patch:
            return False
        answer = await self._client.patch(
            PODS, name_of(target), patch, namespace_of(target), kind=PatchKind.STRATEGIC, subresource="status"
        )
        self._sent[uid] = (status, answer)
        return True

    def _newest(self, uid: str, pod: Object) -> Object | None:
        """The API's object: the watch's, unless our last write answered with a newer one."""
        seen = self._latest(pod)
        if seen is None:
            return None
        mine = self._sent.get(uid)
        if mine is not None and uid_of(mine[1]) == uid_of(seen) and _version(mine[1]) > _version(seen):
            return mine[1]
        return seen

    async def finish(self, pod: Object, status: Object) -> None:
        """The pod has ended: its last status, then its API object is deleted. Returns when both are done."""
        uid = uid_of(pod)
        self.publish(pod, status)
        while (task := self._busy.get(uid)) is not None:
            await asyncio.wait([task])
        delay = _RETRY_FIRST
        while (target := self._latest(pod)) is not None:
            try:
                await self._client.delete(
                    PODS, name_of(target), namespace_of(target), grace_period_seconds=0, uid=uid_of(target)
                )
                break
            except StatusError as err:
                if is_not_found(err) or is_conflict(err):
                    break
                log.warning("Deleting pod %s: %s; trying again", podspec.format_pod(pod), err)
            except ClientError as err:
                log.warning("Deleting pod %s: %s; trying again", podspec.format_pod(pod), err)
            await self._clock.sleep(delay)
            delay = min(delay * 2, _RETRY_MAX)
        self.forget(uid)

    async def close(self) -> None:
        """What has not been sent is worked out anew by the next kubelet."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self, uid: str) -> None:
        self._sent.pop(uid, None)
        self._pending.pop(uid, None)
        self._since.pop(uid, None)


class NoReporter:
    """Without an API server a pod's status is told to nobody."""

    def publish(self, pod: Object, status: Object) -> None:
        log.debug("Pod %s is %s", name_of(pod), status.get("phase"))

    async def finish(self, pod: Object, status: Object) -> None:
        self.publish(pod, status)

    async def close(self) -> None:
        """There is nothing to send."""


def _version(obj: Object) -> int:
    text = (obj.get("metadata") or {}).get("resourceVersion") or "0"
    return int(text) if text.isdigit() else 0
