"""The admission plugin ResourceQuota: refuses what would exceed a quota, and books what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from apiserver.admission.common import refused
from apiserver.admission.quota.stated import missing_values
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.devicequotas import Around
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of, utcnow
from kubeling.api.podresources import Resources, resources
from kubeling.api.quantity import Quantity
from kubeling.api.quotas import in_scopes, usage
from kubeling.api.resources import DEVICE_CLASSES, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS

_ZERO = Quantity(Decimal(0))
_UPDATED = ("pods", "services", "persistentvolumeclaims")
"""Resources whose updates may take more (claims grow, services get node ports, pods are resized)."""


class ResourceQuota(NoAdmission):
    """Runs last: what it books must not be refused by another plugin afterwards."""

    name = "ResourceQuota"

    def handles(self, attributes: AdmissionAttributes) -> bool:
        if not attributes.namespace or attributes.obj is None:
            return False
        if attributes.operation == "CREATE":
            return not attributes.subresource
        updated = not attributes.resource.group and attributes.resource.plural in _UPDATED
        return attributes.operation == "UPDATE" and updated and attributes.subresource in ("", "resize")

    async def validate(self, attributes: AdmissionAttributes) -> None:
        registry = attributes.registries.of(RESOURCE_QUOTAS)
        quotas = registry.cached_list(attributes.namespace)
        if not quotas:
            return
        wanted = _delta(attributes)
        booked = []
        for quota in sorted(quotas, key=name_of):
            if not in_scopes(quota.get("spec") or {}, attributes.resource.qualified, attributes.obj or {}):
                continue
            names = limited_names(quota, wanted)
            _check_stated(attributes, quota)
            if names:
                charge(attributes, quota, {n: wanted[n] for n in names})  # refuses before anything is booked
                booked.append((name_of(quota), {n: wanted[n] for n in names}))
        if attributes.dry_run:
            return
        for name, amounts in booked:
            await registry.update(name, _booking(attributes, amounts), attributes.namespace, subresource="status")


def _booking(attributes: AdmissionAttributes, amounts: Resources) -> Callable[[Object], Object | None]:
    return lambda quota: charge(attributes, quota, amounts)


def _delta(attributes: AdmissionAttributes) -> Resources:
    """What the request takes more than before; names of which it takes no more are left out."""
    kind, now = attributes.resource.qualified, utcnow()
    new = usage(kind, attributes.obj or {}, now, _around(attributes))
    if attributes.operation != "UPDATE":
        return {name: value for name, value in new.items() if value.value > 0}
    old = usage(kind, attributes.old_obj or {}, now)
    grown = {name: value - old.get(name, _ZERO) for name, value in new.items()}
    return {name: value for name, value in grown.items() if value.value > 0}


def _around(attributes: AdmissionAttributes) -> Around:
    of = attributes.registries.of
    return Around(
        of(DEVICE_CLASSES).cached_list,
        lambda namespace, name: of(PODS).cached(name, namespace),
        of(RESOURCE_CLAIMS).cached_list,
    )


def _hard(quota: Object) -> Resources:
    return resources((quota.get("status") or {}).get("hard"))


def limited_names(quota: Object, names: Iterable[str]) -> list[str]:
    """Those that the quota limits, as far as its status says so: one that was never counted limits nothing yet."""
    hard = _hard(quota)
    return sorted(name for name in names if name in hard)


def _check_stated(attributes: AdmissionAttributes, quota: Object) -> None:
    if attributes.resource.group or attributes.resource.plural != "pods" or attributes.operation != "CREATE":
        return
    lacking = missing_values(attributes.obj or {}, _hard(quota))
    if lacking:
        raise refused(attributes, f"failed quota: {name_of(quota)}: must specify {lacking}")


def charge(attributes: AdmissionAttributes, quota: Object, amounts: Resources) -> Object:
    """The quota with the amounts booked. Raises ``StatusError`` 403 when that is too much."""
    hard, used = _hard(quota), resources((quota.get("status") or {}).get("used"))
    unknown = [name for name in amounts if name not in used]
    if unknown:
        names = ",".join(sorted(unknown))
        raise refused(attributes, f"status unknown for quota: {name_of(quota)}, resources: {names}")
    new = {name: used[name] + value for name, value in amounts.items()}
    exceeded = sorted(name for name, value in new.items() if name in hard and value.value > hard[name].value)
    if exceeded:
        raise _exceeded(attributes, quota, exceeded, (amounts, used, hard))
    status = dict(quota.get("status") or {})
    status["used"] = {**(status.get("used") or {}), **{name: str(value) for name, value in new.items()}}
    return {**quota, "status": status}


def _exceeded(
    attributes: AdmissionAttributes, quota: Object, names: list[str], figures: tuple[Resources, Resources, Resources]
) -> StatusError:
    requested, used, hard = (_printed(names, values) for values in figures)
    return refused(
        attributes, f"exceeded quota: {name_of(quota)}, requested: {requested}, used: {used}, limited: {hard}"
    )


def _printed(names: list[str], values: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={values[name]}" for name in names)
