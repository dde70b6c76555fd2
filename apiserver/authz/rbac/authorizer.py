"""The RBAC authorizer: decisions from the policy index, remembered until the policy changes."""

from __future__ import annotations

from apiserver.authz.rbac.index import PolicyIndex, Resolved
from apiserver.authz.rbac.rules import Rule
from apiserver.authz.union import Rules
from apiserver.http.protocols import Attributes, Decision
from apiserver.http.request import User
from kubeling.api.meta import Object

_MAX_USERS = 4096
_MAX_ANSWERS = 8192

_Question = tuple[str, ...]
_Answer = tuple[tuple[tuple[frozenset[str] | None, Decision], ...], Decision]
"""What is allowed for which names (None: all of them), in order, and the decision when nothing fits."""


class _UserPolicy:
    """What one user (a name and its groups) is granted, and the answers already worked out."""

    __slots__ = ("answers", "resolved")

    def __init__(self, resolved: list[Resolved]) -> None:
        self.resolved = resolved
        self.answers: dict[_Question, _Answer] = {}

    def applying(self, namespace: str) -> list[Resolved]:
        return [r for r in self.resolved if not r.grant.namespace or (namespace and r.grant.namespace == namespace)]


class RbacAuthorizer:
    """Answers from ``PolicyIndex``; also the rule resolver of the escalation checks.

    A question without the object's name is answered once for a user and policy generation: a decision on the hot path is
    three dictionary look-ups.
    """

    def __init__(self, index: PolicyIndex) -> None:
        self.index = index
        self._users: dict[tuple[str, tuple[str, ...]], _UserPolicy] = {}
        self._generation = -1

    async def authorize(self, attributes: Attributes) -> Decision:
        policy = self._policy(attributes.user)
        question: _Question
        if attributes.resource_request:
            question = (
                attributes.verb,
                attributes.group,
                attributes.resource,
                attributes.subresource,
                attributes.namespace,
            )
        else:
            question = (attributes.verb, attributes.path)
        answer = policy.answers.get(question)
        if answer is None:
            if len(policy.answers) >= _MAX_ANSWERS:
                policy.answers.clear()
            answer = policy.answers[question] = _answer(policy, attributes)
        for names, decision in answer[0]:
            if names is None or attributes.name in names:
                return decision
        return answer[1]

    async def rules_for(self, user: User, namespace: str) -> Rules:
        """For SelfSubjectRulesReview."""
        rules, problems = self.resolve(user, namespace)
        resources = [_resource_rule(r.source) for r in rules if r.resources]
        urls = [
            {"verbs": list(r.source.get("verbs") or ()), "nonResourceURLs": list(r.source["nonResourceURLs"])}
            for r in rules
            if r.urls
        ]
        return resources, urls, bool(problems), aggregate(problems)

    def resolve(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """All rules the user holds in the namespace (cluster-wide ones when it is empty), and what could not be resolved."""
        applying = self._policy(user).applying(namespace)
        return [rule for r in applying for rule in r.rules], [r.error for r in applying if r.error]

    def _policy(self, user: User) -> _UserPolicy:
        if self._generation != self.index.generation or len(self._users) > _MAX_USERS:
            self._users.clear()
            self._generation = self.index.generation
        key = (user.name, user.groups)
        policy = self._users.get(key)
        if policy is None:
            resolved = [self.index.resolve(grant) for grant in self.index.grants_of(user)]
            policy = self._users[key] = _UserPolicy(resolved)
        return policy


def aggregate(problems: list[str]) -> str:
    """Several error texts as Go's aggregate prints them: repeated ones once, more than one in brackets."""
    unique = list(dict.fromkeys(problems))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]" if unique else ""


def _answer(policy: _UserPolicy, attributes: Attributes) -> _Answer:
    allowed: list[tuple[frozenset[str] | None, Decision]] = []
    problems: list[str] = []
    for resolved in policy.applying(attributes.namespace):
        if resolved.error:
            problems.append(resolved.error)
        decision = Decision(True, f"RBAC: allowed by {resolved.grant.description}")
        for rule in resolved.rules:
            if attributes.resource_request:
                if rule.covers_resource(attributes.verb, attributes.group, attributes.resource, attributes.subresource):
                    allowed.append((rule.names, decision))
            elif rule.covers_url(attributes.verb, attributes.path):
                allowed.append((None, decision))
        if allowed and allowed[-1][0] is None:
            break
    otherwise = Decision(False, f"RBAC: {aggregate(problems)}" if problems else "")
    return tuple(allowed), otherwise


def _resource_rule(source: Object) -> Object:
    rule = {
        field: list(source[field])
        for field in ("verbs", "apiGroups", "resources", "resourceNames")
        if source.get(field)
    }
    return {"verbs": [], **rule}
