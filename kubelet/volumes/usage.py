"""How much a folder holds."""

from __future__ import annotations

import os
from pathlib import Path


def folder_size(folder: Path) -> int:
    """Bytes of disk under the folder, each file once."""
    return folder_usage(folder)[0]


def folder_usage(folder: Path) -> tuple[int, int]:
    """Bytes of disk under the folder and the files and folders there, each once, the folder with them; what vanishes meanwhile
    does not count, nor what lies too deep for a path to name it."""
    total, inodes, seen = 0, 1, set()
    pending = [str(folder)]
    while pending:
        for entry in _entries(pending.pop()):
            try:
                if entry.is_dir(follow_symlinks=False):
                    inodes += 1
                    pending.append(entry.path)
                    continue
                found = entry.stat(follow_symlinks=False)
            except OSError:  # removed while we look
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total, inodes + len(seen)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # removed, or unmounted, while we look
        return []


def folder_inodes(folder: Path) -> int:
    """Files and folders below the folder."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))
