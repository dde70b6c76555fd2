"""The log that events are appended to, cut into files of limited size, number and age.

Names and rules are those of the file rotation that upstream uses: a full ``audit.log`` becomes
``audit-2026-01-02T15-04-05.000.log`` beside it.
"""

from __future__ import annotations

import gzip
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

log = logging.getLogger("apiserver.audit")

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Rotation:
    """``max_size`` in megabytes (0: 100, as upstream's library has it); ``max_age`` in days, ``max_backups`` in files.

    0 days or files: all backups stay.
    """

    max_size: int = 0
    max_age: int = 0
    max_backups: int = 0
    compress: bool = False


class AuditFile:
    """Appends lines; ``-`` is standard output. A line that cannot be written is a line in the server's own log."""

    def __init__(self, path: str, rotation: Rotation, clock: Callable[[], datetime]) -> None:
        """Raises OSError when the file cannot be opened."""
        self._rotation = rotation
        self._clock = clock
        self._path = None if path == "-" else Path(path)
        self._size = 0
        self._file: IO[bytes] = self._open()

    def _open(self) -> IO[bytes]:
        if self._path is None:
            return sys.stdout.buffer
        self._path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)
        self._size = self._path.stat().st_size
        return opened

    def write(self, line: str) -> None:
        data = line.encode("utf-8", "replace") + b"\n"
        limit = (self._rotation.max_size or 100) * MEGABYTE
        try:
            if self._path is not None and self._size and self._size + len(data) > limit:
                self._rotate(self._path)
            self._file.write(data)
            self._size += len(data)
            if self._path is None:
                self._file.flush()
        except OSError as err:
            log.error("could not write an audit event: %s", err)

    def _rotate(self, path: Path) -> None:
        self._file.close()
        stamp = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
        path.rename(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        self._file = self._open()
        self._tidy(path)

    def _tidy(self, path: Path) -> None:
        """Removes backups that are too many or too old, compresses those that stay."""
        rotation = self._rotation
        pattern = rf"{re.escape(path.stem)}-(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{{3}}){re.escape(path.suffix)}(\.gz)?"
        dated = [(m[1], p) for p in path.parent.iterdir() if (m := re.fullmatch(pattern, p.name))]
        backups = sorted(dated, reverse=True)
        kept = backups[: rotation.max_backups] if rotation.max_backups else backups
        if rotation.max_age:
            oldest = (self._clock().astimezone(UTC) - timedelta(days=rotation.max_age)).strftime("%Y-%m-%dT%H-%M-%S")
            kept = [(stamp, p) for stamp, p in kept if stamp >= oldest]
        for stamp, backup in backups:
            if (stamp, backup) not in kept:
                backup.unlink(missing_ok=True)
            elif rotation.compress and backup.suffix != ".gz":
                _compress(backup)

    def close(self) -> None:
        if self._path is not None:
            self._file.close()


def _compress(path: Path) -> None:
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    path.unlink()
