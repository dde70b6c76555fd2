"""What a policy's expressions get wrong for the kinds that it matches.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating (typechecking.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from kubeling.api.cel.declared import admission_env
from kubeling.api.cel.env import Env
from kubeling.api.cel.errors import CompileError
from kubeling.api.cel.program import compile_program
from kubeling.api.cel.types import DYN, Type
from kubeling.api.meta import Object

MAX_TYPES = 10


class Plural(NamedTuple):
    """A resource as a rule names it."""

    group: str
    version: str
    resource: str


class Kind(NamedTuple):
    """A kind; sorts by group, version, name; written as Go writes it."""

    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


def _rules(policy: Object) -> Iterator[list[Plural]]:
    """The resources of each rule, without those of rules that wildcards leave open, and without subresources."""
    constraints = policy["spec"].get("matchConstraints") or {}
    for rule in constraints.get("resourceRules") or ():
        groups, versions = sorted(rule.get("apiGroups") or ()), sorted(rule.get("apiVersions") or ())
        if any("*" in text for text in [*groups, *versions]):
            continue
        plurals = sorted(r for r in rule.get("resources") or () if "*" not in r and "/" not in r)
        yield [Plural(*one) for one in product(groups, versions, plurals)]


def resources_of(policy: Object) -> set[Plural]:
    """All resources whose kinds ``kinds_of`` asks for."""
    return {resource for rule in _rules(policy) for resource in rule}


def kinds_of(policy: Object, known: Mapping[Plural, Kind]) -> list[Kind]:
    """The kinds to check the policy against; the rule that brings its tenth is the last that counts."""
    found: set[Kind] = set()
    for rule in _rules(policy):
        kinds = [known[resource] for resource in rule if resource in known][:MAX_TYPES]
        found.update(kinds)
        if len(kinds) == MAX_TYPES:
            break
    return sorted(found)


def param_kind(policy: Object) -> Kind | None:
    said = policy["spec"].get("paramKind")
    if not said:
        return None
    group, _, version = said.get("apiVersion", "").rpartition("/")
    return Kind(group, version, said.get("kind", ""))


def warnings_of(policy: Object, objects: Mapping[Kind, Type], params: Type | None) -> list[Object]:
    """The entries of ``status.typeChecking.expressionWarnings``. ``objects``: the types to check against, None of ``params``
    where the policy has no parameters or their kind is not known."""
    spec = policy["spec"]
    environments = {kind: _environment(spec, objects[kind], params) for kind in sorted(objects)}
    found: list[Object] = []
    for i, validation in enumerate(spec.get("validations") or ()):
        for name in ("expression", "messageExpression"):
            source = validation.get(name)
            told = [text for kind, env in environments.items() if (text := _told(kind, env, source))] if source else []
            if told:
                found.append({"fieldRef": f"spec.validations[{i}].{name}", "warning": "\n".join(told)})
    return found


def _environment(spec: Object, objects: Type, params: Type | None) -> Env:
    """A variable that is wrong itself counts as of unknown type, so that only its users' own mistakes are told."""
    known: dict[str, Type] = {}

    def current() -> Env:
        return admission_env(params=params is not None, variables=known, objects=objects, param_type=params or DYN)

    for variable in spec.get("variables") or ():
        try:
            known[variable["name"]] = compile_program(current(), variable["expression"]).type
        except CompileError:
            known[variable["name"]] = DYN
    return current()


def _told(kind: Kind, env: Env, source: str) -> str:
    try:
        compile_program(env, source)
    except CompileError as error:
        return f"{kind}: {error}\n"
    return ""
