"""``$(VAR)`` references in commands, arguments and variables (third_party/forked/golang/expansion)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str], missing: Callable[[str], str] | None = None) -> str:
    """References replaced; ``$$`` is a dollar sign; an unknown reference stays as it is or is what ``missing`` says."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        if name in variables:
            return variables[name]
        return missing(name) if missing else match.group(0)

    return _REFERENCE.sub(replace, text)
