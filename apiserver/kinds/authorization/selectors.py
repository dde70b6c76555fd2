"""The selectors of a review's resource attributes, as the text that a request would carry."""

from __future__ import annotations

from kubeling.api.meta import Object
from kubeling.api.selectors import escape_field


def label_selector(selector: Object) -> str:
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    return ",".join(_label(requirement) for requirement in selector.get("requirements") or ())


def field_selector(selector: Object) -> str:
    """Only requirements for one value can be said as text; others are left out, which asks for more than is meant."""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    terms = []
    for requirement in selector.get("requirements") or ():
        values: list[str] = requirement.get("values") or []
        sign = {"In": "=", "NotIn": "!="}.get(requirement.get("operator", ""))
        if sign and len(values) == 1:
            terms.append(f"{requirement.get('key', '')}{sign}{escape_field(values[0])}")
    return ",".join(terms)


def _label(requirement: Object) -> str:
    key, values = requirement.get("key", ""), ",".join(requirement.get("values") or ())
    match requirement.get("operator"):
        case "Exists":
            return str(key)
        case "DoesNotExist":
            return f"!{key}"
        case "NotIn":
            return f"{key} notin ({values})"
    return f"{key} in ({values})"
