"""RuntimeClass: a handler of the container runtime, what it costs and where it runs."""

from __future__ import annotations

from apiserver.kinds.printing import AGE, NAME, column, name_status_age
from apiserver.kinds.validation.common import dns_label
from apiserver.kinds.validation.meta import immutable, validate_labels
from apiserver.kinds.validation.pod.defaults import round_resources
from apiserver.kinds.validation.pod.requirements import validate_requirements
from apiserver.kinds.validation.pod.scheduling import validate_toleration
from apiserver.kinds.validation.pod.warnings import node_label_warning
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object
from kubeling.api.resources import RUNTIME_CLASSES

_HANDLER, _OVERHEAD, _SCHEDULING = Path("handler"), Path("overhead"), Path("scheduling")
_TOLERATION_FIELDS = ("Key", "Operator", "Value", "Effect")


class RuntimeClassStrategy(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("handler", "")
        if obj.get("overhead") is not None:
            round_resources(obj["overhead"], "podFixed")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        handler = obj.get("handler") or ""
        errors = dns_label(handler, _HANDLER) if handler else [fields.required(_HANDLER)]
        overhead, scheduling = obj.get("overhead"), obj.get("scheduling")
        if overhead is not None:
            errors += validate_requirements({"limits": overhead.get("podFixed") or {}}, (), _OVERHEAD)
        if scheduling is not None:
            errors += validate_labels(scheduling.get("nodeSelector"), _SCHEDULING.child("nodeSelector"))
            errors += _validate_tolerations(scheduling.get("tolerations") or [], _SCHEDULING.child("tolerations"))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return self.validate(ctx, obj) + immutable(obj.get("handler") or "", old.get("handler") or "", _HANDLER)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _warnings(obj)


def _warnings(obj: Object) -> list[str]:
    selector = (obj.get("scheduling") or {}).get("nodeSelector") or {}
    found = (node_label_warning(key) for key in sorted(selector))
    return [f"{_SCHEDULING.child('nodeSelector')}: {text}" for text in found if text]


def _validate_tolerations(tolerations: list[Object], path: Path) -> ErrorList:
    """Each valid, none twice; upstream mixes the two kinds of errors in the order of the list."""
    errors: ErrorList = []
    for i, toleration in enumerate(tolerations):
        errors += validate_toleration(toleration, path.index(i), operators=("Equal", "Exists"))
        if toleration in tolerations[:i]:
            errors.append(fields.duplicate(path.index(i), _internal(toleration)))
    return errors


def _internal(toleration: Object) -> Object:
    """As Go prints upstream's internal type."""
    shown = {name: toleration.get(name.lower(), "") for name in _TOLERATION_FIELDS}
    return {**shown, "TolerationSeconds": toleration.get("tolerationSeconds")}


RUNTIME_CLASS = Kind(
    RUNTIME_CLASSES,
    RuntimeClassStrategy(),
    Printer((NAME, column("Handler"), AGE), name_status_age(lambda obj: obj.get("handler", ""))),
)
