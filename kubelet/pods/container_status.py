"""One entry of ``containerStatuses`` (convertToAPIContainerStatuses of pkg/kubelet/kubelet_pods.go)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelet.containers.build import IMAGE_LABEL, READ_ONLY_LABEL
from kubelet.pods import spec as podspec
from kubelet.pods.in_force import told_of_container
from kubelet.runtime.records import ContainerRecord, ImageRecord, PodRecord, State
from kubeling.api.meta import Object, is_deleting, rfc3339

if TYPE_CHECKING:
    from kubelet.pods.status import Facts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RUNTIME = "docker"
START_ERROR_CODE = 128
UNKNOWN_CODE, UNKNOWN_REASON = 137, "ContainerStatusUnknown"
LOST = "The container could not be located when the pod was deleted.  The container used to be Running"


def container_status(
    pod: Object, container: Object, observed: PodRecord, facts: Facts, *, init: bool = False
) -> Object:
    """The status of one container of any role. The pod's own status is what was told last."""
    name = container["name"]
    record, old = observed.latest(name), podspec.status_named(pod, name)
    if record is not None and record.attempt < int(old.get("restartCount") or 0):
        record = None  # the engine knows an earlier run only
    if record is None and "terminated" in (old.get("state") or {}):
        return dict(old)  # the engine has forgotten it: what was said of its end stays
    status: Object = {"name": name, "state": {}, "lastState": {}, "ready": False, "restartCount": 0}
    status |= _seen(record, observed, old, facts) if record else _unseen(pod, old)
    waiting = _waiting(pod, container, record, facts, init=init)
    if "state" not in status or not status["state"]:
        status["state"] = {"waiting": waiting or _default(pod)}
    elif waiting:
        status["lastState"], status["state"] = status["state"], {"waiting": waiting}
    status |= _readiness(pod, container, record, facts, init=init)
    status["image"], status["imageID"] = container.get("image", ""), ""
    if record is not None and record.state is not State.CREATED:
        status["image"] = record.image
        status["imageID"] = image_id(record, facts.images)
    return (
        status
        | told_of_container(container, record)
        | _mounts(container, record)
        | _signal(container)
        | _user(record, old)
    )


def _default(pod: Object) -> Object:
    return {"reason": "PodInitializing" if podspec.init_containers(pod) else "ContainerCreating"}


def _unseen(pod: Object, old: Mapping[str, Any]) -> Object:
    """Of a container that the engine does not know: never made, or lost with what it was."""
    count, last = int(old.get("restartCount") or 0), old.get("lastState") or {}
    if not old.get("containerID"):
        return {"restartCount": count, "lastState": last}
    if "running" in (old.get("state") or {}) and "terminated" not in last:
        unknown = {"exitCode": UNKNOWN_CODE, "reason": UNKNOWN_REASON, "message": LOST}
        last = {"terminated": {**unknown, "startedAt": None, "finishedAt": None}}
    # it has run: the next run is a restart
    return {"restartCount": count if is_deleting(pod) else count + 1, "lastState": last}


def _seen(record: ContainerRecord, observed: PodRecord, old: Mapping[str, Any], facts: Facts) -> Object:
    previous = observed.previous(record.name)
    found: Object = {"restartCount": record.attempt}
    found["lastState"] = _ended(previous, facts) if previous else _last_told(record, old)
    if record.state is not State.CREATED:
        found["state"] = _ended(record, facts) if record.state is State.EXITED else _running(record)
        found["containerID"] = container_id(record)
    return found


def _last_told(record: ContainerRecord, old: Mapping[str, Any]) -> Object:
    """The last state of a restarted container of whose earlier runs the engine knows nothing any more."""
    if not record.attempt:
        return {}
    state = old.get("state") or {}
    if "terminated" in state and old.get("containerID") != container_id(record):
        return {"terminated": state["terminated"]}
    last: Object = old.get("lastState") or {}
    told = (last.get("terminated") or {}).get("containerID")
    return {} if told == container_id(record) else last


