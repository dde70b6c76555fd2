"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy with their bindings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.admissionregistration.matching import default_match_resources
from apiserver.kinds.admissionregistration.policy_validation import (
    validate_binding,
    validate_mutating_policy,
    validate_validating_policy,
)
from apiserver.kinds.printing import AGE, NAME, UNSET, age_of, column
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import (
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
)


class ValidatingPolicyStrategy(SpecStrategy):
    has_generation = True
    allow_unconditional_update = False
    empty_status = {}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("failurePolicy", "Fail")
        default_match_resources(spec.get("matchConstraints"))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_validating_policy(obj)


class MutatingPolicyStrategy(Strategy):
    has_generation = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("failurePolicy", "Fail")
        default_match_resources(spec.get("matchConstraints"))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_mutating_policy(obj)


class PolicyBindingStrategy(Strategy):
    """Bindings of both kinds of policy."""

    has_generation = True
    allow_unconditional_update = False

    def __init__(self, *, acts: bool) -> None:
        """``acts``: validating policies, whose bindings say what follows from a failure."""
        self._acts = acts

    def default(self, obj: Object) -> None:
        default_match_resources(obj.setdefault("spec", {}).get("matchResources"))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_binding(obj, acts=self._acts)


def _param_kind(spec: Object) -> str:
    kind = spec.get("paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET


def _param_ref(spec: Object) -> str:
    reference = spec.get("paramRef")
    if not reference:
        return UNSET
    if reference.get("name"):
        namespace = reference.get("namespace", "*")
        return f"{namespace}/{reference['name']}"
    return UNSET


def _policy_row(counted: str) -> Any:
    def row(obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec", {})
        return [name_of(obj), len(spec.get(counted) or ()), _param_kind(spec), age_of(obj, now)]

    return row


def _binding_row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    return [name_of(obj), spec.get("policyName", ""), _param_ref(spec), age_of(obj, now)]


_PARAM_KIND = column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")
_BINDING = Printer(
    (
        NAME,
        column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
        column("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
        AGE,
    ),
    _binding_row,
)
_VALIDATING = ValidatingPolicyStrategy()

VALIDATING_POLICY = Kind(
    VALIDATING_ADMISSION_POLICIES,
    _VALIDATING,
    Printer(
        (
            NAME,
            column(
                "Validations",
                "Validations indicates the number of validation rules defined in this configuration",
                "integer",
            ),
            _PARAM_KIND,
            AGE,
        ),
        _policy_row("validations"),
    ),
    OwnMetadataStatusStrategy(_VALIDATING),
)
VALIDATING_POLICY_BINDING = Kind(VALIDATING_ADMISSION_POLICY_BINDINGS, PolicyBindingStrategy(acts=True), _BINDING)
MUTATING_POLICY = Kind(
    MUTATING_ADMISSION_POLICIES,
    MutatingPolicyStrategy(),
    Printer(
        (
            NAME,
            column(
                "Mutations", "Mutation indicates the number of mutations rules defined in this configuration", "integer"
            ),
            _PARAM_KIND,
            AGE,
        ),
        _policy_row("mutations"),
    ),
    stored_version="v1beta1",
)
MUTATING_POLICY_BINDING = Kind(
    MUTATING_ADMISSION_POLICY_BINDINGS, PolicyBindingStrategy(acts=False), _BINDING, stored_version="v1beta1"
)
