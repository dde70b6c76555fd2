"""Subresources of pods that are updates: ``status``, ``ephemeralcontainers``, ``resize``."""

from __future__ import annotations

from apiserver.kinds.core.pod.strategy import PodStrategy, validate_whole_pod
from apiserver.kinds.strategies import keep
from apiserver.kinds.validation.pod.resize import validate_resize
from apiserver.kinds.validation.pod.updates import (
    validate_annotations_changed,
    validate_ephemeral_update,
    validate_status_update,
)
from apiserver.registry.kind import Context
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object

_KEPT_METADATA = (
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "generateName",
    "selfLink",
)


class PodStatusStrategy(PodStrategy):
    revalidates_metadata = False

    def generation_changed(self, obj: Object, old: Object) -> bool:
        return False

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "spec")
        keep(obj["metadata"], old["metadata"], "deletionTimestamp", "ownerReferences")
        status, before = obj.setdefault("status", {}), old.get("status") or {}
        sync_addresses(status)
        if not status.get("qosClass"):
            keep(status, before, "qosClass")
        if not status.get("observedGeneration"):
            keep(status, before, "observedGeneration")
        _keep_observed_generations(status, before)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_status_update(obj, old)


def sync_addresses(status: Object) -> None:
    """``podIP`` is the first of ``podIPs``; where both are given and differ, ``podIP`` wins."""
    address, addresses = status.get("podIP") or "", status.get("podIPs") or []
    if address and (not addresses or addresses[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif addresses and not address:
        status["podIP"] = addresses[0].get("ip") or ""


def _keep_observed_generations(status: Object, before: Object) -> None:
    """A condition sent without its observed generation keeps the one it had."""
    remembered: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        remembered.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        generations = remembered.get(condition.get("type", ""))
        generation = generations.pop(0) if generations else 0
        if not condition.get("observedGeneration") and generation:
            condition["observedGeneration"] = generation


def _keep_metadata(obj: Object, old: Object) -> None:
    keep(obj["metadata"], old["metadata"], *_KEPT_METADATA)


class EphemeralContainersStrategy(PodStrategy):
    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        asked = (obj.get("spec") or {}).get("ephemeralContainers")
        spec = {k: v for k, v in old["spec"].items() if k != "ephemeralContainers"}
        obj["spec"] = {**spec, "ephemeralContainers": asked} if asked else spec
        keep(obj, old, "status")
        _keep_metadata(obj, old)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = validate_whole_pod(obj) + validate_annotations_changed(obj, old)
        return errors + validate_ephemeral_update(obj, old)


class ResizeStrategy(PodStrategy):
    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        spec, before = obj.get("spec") or {}, old["spec"]
        resized = {}
        for field in ("containers", "initContainers"):
            containers, known = spec.get(field) or [], before.get(field) or []
            if len(containers) != len(known):
                return  # validation refuses it
            if containers:
                resized[field] = _with_resources(containers, known)
        asked = spec.get("resources")
        obj["spec"] = {**before, **resized}
        if asked is not None or before.get("resources") is not None:
            obj["spec"]["resources"] = asked
        keep(obj, old, "status")
        _keep_metadata(obj, old)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_whole_pod(obj) + validate_resize(obj, old)


def _with_resources(new: list[Object], old: list[Object]) -> list[Object]:
    if [c.get("name") for c in new] != [c.get("name") for c in old]:
        return new
    merged = []
    for container, before in zip(new, old, strict=True):
        kept = dict(before)
        keep(kept, container, "resources", "resizePolicy")
        merged.append(kept)
    return merged
