"""Pods' connecting subresources: log, exec, attach, port-forward.

Source: k8s.io/kubernetes/pkg/registry/core/pod (LogLocation, streamLocation) and ValidatePodLogOptions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from apiserver.registry.actions import FEATURES, ActionRequest, ActionResult, Receive, Scope, Send
from apiserver.registry.options import boolean, integer
from apiserver.streaming.messages import in_messages
from kubeling.api import errors, fields
from kubeling.api.errors import StatusError
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, parse_time
from kubeling.api.resources import NODES, PODS

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
SPLIT_STREAMS = "PodLogsQuerySplitStreams"
_LOG_STREAMS = ("All", "Stderr", "Stdout")
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


async def _pod(request: ActionRequest) -> Object:
    return await request.registries.of(PODS).get(request.info.name, request.info.namespace)


def _names(pod: Object, field: str) -> list[str]:
    return [c["name"] for c in pod["spec"].get(field) or ()]


def choose_container(pod: Object, wanted: str) -> str:
    """The container that a request means. Raises 400."""
    name = pod["metadata"]["name"]
    if wanted:
        if any(wanted in _names(pod, field) for field in _CONTAINER_LISTS):
            return wanted
        raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
    containers = _names(pod, "containers")
    if len(containers) == 1:
        return containers[0]
    if not containers:
        raise errors.bad_request(f"a container name must be specified for pod {name}")
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    init = _names(pod, "initContainers")
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise errors.bad_request(text)


async def _on_kubelet(
    request: ActionRequest,
    pod: Object,
    path: str,
    query: Sequence[tuple[str, str]],
    refusal: Callable[[int, str], StatusError] | None = None,
) -> ActionResult:
    node = await request.registries.of(NODES).get(pod["spec"]["nodeName"])
    kubelets = request.services.kubelets
    if kubelets is None:
        raise errors.service_unavailable("this server is not configured to reach kubelets")
    return ActionResult(response=kubelets.stream(node, path, urlencode(query), refusal))


def _location(request: ActionRequest, verb: str, *parts: str) -> str:
    return "/".join(("", verb, request.info.namespace, request.info.name, *parts))


async def log(request: ActionRequest) -> ActionResult:
    """``GET pods/NAME/log``: text from the kubelet, nothing for a pod without a node."""
    split = SPLIT_STREAMS in request.services.extra.get(FEATURES, ())
    found = validate_log_options(request, split_streams=split)
    if found:
        raise errors.invalid("", "PodLogOptions", request.info.name, found)
    pod = await _pod(request)
    container = choose_container(pod, request.param("container"))
    if not pod["spec"].get("nodeName"):
        return ActionResult(response=_no_content)
    passed = [
        (name, value)
        for name in (
            *("follow", "previous", "timestamps", "sinceSeconds", "sinceTime", "tailLines", "limitBytes"),
            *(("stream",) if split else ()),
        )
        if (value := request.param(name))
    ]

    def refusal(code: int, body: str) -> StatusError:
        return log_refusal(code, body, request.info.name)

    found_there = await _on_kubelet(request, pod, _location(request, "containerLogs", container), passed, refusal)
    assert found_there.response is not None  # a stream
    return ActionResult(response=in_messages(found_there.response))


def log_refusal(code: int, body: str, pod: str) -> StatusError:
    """What the kubelet says instead of a log (GenericHttpResponseChecker of k8s.io/apiserver)."""
    if code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.internal_error(body)
    if code == HTTPStatus.BAD_REQUEST:
        return errors.bad_request(body)
    return errors.server_response(code, body, "", "pods/log", pod)


async def _no_content(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def validate_log_options(request: ActionRequest, *, split_streams: bool = False) -> ErrorList:
    query = request.query
    found: ErrorList = []
    tail, limit, since = (integer(query, name) for name in ("tailLines", "limitBytes", "sinceSeconds"))
    if tail is not None and tail < 0:
        found.append(fields.invalid(Path("tailLines"), tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        found.append(fields.invalid(Path("limitBytes"), limit, "must be greater than 0"))
    since_time = request.param("sinceTime")
    if since is not None and since_time:
        detail = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        found.append(fields.FieldError("FieldValueForbidden", "Forbidden", "[]", None, detail))
    elif since is not None and since < 1:
        found.append(fields.invalid(Path("sinceSeconds"), since, "must be greater than 0"))
    elif since_time:
        try:
            parse_time(since_time)
        except ValueError:
            raise errors.bad_request(f'parsing time "{since_time}" as "2006-01-02T15:04:05Z07:00"') from None
    return found + _stream_errors(request.param("stream"), tail is not None, split_streams)


def _stream_errors(stream: str, tailed: bool, allowed: bool) -> ErrorList:
    if stream in ("", "All"):
        return []
    if not allowed:
        return [fields.forbidden(Path("stream"), "may not be specified")]
    found: ErrorList = []
    if stream not in _LOG_STREAMS:
        found.append(fields.not_supported(Path("stream"), stream, _LOG_STREAMS))
    if tailed:
        detail = "`tailLines` and specific `stream` are mutually exclusive for now"
        found.append(fields.FieldError("FieldValueForbidden", "Forbidden", "[]", None, detail))
    return found


def _assigned(pod: Object) -> None:
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")


def _streams(request: ActionRequest) -> list[tuple[str, str]]:
    """The kubelet's own names of the parameters."""
    pairs = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
    return [(theirs, "1") for ours, theirs in pairs if boolean(request.query, ours)]


def _remote(verb: str) -> Callable[[ActionRequest], Awaitable[ActionResult]]:
    async def connect(request: ActionRequest) -> ActionResult:
        pod = await _pod(request)
        container = choose_container(pod, request.param("container") or _annotated(pod))
        _assigned(pod)
        commands = [("command", text) for text in request.query.get("command", ())]
        return await _on_kubelet(request, pod, _location(request, verb, container), _streams(request) + commands)

    return connect


def _annotated(pod: Object) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, ""))


async def port_forward(request: ActionRequest) -> ActionResult:
    pod = await _pod(request)
    _assigned(pod)
    ports: list[tuple[str, Any]] = [("port", p) for text in request.query.get("ports", ()) for p in text.split(",")]
    return await _on_kubelet(request, pod, _location(request, "portForward"), ports)


exec_ = _remote("exec")
attach = _remote("attach")
