"""The last word on the containers of a pod that has ended (TerminatePod of pkg/kubelet/status/status_manager.go).

A container of which nobody can say how it ended counts as failed, so that its pod is never told as complete by mistake.
"""

from __future__ import annotations

from kubelet.pods import spec as podspec
from kubelet.pods.container_status import UNKNOWN_CODE, UNKNOWN_REASON
from kubeling.api.meta import Object

MESSAGE = "The container could not be located when the pod was terminated"


def close_statuses(pod: Object, init: list[Object], main: list[Object]) -> None:
    """Changes the statuses, in the order of the spec, in place. Init containers after the last that began stay as they are."""
    if _initialized(pod, init, main):
        _close(main)
    _close(_begun(init))


def _close(statuses: list[Object]) -> None:
    for status in statuses:
        if "terminated" not in status["state"]:
            unknown = {"exitCode": UNKNOWN_CODE, "reason": UNKNOWN_REASON, "message": MESSAGE}
            status["state"] = {"terminated": {**unknown, "startedAt": None, "finishedAt": None}}
            status["ready"] = False
            if "started" in status:
                status["started"] = False


def _has_begun(status: Object) -> bool:
    return "waiting" not in status["state"] or "terminated" in status["lastState"]


def _initialized(pod: Object, init: list[Object], main: list[Object]) -> bool:
    if not init or any(_has_begun(s) for s in main):
        return True
    last = init[-1]
    if podspec.is_sidecar(podspec.init_containers(pod)[-1]):
        return bool("running" in last["state"] and last.get("started"))
    ends = (last[state].get("terminated") for state in ("state", "lastState"))
    return any(end is not None and not end["exitCode"] for end in ends)


def _begun(init: list[Object]) -> list[Object]:
    """All up to the last that began; the first in any case."""
    begun = [i for i, status in enumerate(init) if _has_begun(status)]
    return init[: begun[-1] + 1 if begun else 1]
