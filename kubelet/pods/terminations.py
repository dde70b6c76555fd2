"""Counts how containers end, each end once: when a status first tells it (pkg/kubelet/status)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubelet.pods.metrics import TERMINATED_CONTAINERS

_TYPES = {
    "initContainerStatuses": "init_container",
    "containerStatuses": "container",
    "ephemeralContainerStatuses": "ephemeral_container",
}


def _ends(status: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Container id, type and termination of all that the status tells."""
    for field, type_ in _TYPES.items():
        for entry in status.get(field) or ():
            for state in ("lastState", "state"):
                end = (entry.get(state) or {}).get("terminated")
                if end and end.get("containerID"):
                    yield end["containerID"], type_, end


class Terminations:
    """One pod's. What ``status`` tells already, was counted by the kubelet before."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self._told = {id_ for id_, _, _ in _ends(status)}

    def count(self, status: Mapping[str, Any]) -> None:
        """``status`` is the newest."""
        told = set()
        for id_, type_, end in _ends(status):
            if id_ not in self._told and id_ not in told:
                TERMINATED_CONTAINERS.labels(type_, str(end["exitCode"]), end.get("reason") or "").inc()
            told.add(id_)
        self._told = told
