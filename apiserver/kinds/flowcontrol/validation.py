"""Validation of FlowSchema and PriorityLevelConfiguration (pkg/apis/flowcontrol/validation upstream)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, forbidden, invalid, not_supported, required

Fields = Mapping[str, Any]

VERBS = frozenset({"get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy"})
MAX_PRECEDENCE = 10000
MAX_HASH_BITS = 60
MAX_QUEUES = 10_000_000
MANDATORY_EXEMPT = "exempt"


def validate_flow_schema(obj: Fields) -> ErrorList:
    spec, path = obj.get("spec", {}), Path("spec")
    errors: ErrorList = []
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        errors.append(invalid(path.child("matchingPrecedence"), precedence, "must be a positive value"))
    if precedence > MAX_PRECEDENCE:
        why = f"must not be greater than {MAX_PRECEDENCE}"
        errors.append(invalid(path.child("matchingPrecedence"), precedence, why))
    if precedence == 1 and obj.get("metadata", {}).get("name") != MANDATORY_EXEMPT:
        why = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(invalid(path.child("matchingPrecedence"), precedence, why))
    distinguisher = spec.get("distinguisherMethod")
    if distinguisher is not None and distinguisher.get("type") not in ("ByNamespace", "ByUser"):
        where = path.child("distinguisherMethod").child("type")
        errors.append(not_supported(where, distinguisher.get("type", ""), ["ByNamespace", "ByUser"]))
    errors += _level_reference(spec.get("priorityLevelConfiguration", {}).get("name", ""), path)
    for i, rule in enumerate(spec.get("rules") or ()):
        errors += _rule(rule, path.child("rules").index(i))
    return errors


def _level_reference(name: str, path: Path) -> ErrorList:
    where = path.child("priorityLevelConfiguration").child("name")
    if not name:
        return [required(where, "must reference a priority level")]
    return [invalid(where, name, m) for m in names.is_dns1123_subdomain(name)]


def _rule(rule: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    subjects = rule.get("subjects") or ()
    if not subjects:
        errors.append(required(path.child("subjects"), "subjects must contain at least one value"))
    for i, subject in enumerate(subjects):
        errors += _subject(subject, path.child("subjects").index(i))
    resource_rules, other_rules = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resource_rules and not other_rules:
        errors.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for i, each in enumerate(resource_rules):
        errors += _resource_rule(each, path.child("resourceRules").index(i))
    for i, each in enumerate(other_rules):
        errors += _non_resource_rule(each, path.child("nonResourceRules").index(i))
    return errors


_SUBJECT_FIELDS = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}


def _subject(subject: Fields, path: Path) -> ErrorList:
    kind = subject.get("kind", "")
    if kind not in _SUBJECT_FIELDS:
        return [not_supported(path.child("kind"), kind, sorted(_SUBJECT_FIELDS))]
    errors: ErrorList = []
    order = [kind, *(k for k in ("User", "Group", "ServiceAccount") if k != kind)]
    for each in order:
        field = _SUBJECT_FIELDS[each]
        given = subject.get(field)
        if each == kind:
            if given is None:
                errors.append(required(path.child(field), f"{field} is required when subject kind is '{kind}'"))
            else:
                errors += _SUBJECT_CHECKS[kind](given, path.child(field))
        elif given is not None:
            errors.append(forbidden(path.child(field), f"{field} is forbidden when subject kind is not '{each}'"))
    return errors


def _named_subject(subject: Fields, path: Path) -> ErrorList:
    return [] if subject.get("name") else [required(path.child("name"))]


def _service_account(subject: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    name, namespace = subject.get("name", ""), subject.get("namespace", "")
    if not name:
        errors.append(required(path.child("name")))
    elif name != "*":
        errors += [invalid(path.child("name"), name, m) for m in names.is_dns1123_subdomain(name)]
    if not namespace:
        errors.append(required(path.child("namespace"), "must specify namespace for service account"))
    else:
        errors += [invalid(path.child("namespace"), namespace, m) for m in names.is_dns1123_label(namespace)]
    return errors


_SUBJECT_CHECKS = {"User": _named_subject, "Group": _named_subject, "ServiceAccount": _service_account}


def _alone(values: Sequence[str], path: Path, what: str) -> ErrorList:
    """``*`` stands alone."""
    if len(values) > 1 and "*" in values:
        return [invalid(path, list(values), f"if '*' is present, must not specify other {what}")]
    return []


def _verbs(verbs: Sequence[str], path: Path) -> ErrorList:
    if not verbs:
        return [required(path, "verbs must contain at least one value")]
    if "*" in verbs:
        return _alone(verbs, path, "verbs")
    unknown = [v for v in verbs if v not in VERBS]
    return [not_supported(path, list(verbs), sorted(VERBS))] if unknown else []


def _resource_rule(rule: Fields, path: Path) -> ErrorList:
    errors = _verbs(rule.get("verbs") or (), path.child("verbs"))
    for field, missing, what in (
        ("apiGroups", "resource rules must supply at least one api group", "api groups"),
        ("resources", "resource rules must supply at least one resource", "resources"),
    ):
        values = rule.get(field) or ()
        errors += _alone(values, path.child(field), what) if values else [required(path.child(field), missing)]
    namespaces, where = rule.get("namespaces") or (), path.child("namespaces")
    if not namespaces and not rule.get("clusterScope"):
        errors.append(required(where, "resource rules that are not cluster scoped must supply at least one namespace"))
    elif "*" in namespaces:
        errors += _alone(namespaces, where, "namespaces")
    else:
        for i, namespace in enumerate(namespaces):
            errors += [invalid(where.index(i), namespace, m) for m in names.is_dns1123_label(namespace)]
    return errors


def _non_resource_rule(rule: Fields, path: Path) -> ErrorList:
    errors = _verbs(rule.get("verbs") or (), path.child("verbs"))
    urls, where = rule.get("nonResourceURLs") or (), path.child("nonResourceURLs")
    if not urls:
        errors.append(required(where, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        errors += _alone(urls, where, "non-resource URLs")
    else:
        for i, url in enumerate(urls):
            errors += _url(url, where.index(i))
    return errors


def _url(url: str, path: Path) -> ErrorList:
    if not url:
        return [invalid(path, url, "must not be empty")]
    if url == "/":
        return []
    if not url.startswith("/"):
        return [invalid(path, url, "must start with slash")]
    if " " in url:
        return [invalid(path, url, "must not contain white-space")]
    if "//" in url:
        return [invalid(path, url, "must not contain double slash")]
    if "*" in url[:-1] or (url.endswith("*") and not url.endswith("/*")):
        return [invalid(path, url, "wildcard can only do suffix matching")]
    return []


def validate_priority_level(obj: Fields) -> ErrorList:
    spec, path = obj.get("spec", {}), Path("spec")
    kind = spec.get("type", "")
    errors: ErrorList = []
    is_exempt = obj.get("metadata", {}).get("name") == MANDATORY_EXEMPT
    if kind in ("Exempt", "Limited") and is_exempt != (kind == "Exempt"):
        why = "must be 'Exempt' if and only if `name` is 'exempt'"
        errors.append(invalid(path.child("type"), kind, why))
    limited, exempt = spec.get("limited"), spec.get("exempt")
    match kind:
        case "Exempt":
            if limited is not None:
                errors.append(forbidden(path.child("limited"), "must be nil if the type is not Limited"))
            errors += _shares(exempt or {}, path.child("exempt"))
        case "Limited":
            if exempt is not None:
                errors.append(forbidden(path.child("exempt"), "must be nil if the type is Limited"))
            if limited is None:
                errors.append(required(path.child("limited"), "must not be empty when type is Limited"))
            else:
                errors += _limited(limited, path.child("limited"))
        case _:
            errors.append(not_supported(path.child("type"), kind, ["Exempt", "Limited"]))
    return errors


def _shares(section: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    shares, lendable = section.get("nominalConcurrencyShares"), section.get("lendablePercent")
    if shares is not None and shares < 0:
        errors.append(invalid(path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer"))
    if lendable is not None and not 0 <= lendable <= 100:
        errors.append(invalid(path.child("lendablePercent"), lendable, "must be between 0 and 100, inclusive"))
    return errors


def _limited(limited: Fields, path: Path) -> ErrorList:
    errors = _shares(limited, path)
    borrowing = limited.get("borrowingLimitPercent")
    response, where = limited.get("limitResponse") or {}, path.child("limitResponse")
    kind, queuing = response.get("type", ""), response.get("queuing")
    match kind:
        case "Reject":
            if queuing is not None:
                errors.append(
                    forbidden(where.child("queuing"), "must be nil if limited.limitResponse.type is not Limited")
                )
        case "Queue":
            if queuing is None:
                why = "must not be empty if limited.limitResponse.type is Limited"
                errors.append(required(where.child("queuing"), why))
            else:
                errors += _queuing(queuing, where.child("queuing"))
        case _:
            errors.append(not_supported(where.child("type"), kind, ["Queue", "Reject"]))
    if borrowing is not None and borrowing < 0:
        errors.append(
            invalid(path.child("borrowingLimitPercent"), borrowing, "if specified, must be a non-negative integer")
        )
    return errors


def _queuing(queuing: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    limit, queues, hand = (queuing.get(f, 0) for f in ("queueLengthLimit", "queues", "handSize"))
    if limit <= 0:
        errors.append(invalid(path.child("queueLengthLimit"), limit, "must be positive"))
    if queues <= 0:
        errors.append(invalid(path.child("queues"), queues, "must be positive"))
    elif queues > MAX_QUEUES:
        errors.append(invalid(path.child("queues"), queues, f"must not be greater than {MAX_QUEUES}"))
    if hand <= 0:
        errors.append(invalid(path.child("handSize"), hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid(path.child("handSize"), hand, f"should not be greater than queues ({queues})"))
    elif _entropy_bits(queues, hand) > MAX_HASH_BITS:
        why = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        errors.append(invalid(path.child("handSize"), hand, why))
    return errors


def _entropy_bits(deck: int, hand: int) -> int:
    """Bits that a hash needs so that every hand can be dealt: one falling factorial."""
    hands = comb(deck, hand)
    for i in range(2, hand + 1):
        hands *= i
    return (hands - 1).bit_length()
