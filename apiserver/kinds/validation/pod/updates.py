"""What may change in a pod: the spec's few mutable fields, ephemeral containers, the status.

Source: pkg/apis/core/validation (ValidatePodUpdate, ValidatePodEphemeralContainersUpdate, ValidatePodStatusUpdate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import MAX_INT32, dns_subdomain, qualified_name
from apiserver.kinds.validation.ip import parse_ip, validate_ip
from apiserver.kinds.validation.meta import METADATA, immutable
from apiserver.kinds.validation.pod.annotations import MIRROR, validate_annotation_updates
from apiserver.kinds.validation.pod.diff import json_diff
from apiserver.kinds.validation.pod.internal import as_internal, internal_pod_spec
from apiserver.kinds.validation.pod.scheduling import validate_tolerations
from kubeling.api import fields
from kubeling.api.fields import ErrorList, FieldError, Path

Fields = Mapping[str, Any]
SPEC = Path("spec")
_MUTABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def validate_annotations_changed(new: Fields, old: Fields) -> ErrorList:
    """The annotations of a pod on every kind of update."""
    before = (old.get("metadata") or {}).get("annotations") or {}
    after = (new.get("metadata") or {}).get("annotations") or {}
    return validate_annotation_updates(after, before, new.get("spec") or {}, METADATA.child("annotations"))


def validate_spec_update(new: Fields, old: Fields) -> ErrorList:
    """``new`` and ``old`` are the specs."""
    errors: ErrorList = []
    for field in ("containers", "initContainers"):
        found, stop = _validate_images(new.get(field) or [], old.get(field) or [], SPEC.child(field))
        errors += found
        if stop:
            return errors
    found, stop = _validate_deadline(new, old, SPEC.child("activeDeadlineSeconds"))
    errors += found
    if stop:
        return errors
    errors += _validate_added_tolerations(new, old, SPEC.child("tolerations"))
    errors += _validate_removed_gates(new, old, SPEC.child("schedulingGates"))
    if new == old:
        return errors
    return errors + _validate_rest(new, old)


def _validate_images(new: list[Fields], old: list[Fields], path: Path) -> tuple[ErrorList, bool]:
    if len(new) != len(old):
        return [fields.forbidden(path, "pod updates may not add or remove containers")], True
    errors: ErrorList = []
    for i, container in enumerate(new):
        image, at = container.get("image") or "", path.index(i).child("image")
        if not image:
            errors.append(fields.required(at))
        if image.strip() != image:
            errors.append(fields.invalid(at, image, "must not have leading or trailing whitespace"))
    return errors, False


def _validate_deadline(new: Fields, old: Fields, path: Path) -> tuple[ErrorList, bool]:
    after, before = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if after is None:
        detail = "must not update from a positive integer to nil value"
        return ([] if before is None else [fields.invalid(path, None, detail)]), False
    if not 0 <= after <= MAX_INT32:
        return [fields.invalid(path, after, f"must be between 0 and {MAX_INT32}, inclusive")], True
    if before is not None and before < after:
        return [fields.invalid(path, after, "must be less than or equal to previous value")], True
    return [], False


def _validate_added_tolerations(new: Fields, old: Fields, path: Path) -> ErrorList:
    after = new.get("tolerations") or []
    kept = [{k: v for k, v in t.items() if k != "tolerationSeconds"} for t in after]
    for toleration in old.get("tolerations") or ():
        if {k: v for k, v in toleration.items() if k != "tolerationSeconds"} not in kept:
            detail = "existing toleration can not be modified except its tolerationSeconds"
            return [fields.forbidden(path, detail)]
    return validate_tolerations(after, path)


def _validate_removed_gates(new: Fields, old: Fields, path: Path) -> ErrorList:
    before = {g.get("name") for g in old.get("schedulingGates") or ()}
    return [
        fields.forbidden(
            path.index(i).child("name"),
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'",
        )
        for i, gate in enumerate(new.get("schedulingGates") or ())
        if gate.get("name") not in before
    ]


def _validate_rest(new: Fields, old: Fields) -> ErrorList:
    """Everything but the mutable fields, which take their old values first."""
    errors: ErrorList = []
    munged = dict(new)
    for field in ("containers", "initContainers"):
        if new.get(field):
            munged[field] = [
                {**c, "image": o.get("image", "")} for c, o in zip(new[field], old.get(field) or (), strict=True)
            ]
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _take(munged, old, field)
    grace = old.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if old.get("schedulingGates"):
        errors += _munge_gated(munged, old)
    before, after = internal_pod_spec(old), internal_pod_spec(munged)
    if before != after:
        diff = json_diff(before, after)
        detail = f"pod updates may not change fields other than {_MUTABLE}\n{diff}"
        errors.append(fields.forbidden(SPEC, detail))
    return errors


def _take(target: dict[str, Any], source: Fields, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


def _munge_gated(munged: dict[str, Any], old: Fields) -> ErrorList:
    """While a pod is gated, its node selector and node affinity may become stricter."""
    errors: ErrorList = []
    before, after = old.get("nodeSelector") or {}, munged.get("nodeSelector") or {}
    if any(after.get(key) != value for key, value in before.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(fields.invalid(SPEC.child("nodeSelector"), after, detail))
    _take(munged, old, "nodeSelector")
    old_affinity, new_affinity = old.get("affinity"), munged.get("affinity")
    old_node = (old_affinity or {}).get("nodeAffinity")
    new_node = (new_affinity or {}).get("nodeAffinity")
    if old_node == new_node:
        return errors
    errors += _validate_node_affinity_change(new_node, old_node)
    restored = {k: v for k, v in (new_affinity or {}).items() if k != "nodeAffinity"}
    if old_node is not None:
        restored["nodeAffinity"] = old_node
    if restored or old_affinity is not None:
        munged["affinity"] = restored
    else:
        munged.pop("affinity", None)
    return errors


def _validate_node_affinity_change(new: Fields | None, old: Fields | None) -> ErrorList:
    terms = ((old or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    after = ((new or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    path = SPEC.child("affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
    if terms and len(terms) != len(after):
        shown = as_internal("[]NodeSelectorTerm", after)
        return [fields.invalid(path, shown, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    return [
        fields.invalid(
            path.index(i),
            as_internal("NodeSelectorTerm", after[i]),
            "only additions are allowed (no mutations or deletions)",
        )
        for i, term in enumerate(terms)
        if not _only_additions(after[i], term)
    ]


def _only_additions(new: Fields, old: Fields) -> bool:
    lists = ("matchExpressions", "matchFields")
    if not any(old.get(f) for f in lists) and any(new.get(f) for f in lists):
        return False
    return all((new.get(f) or [])[: len(old.get(f) or [])] == (old.get(f) or []) for f in lists)


def validate_ephemeral_update(new: Fields, old: Fields) -> ErrorList:
    """``new`` and ``old`` are pods; existing ephemeral containers stay as they are."""
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or {}):
        return [_about_the_pod("static pods do not support ephemeral containers")]
    path = SPEC.child("ephemeralContainers")
    after = {c.get("name"): c for c in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    errors: ErrorList = []
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = fields.quoted(container.get("name") or "")
        changed = after.get(container.get("name"))
        if changed is None:
            errors.append(fields.forbidden(path, f"existing ephemeral containers {name} may not be removed\n"))
        elif changed != container:
            pair = (as_internal("EphemeralContainer", c) for c in (container, changed))
            detail = f"existing ephemeral containers {name} may not be changed\n{json_diff(*pair)}"
            errors.append(fields.forbidden(path, detail))
    return errors


def _about_the_pod(detail: str) -> FieldError:
    """Upstream names no field, which prints as ``[]``."""
    return FieldError("FieldValueForbidden", "Forbidden", "[]", None, detail)


def validate_status_update(new: Fields, old: Fields) -> ErrorList:
    """``new`` and ``old`` are pods."""
    status, before = new.get("status") or {}, old.get("status") or {}
    spec, path = old.get("spec") or {}, Path("status")
    errors = validate_annotations_changed(new, old)
    errors += _validate_conditions(status.get("conditions") or (), METADATA.child("conditions"))
    nominated = status.get("nominatedNodeName") or ""
    if nominated and nominated != before.get("nominatedNodeName"):
        errors += dns_subdomain(nominated, path.child("nominatedNodeName"))
    errors += immutable(status.get("qosClass") or "", before.get("qosClass") or "", path.child("qosClass"))
    policy = "Always" if _may_restart_all(spec) else spec.get("restartPolicy") or ""
    for field, containers, restart in (
        ("containerStatuses", "containers", policy),
        ("initContainerStatuses", "initContainers", policy),
        ("ephemeralContainerStatuses", "", "Never"),
    ):
        named = {c.get("name"): c for c in spec.get(containers) or ()}
        errors += _validate_transition(status, before, field, restart, named)
    errors += _validate_claim_statuses(status, spec, path.child("resourceClaimStatuses"))
    errors += _validate_pod_ips(status, path.child("podIPs"))
    return errors + _validate_host_ips(status, path.child("hostIPs"))


def _validate_conditions(conditions: Any, path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, condition in enumerate(conditions):
        if condition.get("type") not in ("PodScheduled", "Ready", "Initialized"):
            errors += qualified_name(condition.get("type") or "", path.index(i).child("Type"))
    return errors


def _may_restart_all(spec: Fields) -> bool:
    """Whether some container's rules can make all of them run anew."""
    return any(
        rule.get("action") == "RestartAllContainers"
        for kind in ("containers", "initContainers")
        for container in spec.get(kind) or ()
        for rule in container.get("restartPolicyRules") or ()
    )


