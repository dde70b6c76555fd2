"""A container's log read from the engine's files, across rotation, without losing anything while it is followed.

The engine's own follower skips what is rotated away under it: of a burst of 202 MB it passed on 151. Here every file of the log
is held open from the moment it appears until it has been read, so that neither renaming nor deletion takes anything away.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Container
from dataclasses import dataclass
from pathlib import Path

from kubelet.runtime.jsonlog import Renderer
from kubelet.runtime.protocol import LogRequest

_BLOCK = 1 << 18
_TAIL_BLOCK = 1 << 16
_POLL_SECONDS = 0.05
_MOST_HELD = 64
"""Files that one follower keeps from being deleted: a client that stopped reading must not fill the disk."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One open file of a log; ``inode`` stays its own while it is open, whatever it is renamed to."""

    raw: io.FileIO
    inode: int

    @classmethod
    def open(cls, path: str) -> LogFile:
        """Raises OSError."""
        raw = io.FileIO(path)
        return cls(raw, os.fstat(raw.fileno()).st_ino)

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self.raw.fileno(), size, offset)

    @property
    def size(self) -> int:
        return os.fstat(self.raw.fileno()).st_size

    def close(self) -> None:
        self.raw.close()


def open_files(path: Path, known: Container[int] = ()) -> list[LogFile]:
    """The files of a log, oldest first, back to the newest whose inode is known. Raises PermissionError.

    Looks from the newest (``path``) to the oldest (``path.1`` and on): rotation meanwhile moves files in the same
    direction, so it shows one twice, never hides one. In the midst of it one number may be vacant.
    """
    found: dict[int, LogFile] = {}
    number = vacant = 0
    while vacant < 2:
        try:
            file = LogFile.open(f"{path}.{number}" if number else str(path))
        except FileNotFoundError:
            vacant += 1
        else:
            vacant = 0
            if file.inode in known:
                file.close()
                break
            if file.inode in found:
                file.close()
            else:
                found[file.inode] = file
        number += 1
    return list(reversed(found.values()))


def readable_log(path: str) -> Path | None:
    """The file as it is seen from here: a kubelet in a container that shares the machine's processes finds it under the root of
    the first of them. None where it cannot be read at all (an engine on another machine)."""
    if path:
        for prefix in ("", "/proc/1/root"):
            if os.access(found := Path(prefix + path), os.R_OK):
                return found
    return None


def tail_start(file: LogFile, lines: int) -> tuple[int, int]:
    """Where the last ``lines`` lines of a file begin, and how many of them it does not have. Reads from the end."""
    position, found = file.size, 0
    while position > 0:
        start = max(0, position - _TAIL_BLOCK)
        block = file.read(position - start, start)
        here = block.count(b"\n")
        if found + here > lines:
            index = len(block)
            for _ in range(lines + 1 - found):
                index = block.rindex(b"\n", 0, index)
            return start + index + 1, 0
        found, position = found + here, start
    return 0, lines - found


class LogReader:
    """Reads one log once. ``ended`` answers whether the container has written its last."""

    def __init__(self, path: Path, request: LogRequest, ended: Callable[[], Awaitable[bool]]) -> None:
        self._path, self._request, self._ended = path, request, ended
        self._renderer = Renderer(request)
        self._files: deque[LogFile] = deque()
        self._offset = 0
        self._rest = b""

    async def pieces(self) -> AsyncGenerator[bytes]:
        """What there is, then what comes, until the container's end, where it is to be followed.

        Raises FileNotFoundError for a log that is not there, PermissionError.
        """
        self._files.extend(await asyncio.to_thread(open_files, self._path))
        watching: asyncio.Task[None] | None = None
        try:
            if not self._files:
                raise FileNotFoundError(self._path)
            if self._request.tail >= 0:
                await asyncio.to_thread(self._seek_tail, self._request.tail)
            if self._request.follow:
                watching = asyncio.create_task(self._watch())
            async for piece in self._read_all():
                yield piece
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            for file in self._files:
                file.close()

    def _seek_tail(self, lines: int) -> None:
        """Makes reading begin at the last lines; older files are let go."""
        index = len(self._files) - 1
        offset, missing = tail_start(self._files[index], lines)
        while missing and index > 0:
            index -= 1
            offset, missing = tail_start(self._files[index], missing)
        for _ in range(index):
            self._files.popleft().close()
        self._offset = offset

    async def _read_all(self) -> AsyncIterator[bytes]:
        while True:
            # both are asked before reading: what is written until then is still read
            last = len(self._files) == 1
            over = last and (not self._request.follow or await self._ended())
            piece, more = await asyncio.to_thread(self._read)
            if piece:
                yield piece
            if more:
                continue
            if not last:
                self._files.popleft().close()
                self._offset, self._rest = 0, b""
            elif over:
                self._find_newer()
                if len(self._files) == 1:
                    return
            else:
                await asyncio.sleep(_POLL_SECONDS)

    def _read(self) -> tuple[bytes, bool]:
        """The next whole lines, shown; and whether there was anything to read."""
        data = self._files[0].read(_BLOCK, self._offset)
        if not data:
            return b"", False
        self._offset += len(data)
        whole, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._rest += rest
            return b"", True
        lines, self._rest = self._rest + whole + newline, rest
        return self._renderer.render(lines), True

    async def _watch(self) -> None:
        """Takes hold of new files also while the client is slow to read the old ones."""
        while True:
            self._find_newer()
            await asyncio.sleep(_POLL_SECONDS)

    def _find_newer(self) -> None:
        """Queues files newer than those held. Cheap while nothing has been rotated."""
        if not self._request.follow or len(self._files) >= _MOST_HELD:
            return
        try:
            if os.stat(self._path).st_ino == self._files[-1].inode:  # noqa: PTH116  # called twenty times a second
                return
            self._files.extend(open_files(self._path, {file.inode for file in self._files}))
        except OSError:  # in the midst of rotation, or removed with its container
            return
