"""``fileKeyRef``: a variable's value from a file that an init container left in a volume (KEP 3721).

The file is lines of ``NAME='value'``: quoted, taken as it stands, over several lines if it has them; ``#`` begins a comment line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.failure import ConfigError

_ASSIGNMENT = re.compile(r"[ \t]*(?P<name>[^\s='#][^\s=']*)='(?P<value>[^']*)'[ \t]*(?:\n|\Z)")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_LIMIT = 64 * 1024


def parse_env_file(text: str) -> dict[str, str]:
    """All assignments; the last of a name holds. Raises ValueError for a line that is none."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _ASSIGNMENT.match(text, position)
        if match is not None:
            found[match["name"]] = match["value"]
        else:
            match = _NOTHING.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise ValueError(f"line {line} is no NAME='value'")
        position = match.end()
    return found


def file_key(reference: Mapping[str, Any], folders: Mapping[str, Path]) -> str | None:
    """The value; None when it is optional and not there. Raises ConfigError."""
    volume, path, key = reference["volumeName"], reference["path"], reference["key"]
    root = folders.get(volume)
    if root is None:
        raise ConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef')
    try:
        return _read(root, path)[key]
    except (OSError, ValueError) as err:
        if reference.get("optional"):
            return None
        raise ConfigError(f'couldn\'t parse env file {path!r} of volume "{volume}": {err}') from err
    except KeyError:
        if reference.get("optional"):
            return None
        raise ConfigError(f'environment variable key "{key}" not found in file "{path}"') from None


def _read(root: Path, path: str) -> dict[str, str]:
    """Follows no link out of the volume. Raises OSError and ValueError."""
    folder, file = root.resolve(), (root / path).resolve(strict=True)
    if folder not in file.parents:
        raise ValueError("the path leads outside of the volume")
    with file.open("rb") as source:
        content = source.read(_LIMIT + 1)
    if len(content) > _LIMIT:
        raise ValueError(f"the file is larger than {_LIMIT} bytes")
    return parse_env_file(content.decode())
