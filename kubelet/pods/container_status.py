"""One entry of ``containerStatuses``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelet.containers.build import IMAGE_LABEL, READ_ONLY_LABEL
from kubelet.pods import spec as podspec
from kubelet.pods.in_force import told_of_container
from kubelet.runtime.records import ContainerRecord, ImageRecord, PodRecord, State
from kubeling.api.meta import Object, rfc3339

if TYPE_CHECKING:
    from kubelet.pods.status import Facts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START_ERROR_CODE = 128
LOST = "The container could not be located when the pod was deleted.  The container used to be Running"


def container_status(
    pod: Object, container: Object, observed: PodRecord, facts: Facts, *, init: bool = False
) -> Object:
    """The status of one container of any role."""
    name = container["name"]
    record, previous = observed.latest(name), observed.previous(name)
    old = podspec.status_named(pod, name)
    if record is None and old and (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return dict(old)  # the pod has ended and its containers are gone: what was said of them stays
    waiting = facts.waiting.get(name)
    ephemeral = container in podspec.ephemeral_containers(pod)
    sidecar = init and podspec.is_sidecar(container)
    status: Object = {"name": name, "state": {}, "lastState": {}, "ready": False, "restartCount": 0}
    if record is None or record.state is State.CREATED:
        default = {"reason": "PodInitializing" if podspec.init_containers(pod) and not init else "ContainerCreating"}
        status["state"] = {"waiting": _waiting(waiting) if waiting else default}
        last = previous if record else None
        status["lastState"] = _ended(last, facts) if last else _lost(old)
        status["restartCount"] = record.attempt if record else int(old.get("restartCount") or 0)
    else:
        status["state"] = _ended(record, facts) if record.state is State.EXITED else _running(record)
        # what went wrong at a start that is not tried again is how the container ended, not what it waits for
        if (
            record.state is State.EXITED
            and waiting
            and podspec.should_restart(pod, container, _code(record), init=init)
        ):
            status["state"], status["lastState"] = {"waiting": _waiting(waiting)}, status["state"]
        elif previous is not None:
            status["lastState"] = _ended(previous, facts)
        status["restartCount"] = record.attempt
        status["containerID"] = f"docker://{record.id}"
    running = record is not None and record.state is State.RUNNING
    status["started"] = running and name in facts.started
    if init and not sidecar:
        status["ready"] = record is not None and record.state is State.EXITED and record.exit_code == 0
        status["started"] = False
    elif not ephemeral:
        status["ready"] = running and name in facts.ready
    else:
        del status["started"]
    status["image"], status["imageID"] = container.get("image", ""), ""
    if record is not None and record.state is not State.CREATED:
        status["image"] = record.image
        status["imageID"] = image_id(record, facts.images)
    return status | told_of_container(container, record) | _mounts(container, record)


def _code(record: ContainerRecord) -> int:
    return START_ERROR_CODE if termination_reason(record) == "StartError" else record.exit_code or 0


def _waiting(waiting: Any) -> Object:
    return {"reason": waiting.reason} | ({"message": waiting.message} if waiting.message else {})


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
        "containerID": f"docker://{record.id}",
    }
    message = record.error if failed else facts.messages.get(record.id, "")
    if message:
        ended["message"] = message
    return {"terminated": ended}


def _lost(old: Mapping[str, Any]) -> Object:
    """The last state of a container that ran and that the engine no longer knows."""
    if "running" in (old.get("state") or {}):
        return {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": LOST,
                "startedAt": None,
                "finishedAt": None,
            }
        }
    last: Object = old.get("lastState") or {}
    return last


def image_id(record: ContainerRecord, images: Mapping[str, ImageRecord]) -> str:
    """What the engine knows of the container's image now, or did when the container was made."""
    image = images.get(record.image_id)
    return image.shown if image is not None else f"docker://{record.image_id}"


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
