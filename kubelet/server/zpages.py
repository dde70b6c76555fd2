"""/statusz and /flagz: what the process is and how it was started (k8s.io/component-base/zpages)."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime

_WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees "
    "and is for debugging purposes only."
)


def statusz(component: str, started: datetime, now: datetime, version: str, paths: Iterable[str]) -> str:
    """``version`` with two or three numbers. The language's line names ours instead of Go."""
    minutes, seconds = divmod(int((now - started).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    binary = version if version.count(".") > 1 else f"{version}.0"
    lines = {
        "Started": started.strftime("%a %b %e %H:%M:%S UTC %Y"),
        "Up": f"{hours} hr {minutes:02} min {seconds:02} sec",
        "Go version": f"none ({platform.python_implementation()} {platform.python_version()}, {sys.platform})",
        "Binary version": binary,
        "Emulation version": ".".join(binary.split(".")[:2]),
        "Paths": " ".join(sorted(paths)),
    }
    return "\n".join(["", f"{component} statusz", _WARNING, "", *(f"{k}: {v}" for k, v in lines.items()), ""])


def flagz(component: str, flags: Mapping[str, str]) -> str:
    return "\n".join(["", f"{component} flagz", _WARNING, "", *(f"{k}={v}" for k, v in sorted(flags.items())), ""])
