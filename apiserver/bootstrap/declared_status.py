"""What the API server itself writes into the status of definitions of custom resources.

Upstream runs the naming and establishing controllers of the extensions server within the API server. Here one loop looks at
all definitions whenever one changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from apiserver.bootstrap.status_loop import StatusLoop
from apiserver.registry.facade import Registry, WriteOptions
from kubeling.api.meta import Object, condition_of, is_deleting, name_of, with_condition
from kubeling.api.resources import CUSTOM_RESOURCE_DEFINITIONS

_OPTIONS = WriteOptions(manager="kube-apiserver")

Decide = Callable[[Object], Object | None]
"""The status that an object should have, None when it has it."""


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
    """Acts whenever a definition changed, on all of them at once."""

    watched = (CUSTOM_RESOURCE_DEFINITIONS,)

    async def _reconcile(self) -> None:
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
