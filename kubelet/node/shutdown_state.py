"""When the node last shut down gracefully: metrics, and a file that keeps them for the kubelets to come."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path

from kubelet.node.metrics import SHUTDOWN_BEGUN, SHUTDOWN_OVER
from kubeling.api.meta import parse_time, rfc3339_micro

log = logging.getLogger(__name__)
FILE = "graceful_node_shutdown_state"
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


class ShutdownState:
    """``folder`` is the kubelet's root: upstream keeps the file there under the same name, in the same form."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def load(self) -> None:
        """What an earlier kubelet has left; what cannot be read counts as never."""
        try:
            found = json.loads(self._file.read_text())
            begun, over = (found.get(name) or _NEVER for name in ("startTime", "endTime"))
            _tell(begun, over)
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, TypeError) as err:
            log.warning("Failed to load graceful shutdown state: %s", err)

    def keep(self, begun: datetime, over: datetime | None = None) -> None:
        """``over`` is None while the shutdown goes on."""
        times = rfc3339_micro(begun), rfc3339_micro(over) if over else _NEVER
        _tell(*times)
        new = self._file.with_name(f".{FILE}")
        try:
            new.write_text(json.dumps(dict(zip(("startTime", "endTime"), times, strict=True))))
            new.replace(self._file)
        except OSError as err:
            log.error("Failed to store graceful shutdown state: %s", err)


def _tell(begun: str, over: str) -> None:
    for gauge, time in ((SHUTDOWN_BEGUN, begun), (SHUTDOWN_OVER, over)):
        gauge.set(0 if time == _NEVER else int(parse_time(time).timestamp()))
