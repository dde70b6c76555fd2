"""``authorizer``: questions to the authorization of the server, put together step by step.

Expressions are evaluated synchronously, so a question is asked of a function that gives the answer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .env import Function, function, on
from .errors import CelError
from .types import BOOL, STRING, Type, opaque
from .values import NO_OVERLOAD, Opaque

AUTHORIZER = opaque("kubernetes.authorization.Authorizer")
PATH_CHECK = opaque("kubernetes.authorization.PathCheck")
GROUP_CHECK = opaque("kubernetes.authorization.GroupCheck")
RESOURCE_CHECK = opaque("kubernetes.authorization.ResourceCheck")
DECISION = opaque("kubernetes.authorization.Decision")
CHECK_COST = 350_000


@dataclass(frozen=True, slots=True)
class Decision(Opaque):
    allowed: bool
    reason: str = ""
    error: str = ""
    type = DECISION


@dataclass(frozen=True, slots=True)
class Question:
    """``service_account``: in whose name it is asked, (namespace, name), where it is not the requester's."""

    verb: str
    attributes: Mapping[str, str]
    service_account: tuple[str, str] | None = None


Ask = Callable[[Question], Decision]


@dataclass(frozen=True, slots=True)
class Check(Opaque):
    """An authorizer or a check of it that is not complete yet."""

    ask: Ask
    type: Type = AUTHORIZER
    attributes: tuple[tuple[str, str], ...] = ()
    service_account: tuple[str, str] | None = None

    def with_(self, kind: Type, name: str, value: Any) -> Check:
        if not isinstance(value, str):
            raise CelError(NO_OVERLOAD)
        return replace(self, type=kind, attributes=(*self.attributes, (name, value)))


def authorizer(ask: Ask) -> Check:
    return Check(ask)


def _step(name: str, receiver: Type, result: Type) -> Function:
    return function(name, lambda check, value: check.with_(result, name, value), on(receiver, result, STRING))


def _path(check: Check, path: str) -> Check:
    if not path:
        raise CelError("path must not be empty")
    return check.with_(PATH_CHECK, "path", path)


def _account(check: Check, namespace: str, name: str) -> Check:
    return replace(check, service_account=(namespace, name))


def _ask(check: Check, verb: str) -> Decision:
    return check.ask(Question(verb, dict(check.attributes), check.service_account))


AUTHORIZATION: tuple[Function, ...] = (
    function("path", _path, on(AUTHORIZER, PATH_CHECK, STRING)),
    function("serviceAccount", _account, on(AUTHORIZER, AUTHORIZER, STRING, STRING)),
    _step("group", AUTHORIZER, GROUP_CHECK),
    _step("resource", GROUP_CHECK, RESOURCE_CHECK),
    _step("subresource", RESOURCE_CHECK, RESOURCE_CHECK),
    _step("namespace", RESOURCE_CHECK, RESOURCE_CHECK),
    _step("name", RESOURCE_CHECK, RESOURCE_CHECK),
    _step("fieldSelector", RESOURCE_CHECK, RESOURCE_CHECK),
    _step("labelSelector", RESOURCE_CHECK, RESOURCE_CHECK),
    function(
        "check",
        _ask,
        on(PATH_CHECK, DECISION, STRING),
        on(RESOURCE_CHECK, DECISION, STRING),
        cost=lambda a, r: CHECK_COST,
    ),
    function("allowed", lambda d: d.allowed, on(DECISION, BOOL)),
    function("reason", lambda d: d.reason, on(DECISION, STRING)),
    function("errored", lambda d: bool(d.error), on(DECISION, BOOL)),
    function("error", lambda d: d.error, on(DECISION, STRING)),
)
