"""A policy compiled: its expressions, and what they say of one request with one parameter object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeling.api.cel import declared
from kubeling.api.cel.errors import CelError
from kubeling.api.cel.lazy import Lazy
from kubeling.api.cel.program import PER_CALL_LIMIT, Program
from kubeling.api.cel.types import Type
from kubeling.api.meta import Object

BUDGET = 10_000_000
"""What all expressions of a policy together may cost on one request."""
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
MAX_MESSAGE = 5 * 1024
MAX_AUDIT_VALUE = 10 * 1024


@dataclass(frozen=True, slots=True)
class Decision:
    """A denial by one validation; ``index`` is its place."""

    message: str
    reason: str
    index: int


@dataclass(slots=True)
class Outcome:
    denials: list[Decision] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Validation:
    source: str
    program: Program
    message: str
    shown: Program | None
    reason: str


class Evaluation:
    """One request's variables and what is left of its budget."""

    def __init__(self, values: dict[str, Any], programs: Mapping[str, Program]) -> None:
        self._values = values
        self._left = BUDGET
        values["variables"] = {name: Lazy(self._later(p)) for name, p in programs.items()}

    def _later(self, program: Program) -> Any:
        return lambda: self.value(program)

    def value(self, program: Program) -> Any:
        """Raises CelError."""
        if self._left <= 0:
            raise CelError(OUT_OF_BUDGET)
        result, cost = program.measured(self._values, min(PER_CALL_LIMIT, self._left))
        self._left -= cost
        return result


class CompiledPolicy:
    """Raises ``declared.Refused`` for a policy that does not compile: one stored by another version of the server."""

    def __init__(self, spec: Object) -> None:
        self.ignores_errors = spec.get("failurePolicy") == "Ignore"
        params = spec.get("paramKind") is not None
        known: dict[str, Type] = {}
        self._variables: dict[str, Program] = {}
        for variable in spec.get("variables") or ():
            env = declared.admission_env(params=params, variables=known)
            program = declared.compiled(env, variable["expression"].strip())
            known[variable["name"]] = program.type
            self._variables[variable["name"]] = program
        env = declared.admission_env(params=params, variables=known)
        conditions = spec.get("matchConditions") or ()
        self._conditions = [(c["name"], declared.compiled(env, c["expression"].strip())) for c in conditions]
        self._validations = [_validation(env, v) for v in spec.get("validations") or ()]
        annotations = spec.get("auditAnnotations") or ()
        self._annotations = [(a["key"], declared.compiled(env, a["valueExpression"].strip())) for a in annotations]

    def judge(self, values: dict[str, Any]) -> Outcome:
        """``values``: what ``request_variables`` gave, with ``params``."""
        outcome = Outcome()
        run = Evaluation(dict(values), self._variables)
        try:
            if not self._applies(run):
                return outcome
        except CelError as error:
            if not self.ignores_errors:
                outcome.denials.append(Decision(str(error), "", 0))
            return outcome
        for i, validation in enumerate(self._validations):
            denial = self._failed(run, validation, i)
            if denial is not None:
                outcome.denials.append(denial)
        self._annotate(run, outcome)
        return outcome

    def _applies(self, run: Evaluation) -> bool:
        """A condition that is false decides; only if none is do errors count."""
        failures: list[str] = []
        for _, condition in self._conditions:
            try:
                if run.value(condition) is not True:
                    return False
            except CelError as error:
                failures.append(f"expression '{condition.source}' resulted in error: {error}")
        if failures:
            raise CelError(failures[0] if len(failures) == 1 else "[" + ", ".join(failures) + "]")
        return True

    def _failed(self, run: Evaluation, validation: _Validation, index: int) -> Decision | None:
        try:
            if run.value(validation.program) is True:
                return None
        except CelError as error:
            if self.ignores_errors:
                return None
            return Decision(f"expression '{validation.source}' resulted in error: {error}", "", index)
        return Decision(_message(run, validation), validation.reason, index)

    def _annotate(self, run: Evaluation, outcome: Outcome) -> None:
        for i, (key, program) in enumerate(self._annotations):
            try:
                value = run.value(program)
            except CelError as error:
                if not self.ignores_errors:
                    text = f"expression '{program.source}' resulted in error: {error}"
                    outcome.denials.append(Decision(text, "", i))
                continue
            if isinstance(value, str) and value.strip():
                outcome.annotations[key] = value.strip()[:MAX_AUDIT_VALUE]


def _validation(env: Any, validation: Object) -> _Validation:
    source = validation["expression"].strip()
    shown = (validation.get("messageExpression") or "").strip()
    return _Validation(
        source,
        declared.compiled(env, source),
        (validation.get("message") or "").strip(),
        declared.compiled(env, shown) if shown else None,
        validation.get("reason") or "",
    )


def _message(run: Evaluation, validation: _Validation) -> str:
    """The computed message, if it is a good one; else the fixed one; else the expression itself."""
    if validation.shown is not None:
        try:
            text = run.value(validation.shown)
        except CelError:
            text = None
        if (
            isinstance(text, str)
            and text.strip()
            and len(text) <= MAX_MESSAGE
            and not re.search(r"[\r\n]", text.strip())
        ):
            return text.strip()
    return validation.message or f"failed expression: {validation.source}"
