"""What the API server itself writes into the status of API services and of definitions of custom resources.

Upstream runs the aggregator's availability controller and the naming and establishing controllers of the extensions server
within the API server. Here one loop looks at all of them whenever something changed. Custom resources are not served yet,
and services behind API services are not probed: of those only what the objects tell is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from apiserver.bootstrap.status_loop import StatusLoop
from apiserver.registry.facade import Registry, WriteOptions
from kubeling.api.meta import Object, condition_of, is_deleting, name_of, with_condition
from kubeling.api.resources import API_SERVICES, CUSTOM_RESOURCE_DEFINITIONS, SERVICES

_OPTIONS = WriteOptions(manager="kube-apiserver")

Find = Callable[[str, str], Object | None]
"""A Service by its name and namespace."""
Decide = Callable[[Object], Object | None]
"""The status that an object should have, None when it has it."""


def available_status(api_service: Object, find: Find, now: datetime) -> Object | None:
    """The status that an API service should have; None: nothing is to be said, or it has been said."""
    reference = (api_service.get("spec") or {}).get("service")
    if not reference:
        return None
    name, namespace, port = reference.get("name", ""), reference.get("namespace", ""), reference.get("port", 443)
    service = find(name, namespace)
    where = f'service/{name} in "{namespace}"'
    if service is None:
        reason, message = "ServiceNotFound", f"{where} is not present"
    elif not _listens(service, port):
        reason, message = "ServicePortError", f"{where} is not listening on port {port}"
    else:
        return None
    status = api_service.get("status") or {}
    conditions = with_condition(status.get("conditions"), "Available", "False", now, reason, message)
    return None if conditions == status.get("conditions") else {**status, "conditions": conditions}


def _listens(service: Object, port: int) -> bool:
    spec = service.get("spec") or {}
    return spec.get("type") == "ExternalName" or any(p.get("port") == port for p in spec.get("ports") or ())


def naming_status(definition: Object, others: Iterable[Object], now: datetime) -> Object | None:
    """The status that a definition should have: the names that it gets and what follows; None when it is so already.

    ``others``: the other definitions of its group. A name that one of them has been given is refused.
    """
    wanted = (definition.get("spec") or {}).get("names") or {}
    status = definition.get("status") or {}
    accepted, (reason, message) = _accepted(wanted, status.get("acceptedNames") or {}, others)
    good = not reason
    conditions = with_condition(
        status.get("conditions"),
        "NamesAccepted",
        "True" if good else "False",
        now,
        reason or "NoConflicts",
        message or "no conflicts found",
    )
    established = condition_of(definition, "Established") or {}
    if established.get("status") != "True":
        state, why, text = (
            ("True", "InitialNamesAccepted", "the initial names have been accepted")
            if good and not is_deleting(definition)
            else ("False", "NotAccepted", "not all names are accepted")
        )
        conditions = with_condition(conditions, "Established", state, now, why, text)
    if conditions == status.get("conditions") and accepted == status.get("acceptedNames"):
        return None
    return {**status, "conditions": conditions, "acceptedNames": accepted}


_NAMES = (
    ("plural", "PluralConflict", "resources"),
    ("singular", "SingularConflict", "resources"),
    ("shortNames", "ShortNamesConflict", "resources"),
    ("kind", "KindConflict", "kinds"),
    ("listKind", "ListKindConflict", "kinds"),
)


def _accepted(
    wanted: Mapping[str, Any], present: Mapping[str, Any], others: Iterable[Object]
) -> tuple[dict[str, Any], tuple[str, str]]:
    """The names accepted, and reason and message of the last conflict."""
    taken = _taken(others)
    accepted, conflict = dict(present), ("", "")
    for field, reason, space in _NAMES:
        value = wanted.get(field)
        asked = value if isinstance(value, list) else [value] if value else []
        clashes = [n for n in asked if n in taken[space] and value != present.get(field)]
        if not clashes:
            _put(accepted, field, value)
            continue
        texts = [f'"{name}" is already in use' for name in clashes]
        conflict = reason, texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    _put(accepted, "categories", wanted.get("categories"))
    return accepted, conflict


def _put(names: dict[str, Any], field: str, value: Any) -> None:
    if value:
        names[field] = value
    else:
        names.pop(field, None)


def _taken(others: Iterable[Object]) -> dict[str, set[str]]:
    taken: dict[str, set[str]] = {"resources": set(), "kinds": set()}
    for other in others:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        taken["resources"] |= {names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ())}
        taken["kinds"] |= {names.get("kind", ""), names.get("listKind", "")}
    return taken


class DeclaredStatus(StatusLoop):
    """Acts whenever an API service, a definition or a Service changed, on all of them at once."""

    watched = (API_SERVICES, CUSTOM_RESOURCE_DEFINITIONS, SERVICES)

    async def _reconcile(self) -> None:
        find = self._registries.of(SERVICES).cached

        def available(api_service: Object) -> Object | None:
            return available_status(api_service, find, self._clock())

        api_services = self._registries.of(API_SERVICES)
        for api_service in api_services.cached_list():
            await self._write(api_services, api_service, available)
        definitions = self._registries.of(CUSTOM_RESOURCE_DEFINITIONS)
        present = {name_of(d): d for d in definitions.cached_list()}
        for name, definition in list(present.items()):
            others = [o for n, o in present.items() if n != name and _group(o) == _group(definition)]
            present[name] = await self._write(definitions, definition, self._naming(others))

    def _naming(self, others: list[Object]) -> Decide:
        return lambda definition: naming_status(definition, others, self._clock())

    async def _write(self, registry: Registry, obj: Object, decide: Decide) -> Object:
        """The object as it is then, with the status that is decided on what is stored."""
        if decide(obj) is None:
            return obj

        def change(stored: Object) -> Object:
            status = decide(stored)
            return stored if status is None else {**stored, "status": status}

        write = registry.update(name_of(obj), change, subresource="status", options=_OPTIONS)
        return await self._attempt(write, "cannot set a status") or obj


def _group(definition: Object) -> Any:
    return (definition.get("spec") or {}).get("group")
