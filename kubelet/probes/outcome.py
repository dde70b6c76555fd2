"""What one probe found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    SUCCESS = "Success"
    WARNING = "Warning"
    FAILURE = "Failure"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``output`` is what the Unhealthy event shows."""

    verdict: Verdict
    output: str = ""

    @property
    def good(self) -> bool:
        return self.verdict in (Verdict.SUCCESS, Verdict.WARNING)
