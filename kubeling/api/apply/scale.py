"""Ownership across the scale subresource: entries of the parent seen as entries of its Scale, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeling.api.apply.fieldset import FieldSet, difference, has, single
from kubeling.api.apply.managed import Managed, Ownership, decode, encode

_REPLICAS = ("f:spec", "f:replicas")

Entries = list[dict[str, Any]]


class ScaleOwnership:
    """Translates ``managedFields`` between an object and its Scale.

    ``api_version`` is the parent's version the request names; ``paths`` says for each version where the parent holds the number
    of replicas (``{"apps/v1": "spec.replicas"}``); ``scale_version`` is that of the Scale.
    """

    def __init__(
        self,
        entries: Iterable[Mapping[str, Any]],
        api_version: str,
        paths: Mapping[str, str],
        scale_version: str = "autoscaling/v1",
    ) -> None:
        self._scale_version = scale_version
        self._parent = decode(entries)
        self._api_version = api_version
        self._paths = {v: tuple(f"f:{name}" for name in p.split(".")) for v, p in paths.items()}

    def to_scale(self) -> Entries:
        """Entries of the managers that own the number of replicas."""
        found = Managed()
        for who, owned in self._parent.owners.items():
            path = self._paths.get(owned.api_version)
            if path and has(owned.fields, path):
                found.owners[who] = Ownership(self._scale_version, single(*_REPLICAS), owned.time)
        return encode(found)

    def to_parent(self, scale: Iterable[Mapping[str, Any]]) -> Entries:
        """The parent's entries after the Scale's have changed to ``scale``; those that come from the Scale have no time."""
        left = decode(scale).owners
        result = Managed()
        for who, owned in self._parent.owners.items():
            path = self._paths.get(owned.api_version)
            if path is None:
                continue
            if not has(owned.fields, path) or left.pop(who, None) is not None:
                result.owners[who] = owned
                continue
            fields: FieldSet = difference(owned.fields, single(*path))
            if fields:
                result.owners[who] = Ownership(owned.api_version, fields, owned.time)
        replicas = single(*self._paths[self._api_version])
        for who, owned in left.items():
            if has(owned.fields, _REPLICAS):
                result.owners[who] = Ownership(self._api_version, replicas)
        return encode(result)
