"""Authorizers asked in turn, and the two that need no policy."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.http.protocols import Attributes, Authorizer, Decision
from apiserver.http.request import User
from kubeling.api.meta import Object

ALLOWED = Decision(True)
NO_OPINION = Decision(False)
_EVERYTHING: Object = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_URL: Object = {"verbs": ["*"], "nonResourceURLs": ["*"]}

Rules = tuple[list[Object], list[Object], bool, str]
"""Resource rules, non-resource rules, whether they may be incomplete, and why."""


class AlwaysAllow:
    """``--authorization-mode=AlwaysAllow``."""

    async def authorize(self, attributes: Attributes) -> Decision:
        return ALLOWED

    async def rules_for(self, user: User, namespace: str) -> Rules:
        return [_EVERYTHING], [_EVERY_URL], False, ""


class AlwaysDeny:
    """``--authorization-mode=AlwaysDeny``: nobody but privileged groups."""

    async def authorize(self, attributes: Attributes) -> Decision:
        return Decision(False, "Everything is forbidden.")

    async def rules_for(self, user: User, namespace: str) -> Rules:
        return [], [], False, ""


class PrivilegedGroups:
    """Allows members of the groups everything, whatever the policy: ``system:masters`` stays in when RBAC is broken."""

    def __init__(self, *groups: str) -> None:
        self._groups = frozenset(groups)

    async def authorize(self, attributes: Attributes) -> Decision:
        return NO_OPINION if self._groups.isdisjoint(attributes.user.groups) else ALLOWED

    async def rules_for(self, user: User, namespace: str) -> Rules:
        return [], [], False, ""


class Union:
    """The first authorizer with an opinion decides; reasons of those without one are joined."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    async def authorize(self, attributes: Attributes) -> Decision:
        reasons: list[str] = []
        for authorizer in self._authorizers:
            decision = await authorizer.authorize(attributes)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons)) if reasons else NO_OPINION

    async def rules_for(self, user: User, namespace: str) -> Rules:
        resources: list[Object] = []
        urls: list[Object] = []
        incomplete, problems = False, []
        for authorizer in self._authorizers:
            more_resources, more_urls, partial, problem = await authorizer.rules_for(user, namespace)
            resources += more_resources
            urls += more_urls
            incomplete = incomplete or partial
            if problem:
                problems.append(problem)
        error = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]" if problems else ""
        return resources, urls, incomplete, error
