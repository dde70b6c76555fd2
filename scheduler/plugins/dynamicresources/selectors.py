"""CEL selectors of device classes and requests, evaluated for one device.

Source: k8s.io/dynamic-resource-allocation/cel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kubeling.api import quantity
from kubeling.api.cel.declared import Domains, Refused, device_selector
from kubeling.api.cel.errors import CelError
from kubeling.api.cel.kubernetes import parse_semver
from kubeling.api.cel.program import Program
from kubeling.api.cel.values import type_value
from scheduler.plugins.dynamicresources.devices import Device


class SelectorError(Exception):
    """The expression does not compile, or not for this device's values; the text follows the selector's place."""


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Program | str:
    """The program, or why there is none."""
    try:
        return device_selector(expression)
    except Refused as err:
        return f"CEL compile error: {err}"


def matches(expression: str, device: Device) -> bool:
    """Whether the expression selects the device. Raises SelectorError."""
    program = _compiled(expression)
    if isinstance(program, str):
        raise SelectorError(program)
    try:
        found = program.evaluate({"device": _value(device)})
    except CelError as err:
        raise SelectorError(f"CEL runtime error: {err}") from None
    if not isinstance(found, bool):
        text = f"CEL result of type {type_value(found)} could not be converted to bool"
        raise SelectorError(f"CEL runtime error: {text}")
    return found


def _value(device: Device) -> dict[str, Any]:
    """The variable ``device``. Raises CelError."""
    driver, spec = device.id[0], device.spec
    return {
        "driver": driver,
        "attributes": _by_domain(spec.get("attributes") or {}, driver, _attribute),
        "capacity": _by_domain(spec.get("capacity") or {}, driver, lambda _, c: quantity.parse(str(c["value"]))),
        "allowMultipleAllocations": bool(spec.get("allowMultipleAllocations")),
    }


def _by_domain(entries: Mapping[str, Any], driver: str, convert: Callable[[str, Any], Any]) -> Domains:
    """A name without a domain is in the driver's."""
    found = Domains()
    for name, entry in entries.items():
        domain, slash, own = name.partition("/")
        found.setdefault(domain if slash else driver, {})[own if slash else name] = convert(name, entry)
    return found


def _attribute(name: str, entry: Mapping[str, Any]) -> Any:
    for kind in ("int", "bool", "string"):
        if entry.get(kind) is not None:
            return entry[kind]
    if entry.get("version") is None:
        raise CelError(f"attribute {name}: unsupported attribute value")
    try:
        return parse_semver(entry["version"])
    except CelError as err:
        raise CelError(f"attribute {name}: parse semantic version: {err}") from None
