"""What may be asked of a log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.options import Options
from apiserver.streaming.pods import SPLIT_STREAMS, validate_log_options

BOTH = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"


def problems(split: bool, **query: str) -> list[str]:
    request: Any = SimpleNamespace(
        query={name: [value] for name, value in query.items()}, param=lambda name: query.get(name, "")
    )
    return [str(e) for e in validate_log_options(request, split_streams=split)]


@pytest.mark.parametrize(
    ("split", "query", "found"),
    [
        (False, {"stream": "All"}, []),
        (False, {"stream": "Stdout"}, ["stream: Forbidden: may not be specified"]),
        (True, {"stream": "Stdout"}, []),
        (True, {"tailLines": "3"}, []),
        (True, {"stream": "Stderr", "tailLines": "3"}, [f"[]: {BOTH}"]),
        (True, {"stream": "odd"}, ['stream: Unsupported value: "odd": supported values: "All", "Stderr", "Stdout"']),
        (True, {"tailLines": "-1"}, ["tailLines: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_log_options(split: bool, query: dict[str, str], found: list[str]) -> None:
    assert problems(split, **query) == found


def test_feature_gates() -> None:
    assert Options(feature_gates=(f"{SPLIT_STREAMS}=true", "Other=false")).features == {SPLIT_STREAMS}
    assert Options().features == frozenset()
