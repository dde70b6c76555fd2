"""Leader election on a Lease, as client-go does it.

The holder renews every ``retry`` seconds. Others take over when the record has not changed for ``duration`` seconds by their
own clock. A holder that could not renew for ``deadline`` seconds stops leading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Object, rfc3339_micro
from kubeling.api.resources import LEASES
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import ClientError
from kubeling.client.events import Recorder
from kubeling.client.metrics import METRICS, ClientMetrics
from kubeling.client.rest import Client

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: ``duration`` of a lease, ``deadline`` of renewing, ``retry`` between attempts."""

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0


def next_record(spec: Object | None, identity: str, times: LeaseTimes, now: datetime) -> Object:
    """The Lease spec that makes ``identity`` the holder at ``now``, from the one there is."""
    old = spec or {}
    ours = old.get("holderIdentity") == identity
    transitions = int(old.get("leaseTransitions") or 0)
    return {
        **old,
        "holderIdentity": identity,
        "leaseDurationSeconds": int(times.duration),
        "acquireTime": old.get("acquireTime") if ours and old.get("acquireTime") else rfc3339_micro(now),
        "renewTime": rfc3339_micro(now),
        "leaseTransitions": transitions if ours or spec is None else transitions + 1,
    }


class LeaderElector:
    """Runs ``lead`` while this process holds the Lease ``namespace/name``; ``identity`` must be unique."""

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        identity: str,
        namespace: str = "kube-system",
        times: LeaseTimes | None = None,
        release_on_cancel: bool = True,
        recorder: Recorder | None = None,
        clock: Clock | None = None,
        metrics: ClientMetrics = METRICS,
    ) -> None:
        self._client = client
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._times = times or LeaseTimes()
        self._release = release_on_cancel
        self._recorder = recorder
        self._clock = clock or SystemClock()
        self._gauge = metrics.leader.labels(name)
        self._lease: Object | None = None
        self._seen_at = 0.0  # monotonic time at which the record last changed for us
        self._renewed_at = 0.0
        self._stale = True  # the lease must be read before it is written
        self._complained = False  # an outage is told once
        self._gauge.set(0)

    @property
    def leading(self) -> bool:
        """True while the record names us and we have renewed it in time."""
        spec = (self._lease or {}).get("spec") or {}
        fresh = self._clock.monotonic() - self._renewed_at < self._times.deadline
        return spec.get("holderIdentity") == self._identity and fresh

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease, leads, and returns when leadership is lost; cancelling gives the lease back."""
        try:
            while not await self._attempt():
                await self._clock.sleep(self._times.retry)
            log.info("became leader of %s/%s as %s", self._namespace, self._name, self._identity)
            self._announce("became leader")
            self._gauge.set(1)
            await self._lead(lead)
        finally:
            self._gauge.set(0)
            if self._release:
                await self._give_back()

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        work = asyncio.ensure_future(lead())
        renewing = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            renewing.cancel()
            await asyncio.wait({work, renewing})
        if not work.cancelled() and (err := work.exception()) is not None:
            raise err

    async def _keep(self) -> None:
        """Renews until that has failed for the whole deadline."""
        while self._clock.monotonic() - self._renewed_at < self._times.deadline:
            await self._clock.sleep(self._times.retry)
            if not await self._attempt() and not self.leading:
                break
        log.error("lost the lease %s/%s", self._namespace, self._name)
        self._announce("stopped leading")

    async def _attempt(self) -> bool:
        """One try to acquire or renew; False when another holds the lease or the server does not answer."""
        try:
            async with asyncio.timeout(self._times.deadline):
                held = await self._try()
                self._complained = False
                return held
        except (StatusError, ClientError, TimeoutError) as err:
            level = logging.DEBUG if self._complained or is_conflict(err) else logging.WARNING
            log.log(level, "lease %s/%s: %s; trying again", self._namespace, self._name, err or "no answer in time")
            self._complained = self._complained or level == logging.WARNING
            return False

    async def _try(self) -> bool:
        if self._stale or self._lease is None or not self.leading:
            try:
                self._observe(await self._client.get(LEASES, self._name, self._namespace))
            except StatusError as err:
                if not is_not_found(err):
                    raise
                return self._took(await self._client.create(LEASES, self._new_lease()))
        assert self._lease is not None
        spec = self._lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self._identity and not self._expired(spec):
            return False
        wanted = {**self._lease, "spec": next_record(spec, self._identity, self._times, self._clock.now())}
        self._stale = True
        return self._took(await self._client.update(LEASES, wanted))

    def _new_lease(self) -> Object:
        metadata = {"name": self._name, "namespace": self._namespace}
        return {"metadata": metadata, "spec": next_record(None, self._identity, self._times, self._clock.now())}

    def _took(self, lease: Object) -> bool:
        self._observe(lease)
        self._stale = False
        self._renewed_at = self._clock.monotonic()
        return True

    def _observe(self, lease: Object) -> None:
        if self._lease is None or lease.get("spec") != self._lease.get("spec"):
            self._seen_at = self._clock.monotonic()
        self._lease = lease

    def _expired(self, spec: Object) -> bool:
        seconds = float(spec.get("leaseDurationSeconds") or self._times.duration)
        return self._clock.monotonic() >= self._seen_at + seconds

    def _announce(self, what: str) -> None:
        if self._recorder is not None and self._lease is not None:
            self._recorder.event(self._lease, "Normal", "LeaderElection", f"{self._identity} {what}")

    async def _give_back(self) -> None:
        """Empties the record so that the next one need not wait for the lease to expire."""
        spec = (self._lease or {}).get("spec") or {}
        if spec.get("holderIdentity") != self._identity:
            return
        now = rfc3339_micro(self._clock.now())
        released = {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": spec.get("leaseTransitions", 0),
        }
        try:
            async with asyncio.timeout(2.0):
                await self._client.update(LEASES, {**(self._lease or {}), "spec": released})
        except (StatusError, ClientError, TimeoutError) as err:
            log.debug("could not give back the lease %s/%s: %s", self._namespace, self._name, err)
