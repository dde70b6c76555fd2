"""Compiles the CEL expressions of policies and webhooks as their validation, which refuses those that do not compile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.cel import declared
from kubeling.api.cel.env import Env
from kubeling.api.cel.types import BOOL, STRING, Type
from kubeling.api.fields import ErrorList, Path, invalid

Fields = Mapping[str, Any]


def check_expression(env: Env, text: str, path: Path, *types: Type) -> ErrorList:
    """The complaint about an expression; one that is not there is somebody else's."""
    if not text.strip():
        return []
    try:
        declared.compiled(env, text.strip(), *types)
    except declared.Refused as refused:
        return [invalid(path, text.strip(), str(refused))]
    return []


def policy_env(spec: Fields, *, mutation: bool = False) -> tuple[Env, Env, ErrorList]:
    """The environments of a policy's expressions and of its messages, and what is wrong with its variables."""
    known: dict[str, Type] = {}
    errors: ErrorList = []
    params = spec.get("paramKind") is not None
    for i, variable in enumerate(spec.get("variables") or ()):
        text, path = (
            (variable.get("expression") or "").strip(),
            Path("spec").child("variables").index(i).child("expression"),
        )
        if not text:
            continue
        try:
            env = declared.admission_env(params=params, variables=known, mutation=mutation)
            known[variable.get("name") or ""] = declared.compiled(env, text).type
        except declared.Refused as refused:
            errors.append(invalid(path, text, str(refused)))
    variables = known if spec.get("variables") else None
    full = declared.admission_env(params=params, variables=variables, mutation=mutation)
    return full, declared.admission_env(params=params, authorizer=False, variables=variables), errors


def check_conditions(conditions: Any, path: Path, *, params: bool = False) -> ErrorList:
    env = declared.admission_env(params=params)
    errors: ErrorList = []
    for i, condition in enumerate(conditions or ()):
        errors += check_expression(env, condition.get("expression") or "", path.index(i).child("expression"), BOOL)
    return errors


def check_validating_policy(spec: Fields) -> ErrorList:
    """All expressions of a ValidatingAdmissionPolicy but its match conditions."""
    env, messages, errors = policy_env(spec)
    path = Path("spec")
    for i, validation in enumerate(spec.get("validations") or ()):
        where = path.child("validations").index(i)
        errors += check_expression(env, validation.get("expression") or "", where.child("expression"), BOOL)
        shown = validation.get("messageExpression") or ""
        errors += check_expression(messages, shown, where.child("messageExpression"), STRING)
    for i, annotation in enumerate(spec.get("auditAnnotations") or ()):
        where = path.child("auditAnnotations").index(i).child("valueExpression")
        errors += check_expression(env, annotation.get("valueExpression") or "", where, *declared.AUDIT_VALUE)
    return errors


def check_mutating_policy(spec: Fields) -> ErrorList:
    env, _, errors = policy_env(spec, mutation=True)
    for i, mutation in enumerate(spec.get("mutations") or ()):
        where = Path("spec").child("mutations").index(i)
        for field, wanted in (("applyConfiguration", declared.OBJECT), ("jsonPatch", declared.PATCHES)):
            text = (mutation.get(field) or {}).get("expression") or ""
            errors += check_expression(env, text, where.child(field, "expression"), wanted)
    return errors
