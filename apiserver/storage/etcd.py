"""etcd v3 behind the ``Storage`` contract: the only module that knows gRPC.

``aetcd`` brings the protocol's messages and stubs; requests are built here, because transactions return
the
conflicting value in the same round trip and the watch has to hand on whole responses with their revisions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aetcd
import grpc

from apiserver.storage.base import (
    Change,
    Compacted,
    Conflict,
    FutureRevision,
    KeyValue,
    Page,
    StorageError,
    Unavailable,
)

rpc: Any = aetcd.rpc  # generated messages and stubs, untyped

PAGE = 500
"""Keys of one range request when reading everything (etcd answers in one message)."""
LEASE_REUSE_SECONDS = 60
LEASE_REUSE_SHARE = 0.05
"""Keys with a time to live share a lease for at most so many seconds, and no more than this share of their time
(upstream: LeaseManagerConfig)."""
_TIMEOUT = 10.0
_CHANNEL_OPTIONS = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.minimal_stack": 1,  # without filters that etcd has no use for: a tenth of a call's cost
    "grpc.enable_deadline_checking": 1,
}


@dataclass(frozen=True, slots=True)
class EtcdTLS:
    """PEM files: etcd's certificate authority (the system's when empty), our client certificate and its key."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises OSError when a file cannot be read."""
        ca, cert, key = (Path(f).read_bytes() if f else None for f in (self.ca_file, self.cert_file, self.key_file))
        return grpc.ssl_channel_credentials(ca, key, cert)


def open_channel(url: str, tls: EtcdTLS) -> Any:
    """A channel to ``https://127.0.0.1:2379``; without a scheme, or with http, it is not encrypted."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    target = f"{parts.hostname or '127.0.0.1'}:{parts.port or 2379}"
    options = list(_CHANNEL_OPTIONS.items())
    if parts.scheme == "https":
        return rpc.secure_channel(target, tls.credentials(), options=options)
    return rpc.insecure_channel(target, options=options)


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all keys that start with the prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


class EtcdStorage:
    """Storage in an etcd cluster; connect with ``connect``."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._kv = rpc.KVStub(channel)
        self._watch = rpc.WatchStub(channel)
        self._lease = rpc.LeaseStub(channel)
        self._leases: dict[int, tuple[int, float]] = {}

    @classmethod
    async def connect(cls, urls: Sequence[str], timeout: float = 20.0, tls: EtcdTLS | None = None) -> EtcdStorage:
        """Connects to the first endpoint that answers. Raises ``Unavailable`` after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            for url in urls:
                channel = open_channel(url, tls or EtcdTLS())
                storage = cls(channel)
                try:
                    await storage.revision()
                except StorageError:
                    await channel.close()
                else:
                    return storage
            if time.monotonic() > deadline:
                raise Unavailable(f"etcd does not answer at {', '.join(urls)}")
            await asyncio.sleep(0.1)

    async def revision(self) -> int:
        request = rpc.RangeRequest(key=b"\0", count_only=True)
        response = await self._call(self._kv.Range(request, timeout=_TIMEOUT))
        return int(response.header.revision)

    async def get(self, key: str) -> KeyValue | None:
        response = await self._call(self._kv.Range(rpc.RangeRequest(key=key.encode()), timeout=_TIMEOUT))
        return _first(response.kvs)

    async def page(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        start, end = (after or prefix).encode(), prefix_end(prefix.encode())
        if limit:
            return await self._page(start, end, limit, revision)
        items: list[KeyValue] = []
        while True:
            part = await self._page(start, end, PAGE, revision)
            items.extend(part.items)
            if not part.remaining:
                return Page(items, revision or part.revision, 0)
            revision = revision or part.revision
            start = part.items[-1].key.encode() + b"\0"

    async def _page(self, start: bytes, end: bytes, limit: int, revision: int) -> Page:
        request = rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)
        response = await self._call(self._kv.Range(request, timeout=_TIMEOUT))
        items = [KeyValue(kv.key.decode(), kv.value, kv.mod_revision) for kv in response.kvs]
        remaining = response.count - len(items) if response.more else 0
        return Page(items, response.header.revision, remaining)

    async def put(self, key: str, value: bytes, expected: int, ttl: int = 0) -> int:
        lease = await self._lease_for(ttl) if ttl else 0
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key.encode(), value=value, lease=lease))
        return await self._guarded(key, expected, put)

    async def delete(self, key: str, expected: int) -> int:
        delete = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key.encode()))
        return await self._guarded(key, expected, delete)

    async def _guarded(self, key: str, expected: int, operation: Any) -> int:
        name = key.encode()
        request = rpc.TxnRequest(
            compare=[
                rpc.Compare(key=name, target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=expected),
            ],
            success=[operation],
            failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=name))],
        )
        response = await self._call(self._kv.Txn(request, timeout=_TIMEOUT))
        if not response.succeeded:
            raise Conflict(_first(response.responses[0].response_range.kvs))
        return int(response.header.revision)

    async def _lease_for(self, ttl: int) -> int:
        lease, until = self._leases.get(ttl, (0, 0.0))
        if not lease or time.monotonic() > until:
            reuse = min(LEASE_REUSE_SECONDS, int(ttl * LEASE_REUSE_SHARE))
            request = rpc.LeaseGrantRequest(TTL=ttl + reuse)
            lease = (await self._call(self._lease.LeaseGrant(request, timeout=_TIMEOUT))).ID
            self._leases[ttl] = (lease, time.monotonic() + reuse)
        return int(lease)

    async def watch(self, after: int) -> AsyncIterator[Sequence[Change]]:
        create = rpc.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=after + 1, fragment=True)
        call = self._watch.Watch(_open_stream(rpc.WatchRequest(create_request=create)))
        batch: list[Change] = []
        try:
            async for response in call:
                if response.canceled:
                    if response.compact_revision:
                        raise Compacted(response.compact_revision)
                    raise Unavailable(response.cancel_reason or "etcd ended the watch")
                batch.extend(_changes(response.events))
                if not response.fragment and batch:
                    yield batch
                    batch = []
            raise Unavailable("etcd ended the watch")
        except grpc.aio.AioRpcError as err:
            raise _translated(err) from err
        finally:
            call.cancel()

    async def compact(self, revision: int) -> None:
        try:
            await self._call(self._kv.Compact(rpc.CompactionRequest(revision=revision), timeout=_TIMEOUT))
        except Compacted:
            return

    async def close(self) -> None:
        await self._channel.close()

    @staticmethod
    async def _call(call: Awaitable[Any]) -> Any:
        try:
            return await call
        except grpc.aio.AioRpcError as err:
            raise _translated(err) from err


async def _open_stream(request: Any) -> AsyncIterator[Any]:
    """The client's side of a watch stream: one request, then silence until the call is cancelled."""
    yield request
    await asyncio.Event().wait()


def _first(kvs: Sequence[Any]) -> KeyValue | None:
    return KeyValue(kvs[0].key.decode(), kvs[0].value, kvs[0].mod_revision) if kvs else None


def _changes(events: Iterable[Any]) -> list[Change]:
    return [
        Change(e.kv.key.decode("utf-8", "replace"), e.kv.value if e.type == 0 else None, e.kv.mod_revision)
        for e in events
    ]


def _translated(err: grpc.aio.AioRpcError) -> StorageError:
    details = err.details() or ""
    if err.code() == grpc.StatusCode.OUT_OF_RANGE:
        return Compacted() if "compacted" in details else FutureRevision(details)
    if err.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable("etcdserver: request timed out")
    name = err.code().name.title().replace("_", "")
    return Unavailable(f"rpc error: code = {name} desc = {details}")
