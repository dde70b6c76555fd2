"""Levels and versions, and what the labels of a namespace ask for.

Source: documentation "Pod Security Admission".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
LATEST = 10_000
"""The minor that stands for ``latest``."""
PREFIX = "pod-security.kubernetes.io/"
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")
_LABELS = Path("metadata", "labels")


@dataclass(frozen=True, slots=True)
class LevelVersion:
    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    @property
    def rank(self) -> int:
        """Strictness of the level."""
        return LEVELS.index(self.level)


@dataclass(frozen=True, slots=True)
class Policy:
    enforce: LevelVersion = field(default_factory=LevelVersion)
    audit: LevelVersion = field(default_factory=LevelVersion)
    warn: LevelVersion = field(default_factory=LevelVersion)

    @property
    def privileged(self) -> bool:
        return self.enforce.level == self.audit.level == self.warn.level == PRIVILEGED


_NO_POLICY = Policy()


def policy_of(labels: Mapping[str, str]) -> tuple[Policy, ErrorList]:
    """What the labels ask for. A level that is wrong counts as restricted, a version that is wrong as latest.

    A namespace that enforces a level and says nothing of warnings is warned by it, too.
    """
    if not any(key.startswith(PREFIX) for key in labels):
        return _NO_POLICY, []
    errors: ErrorList = []
    found: dict[str, LevelVersion] = {}
    for mode in ("enforce", "audit", "warn"):
        level = _level(labels, mode, errors)
        minor = _minor(labels, mode, errors)
        found[mode] = LevelVersion(level, minor)
    if PREFIX + "warn" not in labels and found["warn"].rank < found["enforce"].rank:
        minor = found["warn"].minor if PREFIX + "warn-version" in labels else found["enforce"].minor
        found["warn"] = LevelVersion(found["enforce"].level, minor)
    return Policy(**found), errors


def _level(labels: Mapping[str, str], mode: str, errors: ErrorList) -> str:
    key = PREFIX + mode
    value = labels.get(key, PRIVILEGED)
    if value in LEVELS:
        return value
    errors.append(fields.invalid(_LABELS.key(key), value, f"must be one of {', '.join(LEVELS)}"))
    return RESTRICTED if mode == "enforce" else PRIVILEGED


def _minor(labels: Mapping[str, str], mode: str, errors: ErrorList) -> int:
    key = PREFIX + mode + "-version"
    value = labels.get(key, "latest")
    match = _VERSION.fullmatch(value)
    if match is not None:
        return int(match[1])
    if value != "latest":
        errors.append(fields.invalid(_LABELS.key(key), value, 'must be "latest" or "v1.x"'))
    return LATEST
