"""Evicting a pod: a deletion that disruption budgets may refuse (pkg/registry/core/pod/storage: EvictionREST)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from apiserver.kinds.core.pod.binding import SUCCESS
from apiserver.registry.actions import ActionRequest, ActionResult
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import (
    Object,
    has_condition,
    is_deleting,
    labels_of,
    name_of,
    rfc3339,
    uid_of,
    with_condition,
)
from kubeling.api.resources import POD_DISRUPTION_BUDGETS, PODS
from kubeling.api.selectors import from_label_selector

_MAX_DISRUPTED_PODS = 2000
_RETRY_SECONDS = 10
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(request: ActionRequest) -> ActionResult:
    """POST of an Eviction. Raises 429 when a budget refuses, 500 when several budgets select the pod."""
    eviction, name, namespace = request.body or {}, request.info.name, request.info.namespace
    if name_of(eviction) != name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = dict(eviction.get("deleteOptions") or {})
    if request.dry_run:
        options.setdefault("dryRun", ["All"])
    pod = await request.registries.of(PODS).get(name, namespace)
    if not can_ignore_budgets(pod):
        preconditions = await _spend_budget(request, pod, bool(options.get("dryRun")))
        options["preconditions"] = {**preconditions, **(options.get("preconditions") or {})}
    if not _free_of_condition(pod) and not options.get("dryRun"):
        marked = await _mark_disrupted(request, pod)
        if "resourceVersion" in (options.get("preconditions") or {}):
            options["preconditions"] = {
                **options["preconditions"],
                "resourceVersion": marked["metadata"]["resourceVersion"],
            }
    await request.registries.of(PODS).delete(name, namespace, delete_options=options, options=request.write)
    return ActionResult(dict(SUCCESS), 201)


def can_ignore_budgets(pod: Object) -> bool:
    """Pods that run nothing, or are on their way out, are not protected."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending") or is_deleting(pod)


def _free_of_condition(pod: Object) -> bool:
    """A pod without a node goes at once; nobody would read its condition."""
    return not (pod.get("spec") or {}).get("nodeName") or is_deleting(pod)


async def _spend_budget(request: ActionRequest, pod: Object, dry_run: bool) -> Object:
    """Takes one disruption from the pod's budget; returns what must still hold when the pod is deleted."""
    registry = request.registries.of(POD_DISRUPTION_BUDGETS)
    found = [b for b in await registry.list(request.info.namespace) if _selects(b, pod)]
    if len(found) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.failure(500, "", text)
    if not found:
        return {}
    (budget,) = found
    if not has_condition(pod, "Ready") and unhealthy_may_go(budget):
        return {"uid": uid_of(pod), "resourceVersion": pod["metadata"]["resourceVersion"]}

    def change(current: Object) -> Object:
        return spent(current, name_of(pod), request.now)

    if dry_run:
        change(budget)
        return {"uid": uid_of(pod)}
    await registry.update(name_of(budget), change, request.info.namespace, subresource="status")
    return {"uid": uid_of(pod)}


def _selects(budget: Object, pod: Object) -> bool:
    return from_label_selector((budget.get("spec") or {}).get("selector")).matches(labels_of(pod))


def unhealthy_may_go(budget: Object) -> bool:
    """Whether pods that are not ready may go although the budget is used up."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    healthy, desired = status.get("currentHealthy") or 0, status.get("desiredHealthy") or 0
    return healthy >= desired and desired > 0


def spent(budget: Object, pod_name: str, now: datetime) -> Object:
    """The budget with one disruption less and the pod on its list. Raises 429 or 403."""
    name, status = name_of(budget), dict(budget.get("status") or {})
    observed, generation = status.get("observedGeneration") or 0, budget["metadata"].get("generation") or 0
    allowed, disrupted = status.get("disruptionsAllowed") or 0, status.get("disruptedPods") or {}
    if observed < generation:
        raise refused(f"The disruption budget {name} is still being processed by the server.", _RETRY_SECONDS)
    if allowed < 0:
        raise errors.forbidden("policy", "poddisruptionbudgets", name, "pdb disruptions allowed is negative")
    if len(disrupted) > _MAX_DISRUPTED_PODS:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("policy", "poddisruptionbudgets", name, why)
    if allowed == 0:
        raise refused(_why_none(name, status))
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        status["conditions"] = with_condition(
            status.get("conditions"), "DisruptionAllowed", "False", now, "InsufficientPods", observedGeneration=observed
        )
        for condition in status["conditions"]:
            condition.setdefault("message", "")
    status["disruptedPods"] = {**disrupted, pod_name: rfc3339(now)}
    return {**budget, "status": status}


def _why_none(name: str, status: Object) -> str:
    healthy, desired = status.get("currentHealthy") or 0, status.get("desiredHealthy") or 0
    if healthy < desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    return f"The disruption budget {name} does not allow evicting pods currently"


def refused(why: str, retry_seconds: int = 0) -> StatusError:
    """429 with the cause ``DisruptionBudget``."""
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_seconds:
        details["retryAfterSeconds"] = retry_seconds
    return errors.failure(429, "TooManyRequests", _REFUSED, details)


async def _mark_disrupted(request: ActionRequest, pod: Object) -> Object:
    """The pod says why it goes; returns it as stored."""

    def change(current: Object) -> Object | None:
        if has_condition(current, "DisruptionTarget") or uid_of(current) != uid_of(pod):
            return None
        status = dict(current.get("status") or {})
        status["conditions"] = with_condition(
            status.get("conditions"),
            "DisruptionTarget",
            "True",
            request.now,
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
            lastProbeTime=None,
        )
        return {**current, "status": status}

    return await request.registries.of(PODS).update(
        name_of(pod), change, request.info.namespace, subresource="status", options=replace(request.write, owning=False)
    )
