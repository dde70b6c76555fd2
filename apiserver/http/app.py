"""The application: the whole chain of a request in one list, and what lies at its end.

FastAPI carries the application and its typed endpoints (``/version``). The resource API is reached before FastAPI's
routing: measured, that routing would cost more than the rest of a GET.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from apiserver.aggregator.table import Aggregator
from apiserver.discovery.endpoints import Discovery
from apiserver.http import steps
from apiserver.http.endpoints.base import Parts
from apiserver.http.endpoints.routes import serve_resource
from apiserver.http.health import CHECKS, Health
from apiserver.http.message import Request, Response
from apiserver.http.protocols import AuditSink
from apiserver.http.sending import send_response
from apiserver.http.steps import Endpoint, Step
from apiserver.http.version import version_router
from apiserver.metrics.server import Metrics
from apiserver.registry.actions import ASGIApp, Receive, Scope, Send
from kubeling.api.meta import Object


@dataclass(frozen=True, slots=True)
class Outer:
    """Endpoints that are no resources. ``others`` maps a first path segment (``openapi``) to its endpoint."""

    discovery: Discovery
    health: Health
    metrics: Metrics
    version: Object
    others: dict[str, Endpoint] = field(default_factory=dict)
    aggregator: Aggregator | None = None


def chain(
    parts: Parts, in_flight: Step, metrics: Metrics, audit: AuditSink | None, request_seconds: float
) -> Sequence[Step]:
    """What every request passes, in this order."""
    services = parts.services
    return (
        metrics.requests.observe,
        steps.map_errors,
        steps.deadline(request_seconds),
        steps.authenticate(services.authenticator, metrics.security),
        steps.audit(audit),
        steps.act_as(services.authorizer),
        in_flight,
        steps.authorize(services.authorizer, metrics.security),
    )


class Chain:
    """The ASGI application in front: takes requests through the steps; what it does not know itself goes on to FastAPI's routes."""

    def __init__(
        self, app: ASGIApp, parts: Parts, outer: Outer, steps_: Sequence[Step], audit: AuditSink | None = None
    ) -> None:
        self._routes = app
        self._audit = audit
        self._parts = parts
        self._outer = outer
        endpoint: Endpoint = self._dispatch
        for step in reversed(steps_):
            endpoint = step(endpoint)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
        elif scope["type"] == "websocket":
            scope["method"] = "GET"
            request = Request(scope, receive)
        else:
            await self._routes(scope, receive, send)
            return
        response = await self._endpoint(request)
        if self._audit is None and response.stream is None and response.app is None:
            await send_response(request, response, send)
        else:
            await self._followed(request, response, send)

    async def _followed(self, request: Request, response: Response, send: Send) -> None:
        """Sends what lasts or is to be recorded."""
        audit, lasts = self._audit, steps.long_running(request)
        if audit is not None and lasts:
            audit.started(request, response)
        try:
            with self._outer.metrics.requests.lasting(request) if lasts else nullcontext():
                await send_response(request, response, send)
        finally:
            if audit is not None:
                audit.finished(request, response)

    async def _dispatch(self, request: Request) -> Response:
        aggregator = self._outer.aggregator
        if aggregator is not None and (elsewhere := aggregator.find(request)) is not None:
            return await aggregator.serve(elsewhere, request)
        if request.info.is_resource:
            return await serve_resource(self._parts, request)
        first = request.path.split("/", 2)[1]
        outer = self._outer
        if first in ("api", "apis"):
            return await outer.discovery.serve(request)
        if first in CHECKS:
            return await outer.health.serve(request)
        if first == "metrics" and request.path == "/metrics":
            return outer.metrics.response()
        other = outer.others.get(first)
        return await other(request) if other else Response(app=self._routes)


class Application(FastAPI):
    """FastAPI with the chain in front of everything else that it wraps its routes in."""

    def __init__(self, in_front: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._in_front = in_front

    def build_middleware_stack(self) -> Any:
        stack: Any = super().build_middleware_stack()
        return self._in_front(stack)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """The chain at once: what FastAPI and Starlette put before it is for their own routes, and it makes those ready."""
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        return self.middleware_stack(scope, receive, send)


def build_app(
    parts: Parts,
    outer: Outer,
    in_flight: Step,
    audit: AuditSink | None = None,
    request_seconds: float = steps.REQUEST_SECONDS,
) -> FastAPI:
    """The ASGI application of a server. ``request_seconds``: how long a request may take that is not meant to last."""
    steps_ = chain(parts, in_flight, outer.metrics, audit, request_seconds)
    app = Application(
        lambda routes: Chain(routes, parts, outer, steps_, audit),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(version_router(outer.version))
    return app
