"""Eviction thresholds: of which signal how much has to be available (pkg/kubelet/eviction, pkg/kubelet/eviction/api)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from kubeling.api import quantity
from kubeling.client.flags import parse_duration

MEMORY, ALLOCATABLE, PIDS = "memory.available", "allocatableMemory.available", "pid.available"
NODEFS, NODEFS_INODES = "nodefs.available", "nodefs.inodesFree"
IMAGEFS, IMAGEFS_INODES = "imagefs.available", "imagefs.inodesFree"
CONTAINERFS, CONTAINERFS_INODES = "containerfs.available", "containerfs.inodesFree"
# the resource that each signal is about, as messages name it
RESOURCES = {
    MEMORY: "memory",
    ALLOCATABLE: "memory",
    IMAGEFS: "ephemeral-storage",
    IMAGEFS_INODES: "inodes",
    CONTAINERFS: "ephemeral-storage",
    CONTAINERFS_INODES: "inodes",
    NODEFS: "ephemeral-storage",
    NODEFS_INODES: "inodes",
    PIDS: "pids",
}
DISKS = frozenset((NODEFS, NODEFS_INODES, IMAGEFS, IMAGEFS_INODES))
_OF_THE_OTHERS = frozenset((CONTAINERFS, CONTAINERFS_INODES))


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes or a count."""

    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Amount:
    """``amount`` (bytes or a count), or ``share`` of the capacity; ``text`` is how an amount was written."""

    amount: int = 0
    share: float = 0.0
    text: str = ""

    def of(self, capacity: int) -> int:
        return int(capacity * self.share) if self.share else self.amount

    def shown(self, capacity: int) -> str:
        return self.text or binary(self.of(capacity))


def binary(amount: int) -> str:
    """A number of bytes as messages show it."""
    return str(quantity.Quantity(Decimal(amount), "BinarySI"))


@dataclass(frozen=True, slots=True)
class Threshold:
    """At least ``least`` has to be available.

    A soft threshold has ``grace``, the seconds that it has to be met for before pods go. Once met, it stays so until
    ``reclaim`` more than the minimum is available.
    """

    signal: str
    least: Amount
    grace: float | None = None
    reclaim: Amount = Amount()

    @property
    def soft(self) -> bool:
        return bool(self.grace)

    def is_met(self, readings: Mapping[str, Reading], *, before: bool = False) -> bool:
        """True when there is too little; ``before``: pods have had to go for it, and nothing since has relieved it."""
        reading = readings.get(self.signal)
        if reading is None:
            return False
        wanted = self.least.of(reading.capacity) + (self.reclaim.of(reading.capacity) if before else 0)
        return reading.available < wanted


def _statements(text: str, sign: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        signal, given, value = part.partition(sign)
        if not given:
            raise ValueError(f"invalid eviction threshold syntax {part}, expected <signal><operator><value>")
        if signal not in RESOURCES:
            raise ValueError(f"unsupported eviction signal {signal}")
        found[signal] = value
    return found


def _percentage(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        raise ValueError(f"invalid percentage {text!r}") from None


def _least(signal: str, value: str) -> Amount | None:
    """None for a threshold that is switched off (``0%`` and ``100%``)."""
    if value in ("0%", "100%"):
        return None
    if value.endswith("%"):
        share = _percentage(value)
        if share < 0:
            raise ValueError(f"eviction percentage threshold {signal} must be >= 0%: {value}")
        if share > 1:
            raise ValueError(f"eviction percentage threshold {signal} must be <= 100%: {value}")
        return Amount(share=share)
    amount = quantity.parse(value)
    if amount.value <= 0:
        raise ValueError(f"eviction threshold {signal} must be positive: {amount}")
    return Amount(amount.integer(), text=str(amount))


def _reclaim(signal: str, value: str) -> Amount:
    if value.endswith("%"):
        share = _percentage(value)
        if share <= 0:
            raise ValueError(f"eviction percentage minimum reclaim {signal} must be positive: {value}")
        return Amount(share=share)
    amount = quantity.parse(value)
    if amount.value < 0:
        raise ValueError(f"negative eviction minimum reclaim specified for {signal}")
    return Amount(amount.integer())


def _grace(signal: str, value: str) -> float:
    seconds = parse_duration(value)
    if seconds < 0:
        raise ValueError(f"invalid eviction grace period specified: {signal}, must be a positive value")
    return seconds


def parse_thresholds(
    hard: str, soft: str = "", soft_grace: str = "", reclaim: str = "", *, pods_enforced: bool = False
) -> tuple[Threshold, ...]:
    """Hard and soft thresholds from the flags' text, ``memory.available<100Mi,nodefs.available<10%``. Raises ValueError.

    ``soft_grace`` (``memory.available=1m30s``) is needed for every soft one; ``reclaim`` is ``memory.available=500Mi``.
    ``pods_enforced``: what holds for the machine's memory then holds for that of all pods together, too.
    """
    back = {signal: _reclaim(signal, value) for signal, value in _statements(reclaim, "=").items()}
    graces = {signal: _grace(signal, value) for signal, value in _statements(soft_grace, "=").items()}
    found = [Threshold(s, least) for s, v in _statements(hard, "<").items() if (least := _least(s, v))]
    for signal, value in _statements(soft, "<").items():
        if signal not in graces:
            raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
        if least := _least(signal, value):
            found.append(Threshold(signal, least, graces[signal]))
    found = [replace(t, reclaim=back.get(t.signal, Amount())) for t in found if t.signal not in _OF_THE_OTHERS]
    if pods_enforced:
        found += [replace(t, signal=ALLOCATABLE) for t in found if t.signal == MEMORY and not t.soft]
    return tuple(found)


def kept_free(thresholds: Iterable[Threshold]) -> dict[str, Amount]:
    """By resource, what hard eviction keeps from pods."""
    resources = {MEMORY: "memory", NODEFS: "ephemeral-storage"}
    return {resources[t.signal]: t.least for t in thresholds if not t.soft and t.signal in resources}
