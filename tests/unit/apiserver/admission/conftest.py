"""Admission attributes with little to say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.http.request import User
from apiserver.registry.admission import AdmissionAttributes
from kubeling.api.resource import Resource

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
Make = Callable[..., AdmissionAttributes]


@pytest.fixture
def attributes(registries: Any) -> Make:
    """Builds the attributes of a request about ``obj`` (or ``old``) in namespace ``ns``."""

    def make(
        resource: Resource,
        obj: Any,
        old: Any = None,
        *,
        operation: Any = "CREATE",
        subresource: str = "",
        user: User | None = None,
        dry_run: bool = False,
    ) -> AdmissionAttributes:
        named = (obj or old or {}).get("metadata", {}).get("name", "")
        return AdmissionAttributes(
            operation,
            resource,
            (resource.group, resource.version, resource.kind),
            subresource,
            "ns" if resource.namespaced else "",
            named,
            obj,
            old,
            {},
            user or User("alice"),
            dry_run,
            NOW,
            registries,
        )

    return make
