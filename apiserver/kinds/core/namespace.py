"""Namespace: a name label, the ``kubernetes`` finalizer, a phase."""

from __future__ import annotations

from apiserver.kinds.printing import AGE, NAME, column, name_status_age
from apiserver.kinds.strategies import StatusStrategy, keep
from apiserver.kinds.validation.meta import validate_kube_finalizer
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, is_deleting
from kubeling.api.resources import NAMESPACES

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
_FINALIZERS = Path("spec", "finalizers")


class NamespaceStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        status = obj.setdefault("status", {})
        if not status.get("phase"):
            status["phase"] = "Active"
        meta = obj.setdefault("metadata", {})
        name = meta.get("name")
        if name:
            meta["labels"] = {**(meta.get("labels") or {}), NAME_LABEL: name}

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"phase": "Active"}
        spec = obj.setdefault("spec", {})
        if FINALIZER not in (spec.get("finalizers") or ()):
            spec["finalizers"] = [*(spec.get("finalizers") or ()), FINALIZER]
        self.default(obj)  # a generated name gets its label, too

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "spec", "status")

    def prepare_for_delete(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        obj["metadata"].pop("deletionGracePeriodSeconds", None)  # namespaces are deleted by code of their own upstream

    def may_be_removed(self, obj: Object) -> bool:
        """Not before the namespace controller has emptied it and taken its finalizer off the spec."""
        return super().may_be_removed(obj) and not (obj.get("spec") or {}).get("finalizers")

    def validate_name(self, name: str) -> list[str]:
        return names.is_dns1123_label(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_finalizers(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return []


class NamespaceStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        phase, at = obj["status"].get("phase", ""), Path("status", "Phase")
        if is_deleting(obj):
            if phase != "Terminating":
                return [fields.invalid(at, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
        elif phase != "Active":
            return [fields.invalid(at, phase, "may only be 'Active' if `deletionTimestamp` is empty")]
        return []


class NamespaceFinalizeStrategy(StatusStrategy):
    """``finalize``: changes ``spec.finalizers`` and nothing else of spec and status."""

    kept = ("status",)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return _validate_finalizers(obj, indexed=True)


def _validate_finalizers(obj: Object, *, indexed: bool = False) -> ErrorList:
    """Upstream's path has an index in ``finalize`` alone."""
    errors: ErrorList = []
    for i, finalizer in enumerate(obj.get("spec", {}).get("finalizers") or ()):
        at = _FINALIZERS.index(i) if indexed else _FINALIZERS
        errors += [fields.invalid(at, finalizer, m) for m in names.is_qualified_name(finalizer)]
        errors += validate_kube_finalizer(finalizer, at)
    return errors


def _phase(obj: Object) -> str:
    return str(obj.get("status", {}).get("phase", ""))


_STRATEGY = NamespaceStrategy()
NAMESPACE = Kind(
    NAMESPACES,
    _STRATEGY,
    Printer((NAME, column("Status", "The status of the namespace"), AGE), name_status_age(_phase)),
    status=NamespaceStatusStrategy(_STRATEGY),
    updates={"finalize": NamespaceFinalizeStrategy(_STRATEGY)},
    field_selectors={"status.phase": _phase},
)
