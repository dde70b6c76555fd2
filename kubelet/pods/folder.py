"""What happens in a folder, told by the kernel (inotify(7)): files that went and came back between two looks are seen, too."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import struct
from pathlib import Path

log = logging.getLogger(__name__)
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _DELETE, _IGNORED, _ONLYDIR = 0x8, 0x40, 0x80, 0x200, 0x8000, 0x1000000
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_BUFFER = 1 << 16


class FolderEvents:
    """A folder that may come later. Where the kernel tells nothing (too many watches), looking has to do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd, self._watching = -1, False
        self._removed: set[Path] = set()
        self.happened = asyncio.Event()

    def start(self) -> None:
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            log.warning("Looking at %s every second: %s", self._folder, os.strerror(ctypes.get_errno()))
            return
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd, self._watching = -1, False

    def take(self) -> set[Path]:
        """The files that have been removed, or moved away, since the last call. A look at the folder must follow."""
        if self._fd >= 0 and not self._watching:
            self._watch()
        self.happened.clear()
        removed, self._removed = self._removed, set()
        return removed

    def _watch(self) -> None:
        mask = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE | _ONLYDIR
        self._watching = self._libc.inotify_add_watch(self._fd, os.fsencode(self._folder), mask) >= 0
        if not self._watching and (code := ctypes.get_errno()) not in (errno.ENOENT, errno.ENOTDIR):
            log.debug("Watching %s: %s", self._folder, os.strerror(code))

    def _read(self) -> None:
        data, at = os.read(self._fd, _BUFFER), 0
        while at < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            if mask & (_DELETE | _MOVED_FROM):
                self._removed.add(self._folder / os.fsdecode(name))
            if mask & _IGNORED:  # the folder itself has gone
                self._watching = False
        self.happened.set()