def _may_come_back(container: Fields, policy: str, exit_code: int) -> bool:
    """By the container's rules, its own policy, then the pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (exit_code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return bool(rule.get("action") == "Restart")
    policy = container.get("restartPolicy") or policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _validate_transition(
    new: Fields, old: Fields, field: str, policy: str, containers: Mapping[Any, Fields]
) -> ErrorList:
    """A container that ended for good does not come back."""
    if policy == "Always":
        return []
    errors: ErrorList = []
    for i, status in enumerate(old.get(field) or ()):
        ended = (status.get("state") or {}).get("terminated")
        if ended is None or _may_come_back(containers.get(status.get("name"), {}), policy, ended.get("exitCode") or 0):
            continue
        for after in new.get(field) or ():
            if after.get("name") == status.get("name") and (after.get("state") or {}).get("terminated") is None:
                at = Path("status").child(field).index(i).child("state")
                errors.append(fields.forbidden(at, "may not be transitioned to non-terminated state"))
    return errors


def _validate_claim_statuses(status: Fields, spec: Fields, path: Path) -> ErrorList:
    known = {c.get("name") for c in spec.get("resourceClaims") or ()}
    errors: ErrorList = []
    seen: set[str] = set()
    for i, claim in enumerate(status.get("resourceClaimStatuses") or ()):
        at, name = path.index(i).child("name"), claim.get("name") or ""
        if name not in known:
            errors.append(fields.invalid(at, name, "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            errors.append(fields.duplicate(at, name))
        seen.add(name)
        if claim.get("resourceClaimName") is not None:
            errors += dns_subdomain(claim["resourceClaimName"], at)
    return errors


def _validate_pod_ips(status: Fields, path: Path) -> ErrorList:
    entries = status.get("podIPs") or []
    errors = [e for i, ip in enumerate(entries) for e in validate_ip(ip.get("ip") or "", path.index(i))]
    return errors + _validate_families(entries, path)


def _validate_host_ips(status: Fields, path: Path) -> ErrorList:
    entries = status.get("hostIPs") or []
    errors: ErrorList = []
    if entries and (status.get("hostIP") or "") != (entries[0].get("ip") or ""):
        at = path.index(0).child("ip")
        errors.append(fields.invalid(at, entries[0].get("ip") or "", "must be equal to `hostIP`"))
    errors += [e for i, ip in enumerate(entries) for e in validate_ip(ip.get("ip") or "", path.index(i))]
    return errors + _validate_families(entries, path)


def _validate_families(entries: list[Fields], path: Path) -> ErrorList:
    """At most one address of each family, none twice."""
    if len(entries) < 2:
        return []
    errors: ErrorList = []
    addresses = [parse_ip(e.get("ip") or "") for e in entries]
    families = {a.version for a in addresses if a is not None}
    if len(families) < 2 or len(entries) > 2:
        detail = "may specify no more than one IP for each IP family"
        errors.append(fields.invalid(path, as_internal("[]PodIP", entries), detail))
    for i, entry in enumerate(entries):
        if entry in entries[:i]:
            errors.append(fields.duplicate(path.index(i), as_internal("PodIP", entry)))
    return errors
