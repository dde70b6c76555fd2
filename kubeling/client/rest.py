"""The REST client: typed by ``Resource``, objects as dicts, failures as ``StatusError`` or ``ConnectionFailed``."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from kubeling.api.errors import StatusError, failure
from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.client import kubeconfig, requests
from kubeling.client.requests import PatchKind, Request
from kubeling.client.throttle import Throttle
from kubeling.client.transport import Transport
from kubeling.client.watch import WatchEvent, events

__all__ = ["Client", "PatchKind", "WatchEvent"]

MAX_RETRIES = 10  # client-go's, for answers that carry Retry-After
WATCH_IDLE_MARGIN = 60.0  # seconds of silence allowed beyond a watch's own time limit
PAGE = 500


class Client:
    """One server's API. Answers 429 and 503 with Retry-After are retried; everything else is the caller's to decide."""

    def __init__(self, transport: Transport, *, user_agent: str = "kubeling") -> None:
        self._transport = transport
        self._agent = {"User-Agent": user_agent} if user_agent != "kubeling" else {}

    @classmethod
    def from_kubeconfig(cls, path: str | Path, *, context: str = "", user_agent: str = "kubeling") -> Client:
        """A client for a kubeconfig's context. Raises KubeconfigError."""
        return cls(Transport.of(kubeconfig.load(path, context), user_agent=user_agent))

    @classmethod
    def in_cluster(cls, *, user_agent: str = "kubeling") -> Client:
        """A client for the pod's own service account. Raises KubeconfigError outside a pod."""
        return cls(Transport.of(kubeconfig.in_cluster(), user_agent=user_agent))

    def lent(self, *, user_agent: str, throttle: Throttle | None = None) -> Client:
        """The same identity and connections under another agent's name, with a limit of its own. Close the first only."""
        return Client(self._transport.throttled(throttle), user_agent=user_agent)

    def renew(self, credentials: kubeconfig.Credentials) -> None:
        """Goes on with another certificate for the same server; watches resume by themselves. Raises KubeconfigError."""
        self._transport.renew(credentials)

    async def get(
        self, resource: Resource, name: str, namespace: str = "", *, subresource: str = "", **params: str
    ) -> Object:
        path = requests.object_path(resource, name, namespace, subresource)
        return await self._object(requests.make("GET", path, params, verb="get"))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
        **params: str,
    ) -> Object:
        """The List object; its items carry no apiVersion and kind of their own where the server leaves them out."""
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": limit,
            "continue": continue_,
            "resourceVersion": resource_version,
            **params,
        }
        return await self._object(
            requests.make("GET", requests.collection_path(resource, namespace), query, verb="list")
        )

    async def list_items(self, resource: Resource, namespace: str = "", **selectors: str) -> builtins.list[Object]:
        """Every item, page by page, with apiVersion and kind filled in."""
        items: builtins.list[Object] = []
        token = ""
        while True:
            page = await self.list(resource, namespace, limit=PAGE, continue_=token, **selectors)
            items += (requests.with_type(resource, item) for item in page.get("items") or ())
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return items

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        **params: str,
    ) -> Object:
        """Creates the object, by default in its own namespace; ``name`` is a subresource's parent."""
        return await self._object(requests.create(resource, obj, namespace, name, subresource, params))

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "", **params: str) -> Object:
        return await self._object(requests.update(resource, obj, subresource, params))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        **params: str,
    ) -> Object:
        path = requests.object_path(resource, name, namespace, subresource)
        query = {"fieldManager": field_manager, "force": force, **params}
        return await self._object(requests.make("PATCH", path, query, patch, kind.value, "patch"))

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        propagation_policy: str = "",
        grace_period_seconds: int | None = None,
        uid: str = "",
        resource_version: str = "",
        **params: str,
    ) -> Object:
        """Deletes, ``uid`` and ``resource_version`` as preconditions. Answers the object, or a Status."""
        options = requests.delete_options(propagation_policy, grace_period_seconds, uid, resource_version)
        path = requests.object_path(resource, name, namespace)
        return await self._object(requests.make("DELETE", path, params, options, verb="delete"))

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        **options: Any,
    ) -> Object:
        """Deletes what the selectors match; ``options`` as ``delete`` takes them."""
        body = requests.delete_options(
            options.get("propagation_policy", ""),
            options.get("grace_period_seconds"),
            options.get("uid", ""),
            options.get("resource_version", ""),
        )
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        path = requests.collection_path(resource, namespace)
        return await self._object(requests.make("DELETE", path, query, body, verb="deletecollection"))

    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 0,
        bookmarks: bool = True,
        send_initial_events: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """The events after ``resource_version``, until the server ends the watch.

        Raises StatusError (410 when the version is too old) or ConnectionFailed. Close the iterator to end it early.
        """
        query = {
            "watch": True,
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": timeout_seconds,
            "allowWatchBookmarks": bookmarks,
            "sendInitialEvents": send_initial_events,
            "resourceVersionMatch": "NotOlderThan" if send_initial_events else "",
        }
        request = self._with_agent(requests.make("GET", requests.collection_path(resource, namespace), query))
        idle = timeout_seconds + WATCH_IDLE_MARGIN if timeout_seconds else None
        async with self._transport.stream(request, idle_seconds=idle) as (status, _, chunks):
            if status >= 300:
                raise error_of(status, b"".join([chunk async for chunk in chunks]))
            async for event in events(chunks):
                yield event

    async def request(
        self, method: str, path: str, *, params: Any = None, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Any other request; answers decoded JSON, or text where the answer is none."""
        made = requests.make(method, path, params or {}, body, (headers or {}).get("Content-Type", ""))
        merged = {**made.headers, **(headers or {})}
        answer = await self._send(Request(method, path, made.params, made.body, merged))
        kind = answer.headers.get("content-type", "")
        return orjson.loads(answer.body) if "json" in kind and answer.body else answer.body.decode(errors="replace")

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _with_agent(self, request: Request) -> Request:
        if not self._agent:
            return request
        headers = {**self._agent, **request.headers}
        return Request(request.method, request.path, request.params, request.body, headers, request.verb)

    async def _object(self, request: Request) -> Object:
        answer = await self._send(request)
        result: Object = orjson.loads(answer.body)
        return result

    async def _send(self, request: Request) -> _Answer:
        request = self._with_agent(request)
        for attempt in range(MAX_RETRIES + 1):
            status, headers, body = await self._transport.send(request)
            wait = retry_after(status, headers)
            if wait is None or attempt == MAX_RETRIES:
                break
            await asyncio.sleep(wait)
        if status >= 300:
            raise error_of(status, body)
        return _Answer(headers, body)


class _Answer:
    __slots__ = ("body", "headers")

    def __init__(self, headers: httpx.Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body


def retry_after(status: int, headers: httpx.Headers) -> float | None:
    """Seconds to wait before the same request is sent again, or None when the answer stands (client-go's rule)."""
    if status != 429 and status < 500:
        return None
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else None


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


GENERIC = {
    404: "the server could not find the requested resource",
    503: "the server is currently unable to handle the request",
}
"""What client-go says of answers that are no Status, whatever their text is."""


def error_of(status: int, body: bytes) -> StatusError:
    """The StatusError of an answer; one made from the HTTP status where the body is no Status."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        decoded = None
    if isinstance(decoded, dict) and decoded.get("kind") == "Status":
        decoded.setdefault("code", status)
        return StatusError(decoded)
    if status in GENERIC:
        return failure(status, _REASONS[status], GENERIC[status])
    text = body[:512].decode(errors="replace").strip()
    return failure(status, _REASONS.get(status, "Unknown"), text or f"the server answered {status}")
