"""Reading pod specs: containers by role, restart policies, names for messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from kubelet.runtime.specs import PodRef
from kubeling.api.meta import Object, annotations_of, name_of, namespace_of, uid_of

RESTART_ALL = "RestartAllContainers"
ALWAYS, ON_FAILURE, NEVER = "Always", "OnFailure", "Never"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
SOURCE_ANNOTATION = "kubernetes.io/config.source"
HASH_ANNOTATION = "kubernetes.io/config.hash"


def ref_of(pod: Object) -> PodRef:
    return PodRef(namespace_of(pod), name_of(pod), uid_of(pod))


def spec_of(pod: Object) -> Object:
    spec: Object = pod.get("spec") or {}
    return spec


def init_containers(pod: Object) -> list[Object]:
    return list(spec_of(pod).get("initContainers") or ())


def containers(pod: Object) -> list[Object]:
    return list(spec_of(pod).get("containers") or ())


def ephemeral_containers(pod: Object) -> list[Object]:
    return list(spec_of(pod).get("ephemeralContainers") or ())


def all_containers(pod: Object) -> Iterator[Object]:
    """Init, regular, then ephemeral ones."""
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that runs beside the others. To be asked of init containers only."""
    return container.get("restartPolicy") == ALWAYS


def restart_policy(pod: Object) -> str:
    return spec_of(pod).get("restartPolicy") or ALWAYS


def rule_action(container: Mapping[str, Any], exit_code: int) -> str:
    """What the first of the container's rules that fits says, empty when none does."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = exit_code in (codes.get("values") or ())
        if listed == (codes.get("operator") == "In"):
            return str(rule.get("action") or "")
    return ""


def may_restart_all(container: Mapping[str, Any]) -> bool:
    return any(rule.get("action") == RESTART_ALL for rule in container.get("restartPolicyRules") or ())


def should_restart(pod: Object, container: Mapping[str, Any], exit_code: int, *, init: bool = False) -> bool:
    """Whether a container that ended so is to run again: its rules, its own policy, then the pod's."""
    if action := rule_action(container, exit_code):
        return action in ("Restart", RESTART_ALL)
    policy = container.get("restartPolicy") or restart_policy(pod)
    if init and policy == ALWAYS and not is_sidecar(container):
        policy = ON_FAILURE  # an init container that succeeded is done
    return policy == ALWAYS or (policy == ON_FAILURE and exit_code != 0)


def runs_again(pod: Object, container: Mapping[str, Any]) -> bool:
    """Whether a container that the kubelet itself ends may run again: there is no exit code yet that rules could tell of."""
    return (container.get("restartPolicy") or restart_policy(pod)) != NEVER


def format_pod(pod: Object) -> str:
    """``name_namespace(uid)``, as messages name pods."""
    return f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"


def is_static(pod: Object) -> bool:
    """From a file, not from the API server."""
    return annotations_of(pod).get(SOURCE_ANNOTATION, "api") != "api"


def is_mirror(pod: Object) -> bool:
    return MIRROR_ANNOTATION in annotations_of(pod)


def is_critical(pod: Object) -> bool:
    """Static pods and those of the system priorities are never evicted."""
    return is_static(pod) or is_mirror(pod) or int(spec_of(pod).get("priority") or 0) >= 2_000_000_000


def spec_hash(container: Object) -> str:
    """Names what a running container was made from: its name and image, the only fields that may change in place."""
    relevant = {"name": container.get("name"), "image": container.get("image")}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def grace_period(pod: Object) -> int:
    """Seconds for a graceful end: the deletion's own when the pod is being deleted, at least 1 then."""
    metadata = pod.get("metadata") or {}
    if metadata.get("deletionTimestamp") and metadata.get("deletionGracePeriodSeconds") is not None:
        return max(1, int(metadata["deletionGracePeriodSeconds"]))
    given = spec_of(pod).get("terminationGracePeriodSeconds")
    return 30 if given is None else max(1, int(given))


def is_host_network(pod: Object) -> bool:
    return bool(spec_of(pod).get("hostNetwork"))


def container_named(pod: Object, name: str) -> Object | None:
    return next((c for c in all_containers(pod) if c.get("name") == name), None)


def status_named(pod: Object, name: str) -> Mapping[str, Any]:
    """The container's status in the API object, empty when there is none."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(field) or ():
            if entry.get("name") == name:
                found: Mapping[str, Any] = entry
                return found
    return {}
