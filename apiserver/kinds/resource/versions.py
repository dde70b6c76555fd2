"""The older versions of the group, which a default server does not serve.

v1beta2 and v1alpha3 are the same under another name; v1beta1 writes requests and devices in one piece less or more.
Source: pkg/apis/resource/v1beta1 (conversion.go).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from apiserver.kinds.resource.kinds import DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE
from apiserver.kinds.resource.taintrules import DEVICE_TAINT_RULE
from apiserver.registry.kind import Conversion, Kind, Strategy
from kubeling.api.meta import Object

Convert = Callable[[Object], Object]

_EXACT = ("deviceClassName", "selectors", "allocationMode", "count", "adminAccess", "tolerations", "capacity")
_REQUESTS = ("spec", "devices", "requests")
_DEVICES = ("spec", "devices")


@dataclass(frozen=True, slots=True)
class _Older:
    """How a kind differs in an older version: items at ``path``; ``life``: when it is deprecated and when it goes."""

    version: str
    life: Sequence[str]
    path: Sequence[str] = ()
    to_storage: Convert = dict
    from_storage: Convert = dict

    def of(self, kind: Kind) -> Conversion:
        resource, stored = replace(kind.resource, version=self.version), kind.resource.api_version

        def to_storage(obj: Object) -> Object:
            return {**_each(obj, self.path, self.to_storage), "apiVersion": stored}

        def from_storage(obj: Object) -> Object:
            return {**_each(obj, self.path, self.from_storage), "apiVersion": resource.api_version}

        told = ", ".join(
            f"{what} in v{release}+" for what, release in zip(("deprecated", "unavailable"), self.life, strict=False)
        )
        return Conversion(
            resource,
            _AsStored(kind.strategy, to_storage, from_storage),
            to_storage,
            from_storage,
            deprecation=f"{resource.api_version} {resource.kind} is {told}",
        )


class _AsStored(Strategy):
    """The defaults of the stored version."""

    def __init__(self, stored: Strategy, to_storage: Convert, from_storage: Convert) -> None:
        self._stored, self._to_storage, self._from_storage = stored, to_storage, from_storage

    def default(self, obj: Object) -> None:
        stored = self._to_storage(obj)
        self._stored.default(stored)
        made = self._from_storage(stored)
        obj.clear()
        obj.update(made)


def _each(obj: Object, path: Sequence[str], change: Convert) -> Object:
    """A copy in which the items of the list at the path are changed."""
    if not path or not obj.get(path[0]):
        return {**obj}
    name, *rest = path
    inner = obj[name]
    return {**obj, name: _each(inner, rest, change) if rest else [change(item or {}) for item in inner]}


def _exactly(request: Object) -> Object:
    """What is asked for exactly has a part of its own."""
    exact = {name: request[name] for name in _EXACT if name in request}
    others = {name: value for name, value in request.items() if name not in _EXACT}
    is_set = any(value is not None and value != "" and (name != "count" or value) for name, value in exact.items())
    return {**others, "exactly": exact} if is_set else others


def _flat(request: Object) -> Object:
    others = {name: value for name, value in request.items() if name != "exactly"}
    return {**others, **(request.get("exactly") or {})}


def _plain(device: Object) -> Object:
    return {"name": device.get("name", ""), **(device.get("basic") or {})}


def _basic(device: Object) -> Object:
    return {"name": device["name"], "basic": {name: value for name, value in device.items() if name != "name"}}


_BETA_2 = _Older("v1beta2", ("1.36", "1.39"))
_BETA_1 = _Older("v1beta1", ("1.35", "1.38"))
_CLAIM = replace(_BETA_1, path=_REQUESTS, to_storage=_exactly, from_storage=_flat)
_OLDER: Sequence[tuple[Kind, Sequence[_Older]]] = (
    (DEVICE_CLASS, (_BETA_2, _BETA_1)),
    (RESOURCE_CLAIM, (_BETA_2, _CLAIM)),
    (RESOURCE_CLAIM_TEMPLATE, (_BETA_2, replace(_CLAIM, path=("spec", *_REQUESTS)))),
    (RESOURCE_SLICE, (_BETA_2, replace(_BETA_1, path=_DEVICES, to_storage=_plain, from_storage=_basic))),
    (DEVICE_TAINT_RULE, (_Older("v1alpha3", ("1.36",)),)),
)

OLDER: Mapping[str, tuple[Conversion, ...]] = {
    kind.resource.qualified: tuple(older.of(kind) for older in versions) for kind, versions in _OLDER
}
"""By qualified plural."""
