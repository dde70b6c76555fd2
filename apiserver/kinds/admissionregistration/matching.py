"""Defaults that webhooks and admission policies share: which requests they match."""

from __future__ import annotations

from kubeling.api.meta import Object


def default_rules(rules: list[Object] | None) -> None:
    for rule in rules or ():
        rule.setdefault("scope", "*")


def default_match_resources(match: Object | None) -> None:
    """``matchConstraints`` of a policy, ``matchResources`` of a binding."""
    if match is None:
        return
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    default_rules(match.get("resourceRules"))
    default_rules(match.get("excludeResourceRules"))
