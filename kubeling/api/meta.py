"""Objects are plain JSON dicts; these functions read and build their metadata.

None of them copies unless it says so, and none mutates what it is given unless its name says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from os import register_at_fork, urandom
from typing import Any, NamedTuple

Object = dict[str, Any]


class Key(NamedTuple):
    """Names an object of a kind: ``namespace`` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def name_of(obj: Mapping[str, Any]) -> str:
    return (obj.get("metadata") or {}).get("name") or ""


def namespace_of(obj: Mapping[str, Any]) -> str:
    return (obj.get("metadata") or {}).get("namespace") or ""


def key_of(obj: Mapping[str, Any]) -> Key:
    return Key(namespace_of(obj), name_of(obj))


def uid_of(obj: Mapping[str, Any]) -> str:
    return (obj.get("metadata") or {}).get("uid") or ""


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}


def resource_version_of(obj: Mapping[str, Any]) -> str:
    return (obj.get("metadata") or {}).get("resourceVersion") or ""


def is_deleting(obj: Mapping[str, Any]) -> bool:
    """True once a deletion timestamp is set."""
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference with ``controller: true``, or None."""
    for owner in (obj.get("metadata") or {}).get("ownerReferences") or ():
        if owner.get("controller"):
            result: Mapping[str, Any] = owner
            return result
    return None


def is_controlled_by(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid_of(owner)


def owner_reference(owner: Mapping[str, Any], *, controller: bool = True, block: bool = True) -> Object:
    """An owner reference to ``owner``, which must carry apiVersion and kind."""
    reference: Object = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
    }
    if controller:
        reference["controller"] = True
    if block:
        reference["blockOwnerDeletion"] = True
    return reference


def object_reference(obj: Mapping[str, Any]) -> Object:
    """An ``ObjectReference`` as events carry it; empty fields are left out."""
    reference = {
        "kind": obj.get("kind", ""),
        "namespace": namespace_of(obj),
        "name": name_of(obj),
        "uid": uid_of(obj),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": resource_version_of(obj),
    }
    return {k: v for k, v in reference.items() if v}


def condition_of(obj: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    """The condition of that type in ``status.conditions``, or None."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == type_:
            result: Mapping[str, Any] = condition
            return result
    return None


def has_condition(obj: Mapping[str, Any], type_: str, status: str = "True") -> bool:
    condition = condition_of(obj, type_)
    return condition is not None and condition.get("status") == status


def with_condition(
    conditions: list[Object] | None,
    type_: str,
    status: str,
    now: datetime,
    reason: str = "",
    message: str = "",
    **more: Any,
) -> list[Object]:
    """A new list with the condition set; ``lastTransitionTime`` moves only when the status changes."""
    condition: Object = {"type": type_, "status": status}
    found = next((c for c in conditions or () if c.get("type") == type_), None)
    kept = found is not None and found.get("status") == status and found.get("lastTransitionTime")
    condition["lastTransitionTime"] = kept or rfc3339(now)
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    condition.update(more)
    if found is None:
        return [*(conditions or ()), condition]
    return [condition if c is found else c for c in conditions or ()]


def rfc3339(moment: datetime) -> str:
    """``metav1.Time``: UTC, whole seconds, ``2006-01-02T15:04:05Z``."""
    return _to_the_second(moment.replace(microsecond=0))


@lru_cache(maxsize=64)
def _to_the_second(moment: datetime) -> str:
    """Remembered: one second sees thousands of writes."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def rfc3339_micro(moment: datetime) -> str:
    """``metav1.MicroTime``: UTC, six fractional digits."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as an aware datetime. Raises ValueError."""
    if "." in text:  # nanoseconds are legal on the wire, Python keeps microseconds
        head, _, tail = text.partition(".")
        digits = "".join(c for c in tail[:9] if c.isdigit()) if tail else ""
        zone = tail.lstrip("0123456789")
        text = f"{head}.{digits[:6].ljust(6, '0')}{zone}"
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return moment


class _Randomness:
    """Random bytes of the operating system, fetched many at a time: asking it is most of what a UUID costs."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Two processes must not draw the same."""
        self._bytes, self._at = b"", 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._bytes):
            self._bytes, self._at = urandom(4096), 0
        self._at += count
        return self._bytes[self._at - count : self._at]


_randomness = _Randomness()
register_at_fork(after_in_child=_randomness.forget)


def new_uid() -> str:
    """A random UUID of version 4, made faster than ``uuid`` does."""
    text = _randomness.take(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def utcnow() -> datetime:
    """The wall clock; pass ``now`` into pure functions instead of calling this in them."""
    return datetime.now(UTC)