def _waiting(
    pod: Object, container: Object, record: ContainerRecord | None, facts: Facts, *, init: bool
) -> Object | None:
    """Why a container that is to run does not. What went wrong at a start that is not tried again is how it ended."""
    why = facts.waiting.get(container["name"])
    if why is None or facts.terminal or is_deleting(pod):
        return None
    if record is not None and record.state is State.RUNNING:
        return None
    if record is not None and record.state is State.EXITED:
        if init and not podspec.is_sidecar(container) and not _code(record):
            return None
        if not podspec.should_restart(pod, container, _code(record), init=init):
            return None
    return {"reason": why.reason} | ({"message": why.message} if why.message else {})


def _readiness(pod: Object, container: Object, record: ContainerRecord | None, facts: Facts, *, init: bool) -> Object:
    running = record is not None and record.state is State.RUNNING
    if container in podspec.ephemeral_containers(pod):
        return {"ready": False}
    if init and not podspec.is_sidecar(container):
        complete = record is not None and record.state is State.EXITED and not _code(record)
        return {"ready": complete, "started": running}
    name = container["name"]
    started = running and name in facts.started
    return {"ready": started and name in facts.ready, "started": started}


def _code(record: ContainerRecord) -> int:
    return START_ERROR_CODE if termination_reason(record) == "StartError" else record.exit_code or 0


def container_id(record: ContainerRecord) -> str:
    return f"{_RUNTIME}://{record.id}"


def _running(record: ContainerRecord) -> Object:
    return {"running": {"startedAt": rfc3339(record.started_at or record.created_at)}}


def termination_reason(record: ContainerRecord) -> str:
    """``OOMKilled``, ``StartError``, ``Completed`` or ``Error``."""
    if record.error and record.started_at is None:
        return "StartError"
    if record.oom_killed:
        return "OOMKilled"
    return "Error" if record.exit_code else "Completed"


def _ended(record: ContainerRecord, facts: Facts) -> Object:
    reason = termination_reason(record)
    failed = reason == "StartError"
    ended: Object = {
        "exitCode": START_ERROR_CODE if failed else record.exit_code,
        "reason": reason,
        "startedAt": rfc3339(record.started_at or _EPOCH),
        "finishedAt": rfc3339(record.finished_at or record.created_at),
        "containerID": container_id(record),
    }
    message = record.error if failed else facts.messages.get(record.id, "")
    if message:
        ended["message"] = message
    return {"terminated": ended}


def image_id(record: ContainerRecord, images: Mapping[str, ImageRecord]) -> str:
    """What the engine knows of the container's image now, or did when the container was made."""
    image = images.get(record.image_id)
    return image.shown if image is not None else f"docker://{record.image_id}"


def _user(record: ContainerRecord | None, old: Mapping[str, Any]) -> Object:
    """Who its first process began as."""
    if record is None:
        return {}
    if record.identity is None:
        same = old.get("containerID") == container_id(record)
        return {"user": old["user"]} if same and "user" in old else {}
    linux: Object = {"uid": record.identity.uid, "gid": record.identity.gid}
    if record.identity.groups:
        linux["supplementalGroups"] = list(record.identity.groups)
    return {"user": {"linux": linux}}


def _signal(container: Object) -> Object:
    """The stop signal that was asked for."""
    signal = (container.get("lifecycle") or {}).get("stopSignal")
    return {"stopSignal": signal} if signal else {}


def _mounts(container: Object, record: ContainerRecord | None) -> Object:
    labels = record.labels if record is not None else {}
    mounts = [_mount(m, labels) for m in container.get("volumeMounts") or ()]
    return {"volumeMounts": mounts} if mounts else {}


def _mount(mount: Object, labels: Mapping[str, str]) -> Object:
    """``labels`` are what the container was made with."""
    found: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        deep = mount["mountPath"] in json.loads(labels.get(READ_ONLY_LABEL, "[]"))
        found |= {"readOnly": True, "recursiveReadOnly": "Enabled" if deep else "Disabled"}
    if image := labels.get(IMAGE_LABEL + mount["name"]):
        found["volumeStatus"] = {"image": {"imageRef": image}}
    return found
