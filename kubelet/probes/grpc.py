"""gRPC probes: the standard health service, its two messages written by hand (pkg/probe/grpc)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kubelet.containers.httpget import VERSION
from kubelet.probes.outcome import Outcome, Verdict
from kubeling.api.protobuf.wire import encode

if TYPE_CHECKING:
    import grpc
    import grpc.aio

_METHOD = "/grpc.health.v1.Health/Check"
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_SERVING = 1
# a connection for each probe, tried again until the timeout, by the name that servers see in their logs
_OPTIONS = (
    ("grpc.primary_user_agent", f"kube-probe/{VERSION}"),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def encode_request(service: str) -> bytes:
    """``HealthCheckRequest{service = 1}``."""
    return encode([(1, service)])


def decode_status(message: bytes) -> int:
    """``HealthCheckResponse{status = 1}``; 0 where the field is absent."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


def _code(code: grpc.StatusCode) -> str:
    """As Go names it: ``NotFound``."""
    return "".join(word.capitalize() for word in code.name.split("_"))


async def probe_grpc(host: str, port: int, service: str, timeout: float) -> Outcome:
    """Connecting and asking share the timeout; a refused connection is tried again until it is over, as upstream does."""
    import grpc.aio  # at first use: 10 MB that most nodes do without

    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    end = asyncio.get_running_loop().time() + timeout
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        try:
            async with asyncio.timeout(timeout):
                await channel.channel_ready()
        except TimeoutError:
            text = f'timeout: failed to connect service "{address}" within {timeout:g}s: context deadline exceeded'
            return Outcome(Verdict.FAILURE, text)
        call = channel.unary_unary(_METHOD, request_serializer=encode_request, response_deserializer=decode_status)
        try:
            state = await call(service, timeout=max(0.001, end - asyncio.get_running_loop().time()))
        except grpc.aio.AioRpcError as err:
            return _refused(err, timeout)
    if state == _SERVING:
        return Outcome(Verdict.SUCCESS, "service healthy")
    return Outcome(Verdict.FAILURE, f'service unhealthy (responded with "{_STATES.get(state, state)}")')


def _refused(err: grpc.aio.AioRpcError, timeout: float) -> Outcome:
    import grpc

    code, details = err.code(), err.details() or ""
    if code is grpc.StatusCode.UNIMPLEMENTED:
        text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
        return Outcome(Verdict.FAILURE, text + details)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Outcome(Verdict.FAILURE, f"timeout: health rpc did not complete within {timeout:g}s")
    text = f"error: health rpc probe failed: rpc error: code = {_code(code)} desc = {details}"
    return Outcome(Verdict.FAILURE, text)
