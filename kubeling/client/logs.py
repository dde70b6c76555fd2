"""Logging of a component: one line a record on stderr, as text or JSON."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson


class TextFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z INFO controllers: message``."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, msg, and err with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "ts": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            entry["err"] = self.formatException(record.exc_info)
        return orjson.dumps(entry).decode()


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


DEBUG_VERBOSITY = 4
_NOISY = ("httpx", "httpcore", "asyncio", "h11")


def setup_logging(logging_format: str = "text", verbosity: int = 0) -> None:
    """Sets up the root logger; verbosity 4 and more shows debug messages of our own packages."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if logging_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_verbosity(verbosity)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def set_verbosity(verbosity: int) -> None:
    """As ``--v``, also while the component runs."""
    logging.getLogger().setLevel(logging.DEBUG if verbosity >= DEBUG_VERBOSITY else logging.INFO)
