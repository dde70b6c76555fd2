"""What the printers of all kinds share: the columns that recur, descriptions out of the schemas, small cell formats.

Model: k8s.io/kubernetes/pkg/printers/internalversion. Upstream takes most column descriptions from the Go types'
documentation, which is also what the OpenAPI definitions carry: ``described`` reads them there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from apiserver.registry.kind import Column
from kubeling.api import duration
from kubeling.api.meta import Object, name_of
from kubeling.api.schema.definitions import load

NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"
_MINOR = "1.36"
"""The minor whose texts the columns carry, whatever version the server presents."""
_API, _META = "io.k8s.api.", "io.k8s.apimachinery.pkg.apis.meta."


@cache
def described(definition: str, field: str) -> str:
    """The documentation of a field: ``described("core.v1.Secret", "type")``. KeyError when there is none."""
    definitions = load(_MINOR)
    found = definitions.get(_API + definition) or definitions[_META + definition]
    return str(found["properties"][field]["description"])


def column(name: str, description: str = "", type: str = "string", *, format: str = "", priority: int = 0) -> Column:
    """A column; ``description`` is text, or ``core.v1.Secret:type`` for a field's documentation."""
    definition, colon, field = description.partition(":")
    if colon and field.isalnum():
        description = described(definition, field)
    return Column(name, type, format, description, priority)


NAME = column("Name", "v1.ObjectMeta:name", format="name")
AGE = column("Age", "v1.ObjectMeta:creationTimestamp")


def age_of(obj: Object, now: datetime) -> str:
    """The cell of the Age column."""
    return duration.age((obj.get("metadata") or {}).get("creationTimestamp"), now)


def name_status_age(status: Callable[[Object], Any]) -> Callable[[Object, datetime], list[Any]]:
    """A row of a kind that shows its name, one value and its age."""
    return lambda obj, now: [name_of(obj), status(obj), age_of(obj, now)]


def labels_text(labels: Mapping[str, str] | None) -> str:
    """``a=b,c=d``, or ``<none>``."""
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or NONE


def joined(items: Iterable[str], limit: int = 3) -> str:
    """At most ``limit`` items: ``a,b,c + 2 more...``; ``<none>`` when there are none."""
    shown = list(items)
    text = ",".join(shown[:limit]) or NONE
    return f"{text} + {len(shown) - limit} more..." if len(shown) > limit else text


_EXPRESSIONS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """``metav1.FormatLabelSelector``: ``app=web,tier in (a,b)``, or ``<none>`` when it selects everything or nothing."""
    if not selector:
        return NONE
    found = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        template = _EXPRESSIONS.get(expression.get("operator", ""))
        if template is None:
            return "<error>"
        key, values = expression.get("key", ""), ",".join(sorted(expression.get("values") or ()))
        found.append((key, template.format(key=key, values=values)))
    return ",".join(text for _, text in sorted(found, key=lambda item: item[0])) or NONE
