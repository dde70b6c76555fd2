"""ServiceAccount: secrets, image pull secrets and whether its token is mounted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from apiserver.serviceaccounts.token_request import create_token
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import SERVICE_ACCOUNTS

MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_WARNING = (
    f"metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; "
    "prefer separate namespaces to isolate access to mounted secrets"
)


class ServiceAccountStrategy(Strategy):
    """Everything about it is optional; ``secrets`` are kept as they are since tokens are no longer generated."""

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return [_WARNING] if MOUNTABLE in annotations_of(obj) else []

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        """Only who adds the annotation is warned."""
        return [_WARNING] if MOUNTABLE in annotations_of(obj) and MOUNTABLE not in annotations_of(old) else []


def _row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), age_of(obj, now)]


SERVICE_ACCOUNT = Kind(
    SERVICE_ACCOUNTS, ServiceAccountStrategy(), Printer((NAME, AGE), _row), actions={"token": create_token}
)
