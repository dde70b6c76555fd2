"""The difference of two values as upstream's errors show it: a unified diff of their JSON, three lines of context."""

from __future__ import annotations

import difflib
from typing import Any

from kubeling.api.fields import go_json


def json_diff(old: Any, new: Any) -> str:
    """Empty when both print alike; otherwise hunks, each line ended by a line feed."""
    before, after = (go_json(v, indent=1).split("\n") for v in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return "".join(line + "\n" for line in lines)
