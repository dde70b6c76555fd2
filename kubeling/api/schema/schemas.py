"""Schemas of kinds: decode, field lookup; built-in kinds by version of Kubernetes, custom resources by their schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from pydantic_core import SchemaValidator

from kubeling.api.meta import Object
from kubeling.api.schema import fast
from kubeling.api.schema.definitions import Definitions, load
from kubeling.api.schema.derived import LEGACY
from kubeling.api.schema.model import Field, Type
from kubeling.api.schema.walk import DecodeError, Walker

__all__ = ["DecodeError", "Decoded", "ObjectSchema", "Schemas", "schemas_for"]


@dataclass(slots=True)
class Decoded:
    """A decoded object: normalised as a round trip through Go's typed struct would, and the unknown fields that were dropped
    (``unknown field "spec.foo"``, in the order of the input)."""

    obj: Object
    unknown: list[str] = field(default_factory=list)


class ObjectSchema:
    """The schema of one kind (or of any struct); compiled at first use."""

    declared = False
    """A custom resource's: a body must say what it is, and is taken for that only when it says so rightly."""

    def __init__(self, root: Type) -> None:
        self.root = root

    @cached_property
    def _fast(self) -> SchemaValidator:
        return fast.compile_type(self.root)

    def decode(self, obj: Any) -> Decoded:
        """A new, normalised object; ``obj`` is left alone (opaque values inside are shared).

        Raises DecodeError with Go's text: ``json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec``.
        """
        try:
            return Decoded(self._fast.validate_python(obj))
        except fast.ValidationError:
            walker = Walker()
            return Decoded(walker.decode(obj, self.root), walker.unknown)

    def field(self, *path: str) -> Field | None:
        """The field at a path of JSON names, through list elements and map values; None where there is none."""
        made, found = self.root, None
        for name in path:
            while made.item is not None:
                made = made.item
            found = made.fields.get(name)
            if found is None:
                return None
            made = found.type
        return found


class Schemas:
    """The built-in kinds of one minor of Kubernetes."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._by_kind: dict[tuple[str, str, str], ObjectSchema] = {}
        self._by_name: dict[str, ObjectSchema] = {}

    def of(self, group: str, version: str, kind: str) -> ObjectSchema:
        """The schema of a kind. Raises KeyError for one this minor does not have."""
        key = (group, version, kind)
        found = self._by_kind.get(key)
        if found is None:
            name = self.definitions.name_of(group, version, kind)
            if name is None:
                raise KeyError(f"{group}/{version} {kind}")
            found = self._by_kind[key] = self.named(name)
        return found

    def has(self, group: str, version: str, kind: str) -> bool:
        return self.definitions.name_of(group, version, kind) is not None

    def named(self, definition: str) -> ObjectSchema:
        """The schema of a definition by its full name (``io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions``)."""
        found = self._by_name.get(definition)
        if found is None:
            found = self._by_name[definition] = ObjectSchema(self.definitions.type_of(definition))
        return found


@lru_cache(maxsize=4)
def schemas_for(version: str = "1.36", *, legacy: bool = False) -> Schemas:
    """The schemas of a minor of Kubernetes, with ``legacy`` those of the old versions, too.

    Raises FileNotFoundError for one that kubernetes-validate does not hold."""
    return Schemas(Definitions(load(version), LEGACY if legacy else ()))
