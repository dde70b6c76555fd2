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

_STREAMS = {"All": (True, True), "Stdout": (True, False), "Stderr": (False, True), "": (True, True)}


@dataclass(frozen=True, slots=True)
class LogQuery:
    request: LogRequest
    previous: bool
    limit: int | None


class BadLogQuery(ValueError):
    """The message is the answer's."""


def _number(request: Request, name: str) -> int | None:
    text = request.value(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadLogQuery(f"invalid {name}: {text!r} is no number") from None


def parse_log_query(request: Request, now: datetime) -> LogQuery:
    """Raises BadLogQuery."""
    since = 0.0
    seconds = _number(request, "sinceSeconds")
    if seconds is not None:
        since = now.timestamp() - seconds
    elif text := request.value("sinceTime"):
        try:
            since = parse_time(text).timestamp()
        except ValueError as err:
            raise BadLogQuery(f"invalid sinceTime: {err}") from err
    tail = _number(request, "tailLines")
    limit = _number(request, "limitBytes")
    if limit is not None and limit < 1:
        raise BadLogQuery("limitBytes must be greater than 0")
    stream = request.value("stream")
    if stream not in _STREAMS:
        raise BadLogQuery(f"invalid stream: {stream!r}")
    stdout, stderr = _STREAMS[stream]
    return LogQuery(
        LogRequest(
            follow=request.flag("follow"),
            since=since,
            tail=-1 if tail is None else tail,
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
    runs = [c for c in observed.containers if c.name == container and c.state is not State.CREATED]
    status = podspec.status_named(pod, container)
    state = status.get("state") or {}
    if previous:
        # while a container waits to be restarted, its newest run is the previous one
        between = runs and runs[0].state is State.EXITED and "waiting" in state
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


async def serve_logs(runtime: Runtime, pod: Object, container: str, request: Request, now: datetime) -> Response:
    try:
        query = parse_log_query(request, now)
    except BadLogQuery as err:
        return error_response(400, str(err))
    if podspec.container_named(pod, container) is None:
        return error_response(404, f'container "{container}" not found in pod "{name_of(pod)}"')
    run = choose_run(pod, await runtime.pod(podspec.ref_of(pod)), container, query.previous)
    if isinstance(run, str):
        return error_response(400, run)
    return Response(200, log_bytes(runtime, run, query), headers=())


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
