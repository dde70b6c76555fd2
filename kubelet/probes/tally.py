"""Thresholds: when a row of outcomes becomes a verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.probes.outcome import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """``good`` is None until the first threshold is reached."""

    good: bool | None = None
    last: bool | None = None
    run: int = 0

    def add(self, outcome: Outcome, probe: Mapping[str, Any]) -> Tally:
        """The tally after one more outcome; one that could not be told changes nothing."""
        if outcome.verdict is Verdict.UNKNOWN:
            return self
        run = self.run + 1 if outcome.good == self.last else 1
        threshold = int(
            probe.get("successThreshold" if outcome.good else "failureThreshold") or (1 if outcome.good else 3)
        )
        return Tally(outcome.good if run >= threshold else self.good, outcome.good, run)
