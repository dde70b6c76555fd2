"""gRPC probes: the standard health service, its two messages written by hand."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

from kubelet.probes.outcome import Outcome, Verdict

_METHOD = "/grpc.health.v1.Health/Check"
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_SERVING = 1


def encode_request(service: str) -> bytes:
    """``HealthCheckRequest{service = 1}``."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def decode_status(message: bytes) -> int:
    """``HealthCheckResponse{status = 1}``; 0 where the field is absent."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


async def probe_grpc(host: str, port: int, service: str, timeout: float) -> Outcome:
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout + 1), grpc.aio.insecure_channel(address) as channel:
            call = channel.unary_unary(_METHOD, request_serializer=encode_request, response_deserializer=decode_status)
            state = await call(service, timeout=timeout, wait_for_ready=False)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"timeout: health rpc did not complete within {timeout:g}s")
    except grpc.aio.AioRpcError as err:
        code = err.code()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
            return Outcome(Verdict.FAILURE, text + (err.details() or ""))
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Outcome(Verdict.FAILURE, f"timeout: health rpc did not complete within {timeout:g}s")
        if code is grpc.StatusCode.UNAVAILABLE:
            return Outcome(Verdict.FAILURE, f'error: failed to connect service "{address}": {err.details()}')
        return Outcome(Verdict.FAILURE, f"error: health rpc probe failed: {err.details()}")
    if state == _SERVING:
        return Outcome(Verdict.SUCCESS, "service healthy")
    return Outcome(Verdict.FAILURE, f'service unhealthy (responded with "{_STATES.get(state, state)}")')
