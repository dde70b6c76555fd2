"""Lease: who holds a lock, or when a node was last heard of."""

from __future__ import annotations

from apiserver.kinds.printing import AGE, NAME, column, name_status_age
from apiserver.kinds.validation.common import qualified_name
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object
from kubeling.api.resources import LEASES

_SPEC = Path("spec")
_STRATEGIES = ("OldestEmulationVersion",)


class LeaseStrategy(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        spec = obj.get("spec") or {}
        errors: ErrorList = []
        seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if seconds is not None and seconds <= 0:
            errors.append(fields.invalid(_SPEC.child("leaseDurationSeconds"), seconds, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            detail = "must be greater than or equal to 0"
            errors.append(fields.invalid(_SPEC.child("leaseTransitions"), transitions, detail))
        strategy = spec.get("strategy")
        if strategy is not None:
            errors += _validate_strategy(strategy, _SPEC.child("strategy").child("strategy"))
        if spec.get("preferredHolder") and not strategy:
            detail = "may only be specified if `strategy` is defined"
            errors.append(fields.forbidden(_SPEC.child("preferredHolder"), detail))
        return errors


def _validate_strategy(strategy: str, path: Path) -> ErrorList:
    """One of Kubernetes' own names, or a qualified one. Upstream's path has the field twice."""
    if "/" in strategy:
        return qualified_name(strategy, path)
    return [] if strategy in _STRATEGIES else [fields.not_supported(path, strategy, _STRATEGIES)]


def _holder(obj: Object) -> str:
    return str(obj.get("spec", {}).get("holderIdentity") or "")


LEASE = Kind(
    LEASES,
    LeaseStrategy(),
    Printer((NAME, column("Holder", "coordination.v1.LeaseSpec:holderIdentity"), AGE), name_status_age(_holder)),
)
