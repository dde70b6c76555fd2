"""APIService: who serves a group version, this server or another behind a Service."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.apiregistration.validation import validate_api_service
from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import names
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, condition_of, name_of, with_condition
from kubeling.api.resources import API_SERVICES


class APIServiceStrategy(SpecStrategy):
    empty_status = {}

    def default(self, obj: Object) -> None:
        service = obj.setdefault("spec", {}).get("service")
        if service is not None:
            service.setdefault("port", 443)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        super().prepare_for_create(ctx, obj)
        if not obj["spec"].get("service"):
            text = "Local APIServices are always available"
            obj["status"] = {"conditions": with_condition(None, "Available", "True", ctx.now, "Local", text)}

    def validate_name(self, name: str) -> list[str]:
        return names.is_path_segment_name(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_api_service(obj)


def _row(obj: Object, now: datetime) -> list[Any]:
    service = obj.get("spec", {}).get("service")
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    available = condition_of(obj, "Available")
    state = str(available.get("status", "")) if available else "Unknown"
    if available and state != "True" and available.get("reason"):
        state += f" ({available['reason']})"
    return [name_of(obj), where, state, age_of(obj, now)]


_STRATEGY = APIServiceStrategy()

API_SERVICE = Kind(
    API_SERVICES,
    _STRATEGY,
    Printer(
        (
            NAME,
            column("Service", "The reference to the service that hosts this API endpoint."),
            column("Available", "Whether this service is available."),
            AGE,
        ),
        _row,
    ),
    OwnMetadataStatusStrategy(_STRATEGY),
    key="apiregistration.k8s.io/apiservices",
)
