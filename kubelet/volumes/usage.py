"""How much a folder holds."""

from __future__ import annotations

import os
from pathlib import Path


def folder_size(folder: Path) -> int:
    """Bytes of disk under the folder, each file once; what vanishes meanwhile does not count."""
    total, seen = 0, set()
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                found = (Path(root) / name).lstat()
            except OSError:  # removed while we look
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total
