"""IngressClass: a controller and where its parameters are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.networking.ingress_validation import validate_typed_reference
from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.common import dns_label
from apiserver.kinds.validation.domains import validate_domain_prefixed_path
from apiserver.kinds.validation.meta import immutable
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import INGRESS_CLASSES

DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_CONTROLLER, _PARAMETERS = Path("spec", "controller"), Path("spec", "parameters")
_MAX_CONTROLLER = 250


class IngressClassStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        parameters = obj.setdefault("spec", {}).get("parameters")
        if parameters is not None:
            default_to(parameters, "scope", "Cluster")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        controller = obj["spec"].get("controller") or ""
        if not controller:
            errors = [fields.required(_CONTROLLER)]
        else:
            too_long = len(controller.encode()) > _MAX_CONTROLLER
            errors = [fields.too_long(_CONTROLLER, _MAX_CONTROLLER)] if too_long else []
            errors += validate_domain_prefixed_path(controller, _CONTROLLER)
        return errors + _validate_parameters(obj["spec"].get("parameters"))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        new, before = (o["spec"].get("controller") or "" for o in (obj, old))
        return immutable(new, before, _CONTROLLER) + self.validate(ctx, obj)


def _validate_parameters(parameters: Object | None) -> ErrorList:
    if parameters is None:
        return []
    errors = validate_typed_reference(parameters, _PARAMETERS)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    at_scope, at_namespace = _PARAMETERS.child("scope"), _PARAMETERS.child("namespace")
    if scope is None:
        return [*errors, fields.required(at_scope)]
    if scope == "Namespace":
        missing = [fields.required(at_namespace, "`parameters.scope` is set to 'Namespace'")]
        errors += missing if namespace is None else dns_label(namespace, at_namespace)
    elif scope == "Cluster":
        if namespace is not None:
            errors.append(fields.forbidden(at_namespace, "`parameters.scope` is set to 'Cluster'"))
    else:
        errors.append(fields.not_supported(at_scope, scope, ("Cluster", "Namespace")))
    return errors


def _parameters(parameters: Object | None) -> str:
    """``Params.x.example/p``, or ``Kind/p`` for the core group."""
    if not parameters:
        return NONE
    group = parameters.get("apiGroup")
    kind = parameters.get("kind", "")
    return f"{kind}.{group}/{parameters.get('name', '')}" if group else f"{kind}/{parameters.get('name', '')}"


def _row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    name = name_of(obj) + (" (default)" if annotations_of(obj).get(DEFAULT_CLASS) == "true" else "")
    return [name, spec.get("controller", ""), _parameters(spec.get("parameters")), age_of(obj, now)]


INGRESS_CLASS = Kind(
    INGRESS_CLASSES,
    IngressClassStrategy(),
    Printer(
        (
            NAME,
            column("Controller", "Controller that is responsible for handling this class"),
            column("Parameters", "A reference to a resource with additional parameters"),
            AGE,
        ),
        _row,
    ),
)
