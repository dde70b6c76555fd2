"""Validation of Nodes and warnings about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.ip import family_of_cidr, validate_cidr, warnings_for_cidr
from apiserver.kinds.validation.meta import validate_label_name
from apiserver.kinds.validation.pod.requirements import validate_quantity
from apiserver.kinds.validation.pod.scheduling import TAINT_EFFECTS
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, FieldError, Path
from kubeling.api.meta import Object, annotations_of
from kubeling.api.schema.gojson import syntax_error
from kubeling.api.schema.scalars import json_kind

AVOID_PODS = "scheduler.alpha.kubernetes.io/preferAvoidPods"
SPEC, STATUS, META = Path("spec"), Path("status"), Path("metadata")
_FIXED_CIDR = 'node updates may not change podCIDR except from "" to valid'
_FIXED_PROVIDER = 'node updates may not change providerID except from "" to valid'


def validate_node(obj: Object) -> ErrorList:
    errors = _validate_annotations(obj)
    errors += _validate_taints(obj["spec"].get("taints") or [], META.child("taints"))  # upstream's path
    errors += _validate_resources(obj)
    cidrs, at = list(obj["spec"].get("podCIDRs") or ()), SPEC.child("podCIDRs")
    for i, cidr in enumerate(cidrs):
        errors += validate_cidr(cidr, at.index(i))
    if len(cidrs) > 1:
        families = [family_of_cidr(c) for c in cidrs]
        if set(families) != {4, 6} or len(cidrs) > 2:
            errors.append(fields.invalid(at, cidrs, "may specify no more than one CIDR for each IP family"))
        errors += [fields.duplicate(at.index(i), c) for i, c in enumerate(cidrs) if c in cidrs[:i]]
    return errors


def validate_node_update(obj: Object, old: Object) -> ErrorList:
    errors = _validate_annotations(obj) + _validate_resources(obj)
    addresses = list((obj.get("status") or {}).get("addresses") or ())
    at = STATUS.child("addresses")
    for i, address in enumerate(addresses):
        if address in addresses[:i]:
            shown = {"Type": address.get("type", ""), "Address": address.get("address", "")}
            errors.append(fields.duplicate(at.index(i), shown))
    errors += _validate_fixed(obj["spec"], old.get("spec") or {})
    errors += _validate_taints(obj["spec"].get("taints") or [], META.child("taints"))
    if obj["spec"].get("externalID", "") != (old.get("spec") or {}).get("externalID", ""):
        errors.append(fields.forbidden(SPEC.child("externalID"), "may not be updated"))
    return errors


def _validate_fixed(spec: Mapping[str, Any], before: Mapping[str, Any]) -> ErrorList:
    """Pod CIDRs and the provider's name are given once."""
    errors: ErrorList = []
    new, old = list(spec.get("podCIDRs") or ()), list(before.get("podCIDRs") or ())
    at = SPEC.child("podCIDRs")
    if old and len(new) != len(old):
        errors.append(fields.forbidden(at, _FIXED_CIDR))
    elif old:
        errors += [fields.forbidden(at, _FIXED_CIDR) for a, b in zip(new, old, strict=True) if a != b]
    provider = before.get("providerID") or ""
    if provider and spec.get("providerID", "") != provider:
        errors.append(fields.forbidden(SPEC.child("providerID"), _FIXED_PROVIDER))
    return errors


def _validate_annotations(obj: Object) -> ErrorList:
    text = annotations_of(obj).get(AVOID_PODS)
    if not text:
        return []
    at = META.child("annotations").child("AvoidPods")
    try:
        value = json.loads(text)
    except ValueError:
        return [fields.invalid(at, AVOID_PODS, syntax_error(text.encode()))]
    problem = _misshaped(value)
    if problem:
        return [fields.invalid(at, AVOID_PODS, problem)]
    errors: ErrorList = []
    for i, entry in enumerate((value or {}).get("preferAvoidPods") or ()):
        where = META.child("annotations").child("AvoidPods").child(AVOID_PODS).index(i)
        controller = (entry.get("podSignature") or {}).get("podController")
        if controller is None:
            detail = "podSignature.podController: must specify exactly one signature"
            errors.append(fields.required(where.child("PodSignature"), detail))
        elif not controller.get("controller"):
            errors.append(
                fields.invalid(
                    where.child("PodSignature", "PodController", "Controller"), False, "must point to a controller"
                )
            )
    return errors


def _misshaped(value: Any) -> str:
    """What Go's decoder says of an annotation that is JSON, but not of the right shape; empty when it is."""
    if value is not None and not isinstance(value, dict):
        return f"json: cannot unmarshal {json_kind(value)} into Go value of type v1.AvoidPods"
    entries = (value or {}).get("preferAvoidPods") or []
    items = entries if isinstance(entries, list) else [entries]
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("podSignature") or {}, dict):
            kind = "v1.PreferAvoidPodsEntry"
            return f"json: cannot unmarshal {json_kind(item)} into Go struct field AvoidPods.preferAvoidPods of type {kind}"
        if not isinstance((item.get("podSignature") or {}).get("podController") or {}, dict):
            return "json: cannot unmarshal into Go struct field PodSignature.podController of type v1.OwnerReference"
    return ""


def _validate_taints(taints: list[Object], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen = set[tuple[str, str]]()
    for i, taint in enumerate(taints):
        at = path.index(i)
        key, value, effect = (taint.get(f) or "" for f in ("key", "value", "effect"))
        errors += validate_label_name(key, at.child("key"))
        messages = names.is_label_value(value)
        if messages:
            errors.append(fields.invalid(at.child("value"), value, ";".join(messages)))
        if not effect:
            errors.append(fields.required(at.child("effect")))
        elif effect not in TAINT_EFFECTS:
            errors.append(fields.not_supported(at.child("effect"), effect, TAINT_EFFECTS))
        if (key, effect) in seen:
            errors.append(_duplicate_taint(taint, at))
        seen.add((key, effect))
    return errors


def _duplicate_taint(taint: Object, path: Path) -> FieldError:
    shown = {name: taint.get(name.lower(), "") for name in ("Key", "Value", "Effect")}
    error = fields.duplicate(path, {**shown, "TimeAdded": taint.get("timeAdded")})
    detail = "taints must be unique by key and effect pair"
    return FieldError(error.reason, error.title, error.field, error.value, detail)


def _validate_resources(obj: Object) -> ErrorList:
    status = obj.get("status") or {}
    return [
        e
        for field in ("capacity", "allocatable")
        for name, amount in sorted((status.get(field) or {}).items())
        for e in validate_quantity(name, amount, STATUS.child(field, name))
    ]


def node_warnings(obj: Object) -> list[str]:
    spec, found = obj["spec"], []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, cidr in enumerate(spec.get("podCIDRs") or ()):
        found += warnings_for_cidr(cidr, SPEC.child("podCIDRs").index(i))
    return found
