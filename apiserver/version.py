"""What ``/version`` says. The git version is that of the Kubernetes whose API is served."""

from __future__ import annotations

import platform
import sys

from kubeling.api.meta import Object

BUILD_DATE = "2026-11-21T00:00:00Z"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def version_info(minor: str) -> Object:
    """``minor`` is ``1.36``."""
    major, _, number = minor.partition(".")
    return {
        "major": major,
        "minor": number,
        "emulationMajor": major,
        "emulationMinor": number,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(number) - 1),
        "gitVersion": f"v{minor}.0",
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": BUILD_DATE,
        "goVersion": f"python{platform.python_version()}",
        "compiler": sys.implementation.name,
        "platform": f"linux/{_MACHINES.get(platform.machine(), platform.machine())}",
    }
