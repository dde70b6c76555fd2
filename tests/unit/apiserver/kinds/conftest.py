"""How a strategy is asked in tests: decode, defaults, preparation and validation as the registry runs them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.kinds import KINDS
from apiserver.registry.kind import Context, Kind
from kubeling.api.meta import Object
from kubeling.api.schema.schemas import schemas_for

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
_BY_KIND = {(k.resource.group, k.resource.kind): k for k in KINDS}


class Strategies:
    """Runs what the registry runs around storage, metadata apart."""

    context = Context(NOW)

    def kind(self, name: str, group: str = "") -> Kind:
        return _BY_KIND[group, name]

    def decoded(self, obj: Object) -> tuple[Kind, Object]:
        group, _, version = obj["apiVersion"].rpartition("/")
        kind = self.kind(obj["kind"], group)
        made = schemas_for("1.36").of(group, version, obj["kind"]).decode(deepcopy(obj)).obj
        made.update(apiVersion=obj["apiVersion"], kind=obj["kind"])
        kind.strategy.default(made)
        return kind, made

    def created(self, obj: Object) -> Object:
        kind, made = self.decoded(obj)
        kind.strategy.prepare_for_create(self.context, made)
        return made

    def errors(self, obj: Object) -> list[str]:
        kind, made = self.decoded(obj)
        kind.strategy.prepare_for_create(self.context, made)
        return [str(e) for e in kind.strategy.validate(self.context, made)]

    def updated(self, old: Object, new: Object) -> Object:
        kind, made = self.decoded(new)
        kind.strategy.prepare_for_update(self.context, made, old)
        return made

    def update_errors(self, old: Object, new: Object) -> list[str]:
        kind, before = self.decoded(old)
        made = self.updated(before, new)
        return [str(e) for e in kind.strategy.validate_update(self.context, made, before)]

    def cells(self, obj: Object) -> dict[str, Any]:
        kind, made = self.decoded(obj)
        assert kind.printer is not None
        row = kind.printer.row(made, NOW)
        return {column.name: cell for column, cell in zip(kind.printer.columns, row, strict=False)}


@pytest.fixture
def strategies() -> Strategies:
    return Strategies()


@pytest.fixture
def service() -> Callable[..., Object]:
    def make(**spec: Any) -> Object:
        ports = {"ports": [{"port": 80}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": ports | spec}

    return make


@pytest.fixture
def workload() -> Callable[..., Object]:
    """An object of apps/v1 with a selector, a matching template and what is given of the spec."""

    def make(kind: str, *, template: Object | None = None, **spec: Any) -> Object:
        labels, pod_spec = {"app": "x"}, {"containers": [{"name": "c", "image": "i"}]}
        made = {"metadata": {"labels": labels}, "spec": {**pod_spec, **(template or {})}}
        base = {"selector": {"matchLabels": labels}, "template": made}
        return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "w", "namespace": "n"}, "spec": base | spec}

    return make
