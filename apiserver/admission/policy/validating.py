"""ValidatingAdmissionPolicy: every policy that a binding brings to a request judges it.

Source: documentation "Validating Admission Policy"; wording of k8s.io/apiserver/pkg/admission/plugin/policy/validating.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from apiserver.admission.common import refused
from apiserver.admission.policy import params
from apiserver.admission.policy.matching import exempt, matches
from apiserver.admission.policy.program import CompiledPolicy, Decision, Outcome
from apiserver.admission.policy.variables import request_variables
from apiserver.http.protocols import Authorizer
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.cel.declared import Refused
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import VALIDATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICY_BINDINGS

_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_AUDIT_KEY = "validation.policy.admission.k8s.io/validation_failure"


class ValidatingAdmissionPolicy(NoAdmission):
    name = "ValidatingAdmissionPolicy"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._compiled: dict[str, tuple[Any, CompiledPolicy | str]] = {}

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return not exempt(attributes)

    async def validate(self, attributes: AdmissionAttributes) -> None:
        bindings = attributes.registries.of(VALIDATING_ADMISSION_POLICY_BINDINGS).cached_list()
        if not bindings:
            return
        policies = {name_of(p): p for p in attributes.registries.of(VALIDATING_ADMISSION_POLICIES).cached_list()}
        values: dict[str, Any] | None = None
        denied: list[tuple[str, str, Decision]] = []
        failures: list[Object] = []
        for policy, binding in _bound(policies, bindings, attributes):
            values = values if values is not None else request_variables(attributes, self._authorizer)
            outcome = self._judge(policy, binding, attributes, values)
            for key, text in outcome.annotations.items():
                attributes.audit_annotations[f"{name_of(policy)}/{key}"] = text
            for decision in outcome.denials:
                _act(policy, binding, decision, attributes, denied, failures)
        if failures:
            attributes.audit_annotations[_AUDIT_KEY] = json.dumps(failures, separators=(",", ":"))
        if denied:
            raise _refusal(attributes, *denied[0])

    def _judge(
        self, policy: Object, binding: Object, attributes: AdmissionAttributes, values: dict[str, Any]
    ) -> Outcome:
        ignores = policy["spec"].get("failurePolicy") == "Ignore"
        total = Outcome()
        try:
            found = params.collect(policy, binding, attributes)
        except params.NotConfigured as error:
            if not ignores:
                total.denials.append(Decision(str(error), "", 0))
            return total
        compiled = self._program(policy)
        if isinstance(compiled, str):
            if not ignores:
                total.denials.append(Decision(compiled, "", 0))
            return total
        for one in found:
            outcome = compiled.judge({**values, "params": one})
            total.denials += outcome.denials
            total.annotations |= outcome.annotations
        return total

    def _program(self, policy: Object) -> CompiledPolicy | str:
        """The policy compiled, once for each of its generations; or why it cannot be."""
        metadata = policy["metadata"]
        key = (metadata.get("uid"), metadata.get("generation"))
        known = self._compiled.get(metadata["name"])
        if known is None or known[0] != key:
            try:
                made: CompiledPolicy | str = CompiledPolicy(policy["spec"])
            except Refused as error:
                made = str(error)
            known = self._compiled[metadata["name"]] = (key, made)
        return known[1]


def _bound(
    policies: dict[str, Object], bindings: list[Object], attributes: AdmissionAttributes
) -> Iterator[tuple[Object, Object]]:
    """The policies that concern a request, each with its bindings, by name."""
    for binding in sorted(bindings, key=lambda b: (b["spec"].get("policyName", ""), name_of(b))):
        policy = policies.get(binding["spec"].get("policyName", ""))
        if policy is None or not matches(policy["spec"].get("matchConstraints"), attributes):
            continue
        if matches(binding["spec"].get("matchResources"), attributes):
            yield policy, binding


def _act(
    policy: Object, binding: Object, decision: Decision, attributes: AdmissionAttributes,
    denied: list[tuple[str, str, Decision]], failures: list[Object],
) -> None:  # fmt: skip
    """What the binding wants done about a failure."""
    names = name_of(policy), name_of(binding)
    actions = binding["spec"].get("validationActions") or ()
    if "Deny" in actions:
        denied.append((*names, decision))
    if "Audit" in actions:
        failures.append(
            {
                "message": decision.message,
                "policy": names[0],
                "binding": names[1],
                "expressionIndex": decision.index,
                "validationActions": list(actions),
            }
        )
    if "Warn" in actions:
        attributes.warn(
            f"Validation failed for ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}': {decision.message}"
        )


def _refusal(attributes: AdmissionAttributes, policy: str, binding: str, decision: Decision) -> StatusError:
    text = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {decision.message}"
    status = dict(refused(attributes, text).status)
    reason = decision.reason or "Invalid"
    details = {**status.get("details", {}), "causes": [{"message": text}]}
    return StatusError({**status, "reason": reason, "code": _CODES[reason], "details": details})
