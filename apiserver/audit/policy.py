"""The audit policy: at which level which requests are recorded.

Source: audit.k8s.io/v1 Policy, its validation and rule matching (k8s.io/apiserver/pkg/audit/policy).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from apiserver.http.protocols import Attributes

Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]


class Level(IntEnum):
    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def text(self) -> str:
        """As policies and events spell it."""
        return _TEXT[self]

    @classmethod
    def parse(cls, text: Any) -> Level:
        for level, known in _TEXT.items():
            if text == known:
                return level
        raise ValueError(f"unknown level {text!r}")


_TEXT = {
    Level.NONE: "None",
    Level.METADATA: "Metadata",
    Level.REQUEST: "Request",
    Level.REQUEST_RESPONSE: "RequestResponse",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """How a request is recorded. Stages in ``omitted`` write no event."""

    level: Level
    omitted: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


NOTHING = Decision(Level.NONE)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_path(pattern: str) -> str:
    if pattern == "*" or (pattern.startswith("/") and "*" not in pattern.removesuffix("*")):
        return pattern
    raise ValueError(f"{pattern!r} is no path: it must begin with '/', and '*' may only end it")


class GroupResources(_Strict):
    group: str = ""
    resources: tuple[str, ...] = ()
    resourceNames: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> GroupResources:
        if "/" in self.group:
            raise ValueError("group must be a group alone, without a version")
        if self.resourceNames and not self.resources:
            raise ValueError("using resourceNames requires at least one resource")
        return self

    def matches(self, asked: Attributes) -> bool:
        if self.group != asked.group:
            return False
        if not self.resources:
            return True
        if self.resourceNames and asked.name not in self.resourceNames:
            return False
        combined = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        wanted = {"*", combined, f"{asked.resource}/*"}
        if not asked.subresource:
            wanted = {"*", combined}
        else:
            wanted.add(f"*/{asked.subresource}")
        return any(resource in wanted for resource in self.resources)


class Rule(_Strict):
    level: Annotated[Level, BeforeValidator(Level.parse)]
    users: tuple[str, ...] = ()
    userGroups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    nonResourceURLs: tuple[Annotated[str, BeforeValidator(_is_path)], ...] = ()
    omitStages: tuple[Stage, ...] = ()
    omitManagedFields: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> Rule:
        if self.nonResourceURLs and (self.resources or self.namespaces):
            raise ValueError("rules cannot apply to both regular resources and non-resource URLs")
        return self

    def matches(self, asked: Attributes) -> bool:
        user = asked.user
        if self.users and user.name not in self.users:
            return False
        if self.userGroups and not set(self.userGroups) & set(user.groups):
            return False
        if self.verbs and asked.verb not in self.verbs:
            return False
        if asked.resource_request:
            return not self.nonResourceURLs and self._resource(asked)
        return not (self.resources or self.namespaces) and self._path(asked.path)

    def _resource(self, asked: Attributes) -> bool:
        if self.namespaces and asked.namespace not in self.namespaces:
            return False
        return not self.resources or any(r.matches(asked) for r in self.resources)

    def _path(self, path: str) -> bool:
        if not self.nonResourceURLs:
            return True
        return any(
            pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))
            for pattern in self.nonResourceURLs
        )


class Policy(_Strict):
    """``rules``: the first that matches decides; a request that none matches is not recorded."""

    apiVersion: Literal["audit.k8s.io/v1"]
    kind: Literal["Policy"]
    metadata: dict[str, Any] = {}
    rules: tuple[Rule, ...]
    omitStages: tuple[Stage, ...] = ()
    omitManagedFields: bool = False

    def evaluate(self, asked: Attributes) -> Decision:
        for rule in self.rules:
            if rule.matches(asked):
                omit = self.omitManagedFields if rule.omitManagedFields is None else rule.omitManagedFields
                return Decision(rule.level, frozenset((*self.omitStages, *rule.omitStages)), omit)
        return Decision(Level.NONE, frozenset(self.omitStages), self.omitManagedFields)


def load_policy(path: Path) -> Policy:
    """Raises OSError and ValueError, the message naming file and fields."""
    try:
        read = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        policy = Policy.model_validate(read, by_name=True)
    except ValidationError as err:
        problems = "; ".join(f"{_where(e['loc'])}: {e['msg']}" for e in err.errors())
        raise ValueError(f"loading audit policy file: failed decoding file {str(path)!r}: {problems}") from None
    except yaml.YAMLError as err:
        raise ValueError(f"loading audit policy file: failed decoding file {str(path)!r}: {err}") from None
    if not policy.rules:
        raise ValueError(f"loading audit policy file: loaded illegal policy with 0 rules from file {path}")
    return policy


def _where(location: Sequence[int | str]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".") or "policy"
