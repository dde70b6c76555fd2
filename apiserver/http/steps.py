"""The steps every request passes, each a function from the next endpoint to one that does its part and calls it.

``apiserver.http.app`` puts them in order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from time import perf_counter

from apiserver.authn.impersonation import WithoutUser, impersonate
from apiserver.authz.forbidden import forbidden
from apiserver.http.deadlines import Deadlines
from apiserver.http.encoding import error_response
from apiserver.http.message import Request, Response, text_response
from apiserver.http.protocols import Attributes, AuditSink, Authenticator, Authorizer, Credentials
from apiserver.metrics.tally import Security
from apiserver.storage.base import Unavailable
from kubeling.api import errors
from kubeling.api.errors import StatusError, failure

log = logging.getLogger("apiserver.http")

Endpoint = Callable[[Request], Awaitable[Response]]
Step = Callable[[Endpoint], Endpoint]

REQUEST_SECONDS = 60.0
_LONG_RUNNING_VERBS = ("watch", "proxy")
_LONG_RUNNING_SUBRESOURCES = ("attach", "exec", "proxy", "log", "portforward")
_UNAVAILABLE = errors.service_unavailable("the server is currently unable to handle the request")


def long_running(request: Request) -> bool:
    info = request.info
    return info.verb in _LONG_RUNNING_VERBS or (info.is_resource and info.subresource in _LONG_RUNNING_SUBRESOURCES)


def map_errors(next_: Endpoint) -> Endpoint:
    """Every failure becomes a Status in the client's encoding; what nobody expected becomes a 500 and a log line."""

    async def endpoint(request: Request) -> Response:
        try:
            return await next_(request)
        except StatusError as err:
            return error_response(err, request)
        except Unavailable as err:
            log.warning("%s %s: %s (audit id %s)", request.method, request.path, err, request.audit_id)
            return error_response(failure(500, "", str(err)), request)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("%s %s failed (audit id %s)", request.method, request.path, request.audit_id)
            if request.audit is not None:
                request.audit.panicked = True
            why = "This request caused apiserver to panic. Look in the logs for details."
            return error_response(errors.internal_error(why), request)

    return endpoint


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(h|ms|m|s|us|ns))")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def requested_seconds(text: str) -> float:
    """``?timeout=1m30s`` in seconds. Raises 400."""
    parts = _DURATION.findall(text)
    if not text or "".join(n + u for n, u in parts) != text:
        raise errors.bad_request(f'invalid timeout specified in the request URL - time: invalid duration "{text}"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def deadline(most: float = REQUEST_SECONDS) -> Step:
    """A request that is not meant to last ends with 504 after ``most`` seconds, or the fewer that it asks for."""

    deadlines = Deadlines(most)

    def step(next_: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            if long_running(request):
                return await next_(request)
            given = request.param("timeout") if request.query else ""
            if given:
                try:
                    async with asyncio.timeout(min(requested_seconds(given) or most, most)):
                        return await next_(request)
                except TimeoutError:
                    raise _timed_out() from None
            limited = deadlines.begin()
            try:
                return await next_(request)
            except asyncio.CancelledError:
                if deadlines.is_cause(limited):
                    raise _timed_out() from None
                raise
            finally:
                deadlines.end(limited)

        return endpoint

    return step


def _timed_out() -> StatusError:
    return errors.timeout("request did not complete within the allotted timeout")


def credentials_of(request: Request) -> Credentials:
    scope = request.scope
    return Credentials(
        request.headers(),
        scope["headers"],
        scope.get("client_certificates", ()),
        tuple(scope.get("subprotocols", ())),
    )


def authenticate(authenticator: Authenticator, security: Security) -> Step:
    """Who it is."""
    attempts = security.authentication

    def step(next_: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            began = perf_counter()
            try:
                user = await authenticator.authenticate(credentials_of(request))
            except StatusError:
                attempts.add("error", began)
                raise
            if user is None:
                attempts.add("failure", began)
                raise errors.unauthorized()
            attempts.add("success", began)
            security.user(user.name)
            request.user = user
            return await next_(request)

        return endpoint

    return step


def act_as(authorizer: Authorizer) -> Step:
    """As whom they act: impersonation needs a permission of its own."""

    def step(next_: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            for name, _ in request.scope["headers"]:
                if name.startswith(b"impersonate-"):
                    break
            else:
                return await next_(request)
            try:
                user = await impersonate(request.user, credentials_of(request), authorizer)
            except WithoutUser as err:  # upstream answers this one in plain text
                uri = json.dumps(request.scope.get("raw_path", b"").decode("latin-1") or request.path)
                return text_response(f"Internal Server Error: {uri}: {err}\n", 500)
            if request.audit is not None and user is not request.user:
                request.audit.impersonated = user
            request.user = user
            return await next_(request)

        return endpoint

    return step


def audit(sink: AuditSink | None) -> Step:
    """Tells the audit log what was asked, and by whom; what came of it is told where the answer is sent."""

    def step(next_: Endpoint) -> Endpoint:
        if sink is None:
            return next_

        async def endpoint(request: Request) -> Response:
            sink.received(request)
            return await next_(request)

        return endpoint

    return step


def too_many_requests() -> Response:
    """In plain text, as upstream's filters refuse."""
    response = text_response("Too many requests, please try again later.\n", 429)
    response.headers.append((b"retry-after", b"1"))
    return response


class InFlight:
    """Counts requests under way and refuses what is too much; 0 is no limit. For servers without priority and fairness."""

    def __init__(self, reads: int, writes: int) -> None:
        self.limits = {True: reads, False: writes}
        self.current = {True: 0, False: 0}

    def step(self, next_: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            if long_running(request):
                return await next_(request)
            reads = request.method in ("GET", "HEAD")
            limit = self.limits[reads]
            if limit and self.current[reads] >= limit and "system:masters" not in request.user.groups:
                return too_many_requests()
            self.current[reads] += 1
            try:
                return await next_(request)
            finally:
                self.current[reads] -= 1

        return endpoint


def authorize(authorizer: Authorizer, security: Security) -> Step:
    """403 unless allowed."""
    attempts = security.authorization

    def step(next_: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            began = perf_counter()
            attributes = Attributes.of(request.user, request.info)
            decision = await authorizer.authorize(attributes)
            result = "allowed" if decision.allowed else "denied" if decision.denied else "no-opinion"
            attempts.add(result, began)
            if request.audit is not None:
                request.audit.annotations |= {
                    "authorization.k8s.io/decision": "allow" if decision.allowed else "forbid",
                    "authorization.k8s.io/reason": decision.reason,
                }
            if not decision.allowed:
                raise forbidden(attributes, decision.reason)
            return await next_(request)

        return endpoint

    return step


def ready(is_ready: Callable[[], bool]) -> Step:
    """Until the server has started, resources cannot be served."""

    def step(next_: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            if request.info.is_resource and not is_ready():
                raise _UNAVAILABLE
            return await next_(request)

        return endpoint

    return step
