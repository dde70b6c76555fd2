"""Container logs (pkg/kubelet/server: getContainerLogs)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import LogRequest, NotFound, Runtime
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.server.http import Request, Response, error_response
from kubeling.api.meta import Object, name_of, parse_time

_UNDECODABLE, _INVALID = '{"message": "Unable to decode query."}', '{"message": "Invalid request."}'
_STREAMS = {"All": (True, True), "Stdout": (True, False), "Stderr": (False, True), "": (True, True)}


@dataclass(frozen=True, slots=True)
class LogQuery:
    request: LogRequest
    previous: bool
    limit: int | None


class BadLogQuery(ValueError):
    """Cannot be decoded. The message is the answer's."""


class InvalidLogQuery(BadLogQuery):
    """Can be decoded, and means nothing."""


def _number(request: Request, name: str) -> int | None:
    text = request.value(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadLogQuery(_UNDECODABLE) from None


def _since(request: Request, now: datetime) -> float:
    seconds, text = _number(request, "sinceSeconds"), request.value("sinceTime")
    if seconds is not None and (text or seconds < 1):
        raise InvalidLogQuery(_INVALID)
    if seconds is not None:
        return now.timestamp() - seconds
    try:
        return parse_time(text).timestamp() if text else 0.0
    except ValueError:
        raise BadLogQuery(_UNDECODABLE) from None


def _tail(request: Request) -> int:
    """-1 for all; the old parameter ``tail`` wins, and may be ``all``."""
    old = request.value("tail")
    tail = None if old == "all" else _number(request, "tail") if old else _number(request, "tailLines")
    if tail is not None and tail < 0:
        raise InvalidLogQuery(_INVALID)
    return -1 if tail is None else tail


def parse_log_query(request: Request, now: datetime) -> LogQuery:
    """Raises BadLogQuery."""
    tail, since, limit = _tail(request), _since(request, now), _number(request, "limitBytes")
    stream = request.value("stream")
    one = stream in ("Stdout", "Stderr")
    if (limit is not None and limit < 1) or stream not in _STREAMS or (one and tail >= 0):
        raise InvalidLogQuery(_INVALID)
    stdout, stderr = _STREAMS[stream]
    return LogQuery(
        LogRequest(
            follow=request.flag("follow"),
            since=since,
            tail=tail,
            timestamps=request.flag("timestamps"),
            stdout=stdout,
            stderr=stderr,
        ),
        previous=request.flag("previous"),
        limit=limit,
    )


def choose_run(pod: Object, observed: PodRecord, container: str, previous: bool) -> ContainerRecord | str:
    """The run whose log is meant, or why there is none, in upstream's words."""
    name = name_of(pod)
    known = [c for c in observed.containers if c.name == container]
    runs = [c for c in known if c.state is not State.CREATED]
    status = podspec.status_named(pod, container)
    state = status.get("state") or {}
    if previous:
        # while a container waits to be restarted, its newest run is the previous one
        waits = "waiting" in state or known[:1] != runs[:1]
        between = runs and runs[0].state is State.EXITED and waits
        candidates = runs if between else runs[1:]
        if candidates:
            return candidates[0]
        missing = f'previous terminated container "{container}" in pod "{name}" not found'
        return _removed((status.get("lastState") or {}).get("terminated")) or missing
    if runs:
        return runs[0]
    if removed := _removed(state.get("terminated")):
        return removed
    reason = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
    pulling = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
    reason = pulling.get(reason, reason)
    return f'container "{container}" in pod "{name}" is waiting to start: {reason}'


def _removed(terminated: Mapping[str, Any] | None) -> str:
    """Of a run that the status knows and the engine does not any more: somebody removed it, and its log went with it."""
    container_id = (terminated or {}).get("containerID")
    return f"unable to retrieve container logs for {container_id}" if container_id else ""


async def serve_logs(
    runtime: Runtime, pod: Object | None, name: str, container: str, request: Request, now: datetime
) -> Response:
    """``pod`` is the one of that ``name``, None when there is none."""
    try:
        query = parse_log_query(request, now)
    except BadLogQuery as err:
        return error_response(422 if isinstance(err, InvalidLogQuery) else 400, str(err))
    if pod is None:
        return error_response(404, f'pod "{name}" does not exist')
    if podspec.container_named(pod, container) is None:
        return error_response(404, f'container "{container}" not found in pod "{name}"')
    run = choose_run(pod, await runtime.pod(podspec.ref_of(pod)), container, query.previous)
    if isinstance(run, str):
        return error_response(400, run)
    return Response(200, log_bytes(runtime, run, query))


async def log_bytes(runtime: Runtime, run: ContainerRecord, query: LogQuery) -> AsyncIterator[bytes]:
    """The log, at most as many bytes as asked for."""
    left = query.limit
    try:
        async with contextlib.aclosing(runtime.logs(run.id, query.request)) as pieces:
            async for data in pieces:
                if left is not None:
                    data = data[:left]
                    left -= len(data)
                if data:
                    yield data
                if left == 0:
                    return
    except NotFound:
        yield f"unable to retrieve container logs for docker://{run.id}".encode()
