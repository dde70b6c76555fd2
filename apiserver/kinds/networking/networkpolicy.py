"""NetworkPolicy: which traffic the pods it selects may have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from apiserver.kinds.printing import AGE, NAME, column, name_status_age, selector_text
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.ip import parse_cidr, validate_cidr, warnings_for_cidr
from apiserver.kinds.validation.selectors import validate_label_selector
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object
from kubeling.api.resources import NETWORK_POLICIES

SPEC = Path("spec")
_PROTOCOLS, _TYPES = ("TCP", "UDP", "SCTP"), ("Ingress", "Egress")
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


class NetworkPolicyStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podSelector", {})
        for direction, _ in _DIRECTIONS:
            for rule in spec.get(direction) or ():
                for port in rule.get("ports") or ():
                    default_to(port, "protocol", "TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj.pop("status", None)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        obj.pop("status", None)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_spec(obj["spec"], frozenset(), check_values=True)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        before = old.get("spec") or {}
        check_values = not validate_label_selector(before.get("podSelector"), SPEC)
        return _validate_spec(obj["spec"], frozenset(_cidrs(before)), check_values=check_values)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _warnings(obj["spec"])

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _warnings(obj["spec"])


def _peers(spec: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for direction, side in _DIRECTIONS:
        for i, rule in enumerate(spec.get(direction) or ()):
            for j, peer in enumerate(rule.get(side) or ()):
                yield SPEC.child(direction).index(i).child(side).index(j), peer


def _cidrs(spec: Mapping[str, Any]) -> Iterator[str]:
    for _, peer in _peers(spec):
        block = peer.get("ipBlock") or {}
        yield from (block.get("cidr", ""), *(block.get("except") or ()))


def _validate_spec(spec: Mapping[str, Any], known: Collection[str], *, check_values: bool) -> ErrorList:
    errors = validate_label_selector(spec.get("podSelector"), SPEC.child("podSelector"), check_values=check_values)
    for direction, side in _DIRECTIONS:
        for i, rule in enumerate(spec.get(direction) or ()):
            at = SPEC.child(direction).index(i)
            for j, port in enumerate(rule.get("ports") or ()):
                errors += _validate_port(port, at.child("ports").index(j))
            for j, peer in enumerate(rule.get(side) or ()):
                errors += _validate_peer(peer, at.child(side).index(j), known, check_values)
    types, at = list(spec.get("policyTypes") or ()), SPEC.child("policyTypes")
    if len(types) > len(_TYPES):
        return [*errors, fields.invalid(at, types, "may not specify more than two policyTypes")]
    return errors + [fields.not_supported(at.index(i), t, _TYPES) for i, t in enumerate(types) if t not in _TYPES]


def _validate_port(port: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    at_port, at_end = path.child("port"), path.child("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        errors.append(fields.not_supported(path.child("protocol"), protocol, _PROTOCOLS))
    if number is None:
        if end is not None:
            errors.append(fields.invalid(at_end, end, "may not be specified when `port` is not specified"))
    elif isinstance(number, str):
        if end is not None:
            errors.append(fields.invalid(at_end, end, "may not be specified when `port` is non-numeric"))
        errors += [fields.invalid(at_port, number, m) for m in names.is_port_name(number)]
    else:
        errors += [fields.invalid(at_port, number, m) for m in names.is_port_number(number)]
        if end is not None:
            if end < number:  # recorded: the value shown is the port's
                errors.append(fields.invalid(at_end, number, "must be greater than or equal to `port`"))
            errors += [fields.invalid(at_end, end, m) for m in names.is_port_number(end)]
    return errors


def _validate_peer(peer: Mapping[str, Any], path: Path, known: Collection[str], check_values: bool) -> ErrorList:
    errors: ErrorList = []
    selectors = [f for f in ("podSelector", "namespaceSelector") if peer.get(f) is not None]
    for field in selectors:
        errors += validate_label_selector(peer[field], path.child(field), check_values=check_values)
    block = peer.get("ipBlock")
    if block is not None:
        errors += _validate_block(block, path.child("ipBlock"), known)
    if not selectors and block is None:
        errors.append(fields.required(path, "must specify a peer"))
    elif selectors and block is not None:
        errors.append(fields.forbidden(path, "may not specify both ipBlock and another peer"))
    return errors


def _validate_block(block: Mapping[str, Any], path: Path, known: Collection[str]) -> ErrorList:
    cidr = block.get("cidr") or ""
    if not cidr:
        return [fields.required(path.child("cidr"))]
    errors = [] if cidr in known else validate_cidr(cidr, path.child("cidr"))
    outer = parse_cidr(cidr)
    if outer is None:
        return errors
    for i, text in enumerate(block.get("except") or ()):
        at = path.child("except").index(i)
        errors += [] if text in known else validate_cidr(text, at)
        inner = parse_cidr(text)
        if inner is None:
            continue
        contained = inner[1].network_address in outer[1] and outer[1].prefixlen < inner[1].prefixlen
        if not contained:
            errors.append(fields.invalid(at, text, "must be a strict subset of `cidr`"))
    return errors


def _warnings(spec: Mapping[str, Any]) -> list[str]:
    found = []
    for path, peer in _peers(spec):
        block = peer.get("ipBlock")
        if block is None:
            continue
        at = path.child("ipBlock")
        found += warnings_for_cidr(block.get("cidr", ""), at.child("cidr"))
        for i, text in enumerate(block.get("except") or ()):
            found += warnings_for_cidr(text, at.child("except").index(i))
    return found


NETWORK_POLICY = Kind(
    NETWORK_POLICIES,
    NetworkPolicyStrategy(),
    Printer(
        (NAME, column("Pod-Selector", "networking.v1.NetworkPolicySpec:podSelector"), AGE),
        name_status_age(lambda obj: selector_text((obj.get("spec") or {}).get("podSelector"))),
    ),
)
