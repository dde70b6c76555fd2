"""Service account tokens by TokenRequest, kept until 80 % of their life is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubelet.pods.spec import ref_of
from kubelet.volumes.base import VolumeError
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, parse_time
from kubeling.api.resources import SERVICE_ACCOUNTS
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

_REFRESH_AT = 0.8
_CHECK_SECONDS = 60.0
_MAX_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str
    issued: datetime
    expires: datetime

    def fresh(self, now: datetime) -> bool:
        return now < self.issued + min((self.expires - self.issued) * _REFRESH_AT, _MAX_AGE)


class TokenManager:
    """Keeps tokens as long as they are fresh; ``run`` tells whose have to be renewed."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._kept: dict[tuple[str, str, str, str, int], _Kept] = {}

    async def token(self, namespace: str, account: str, *, audience: str, seconds: int, pod: Object) -> str:
        """Raises VolumeError when there is none to be had; an old one that still holds is used then."""
        ref, now = ref_of(pod), self._clock.now()
        key = (ref.uid, namespace, account, audience, seconds)
        kept = self._kept.get(key)
        if kept is not None and kept.fresh(now):
            return kept.token
        try:
            self._kept[key] = kept = await self._request(namespace, account, audience, seconds, pod, now)
        except (StatusError, ClientError) as err:
            if kept is None or now >= kept.expires:
                raise VolumeError(f"failed to fetch token: {err}") from err
        return kept.token

    async def _request(
        self, namespace: str, account: str, audience: str, seconds: int, pod: Object, now: datetime
    ) -> _Kept:
        ref = ref_of(pod)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": ref.name, "uid": ref.uid},
            },
        }
        answer = await self._client.create(SERVICE_ACCOUNTS, request, namespace, name=account, subresource="token")
        status = answer["status"]
        return _Kept(status["token"], now, parse_time(status["expirationTimestamp"]))

    def release(self, pod_uid: str) -> None:
        self._kept = {k: v for k, v in self._kept.items() if k[0] != pod_uid}

    async def run(self, refresh: Callable[[str], None]) -> None:
        """Every minute, ``refresh`` is told the UIDs of pods with a token that is due for a new one."""
        while True:
            await self._clock.sleep(_CHECK_SECONDS)
            for uid in self.stale_pods():
                refresh(uid)

    def stale_pods(self) -> set[str]:
        """Pods with a token that is due for a new one."""
        now = self._clock.now()
        return {key[0] for key, kept in self._kept.items() if not kept.fresh(now)}


class NoTokens:
    """A kubelet without an API server."""

    async def token(self, namespace: str, account: str, *, audience: str, seconds: int, pod: Object) -> str:
        raise VolumeError("failed to fetch token: there is no API server")

    def release(self, pod_uid: str) -> None:
        """Nothing is kept."""

    async def run(self, refresh: Callable[[str], None]) -> None:
        """No token grows old."""
