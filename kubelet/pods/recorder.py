"""Telling about pods and their containers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from kubelet.images.manager import ContainerEvents
from kubelet.pods import spec as podspec
from kubeling.api.meta import Object

log = logging.getLogger(__name__)


class Recorder(Protocol):
    """What ``kubeling.client.events.EventRecorder`` offers."""

    def event(
        self,
        obj: Mapping[str, Any],
        type_: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> None: ...


class LogRecorder:
    """Events of a kubelet without an API server go to its log."""

    def event(
        self,
        obj: Mapping[str, Any],
        type_: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        log.info("%s %s: %s: %s", type_, podspec.format_pod(dict(obj)), reason, message)


def field_path(pod: Object, container: Object) -> str:
    """``spec.containers{name}``, as events name containers."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        if any(c.get("name") == container.get("name") for c in podspec.spec_of(pod).get(field) or ()):
            return f"spec.{field}{{{container.get('name')}}}"
    return ""


def container_events(recorder: Recorder, pod: Object, container: Object) -> ContainerEvents:
    """A function that tells about this container."""

    def tell(type_: str, reason: str, message: str) -> None:
        recorder.event(pod, type_, reason, message, field_path=field_path(pod, container))

    return tell
