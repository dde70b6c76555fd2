"""JSONPath: what each form finds."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.jsonpath import JSONPathError, parse

OBJECT = {
    "metadata": {"name": "a", "labels": {"a.b/c": "lab"}},
    "spec": {"list": ["x", "y", "z"], "ports": [{"name": "web", "port": 80}, {"name": "dns", "port": 53}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".metadata.name", ["a"]),
        ("$.metadata.name", ["a"]),
        (".metadata.labels.a\\.b/c", ["lab"]),
        (".metadata.labels['a.b/c']", ["lab"]),
        ("['metadata']['name']", ["a"]),
        (".spec.list[0]", ["x"]),
        (".spec.list[-1]", ["z"]),
        (".spec.list[9]", []),
        (".spec.list[1:]", ["y", "z"]),
        (".spec.list[:2]", ["x", "y"]),
        (".spec.list[::2]", ["x", "z"]),
        (".spec.list[*]", ["x", "y", "z"]),
        (".spec.ports[*].port", [80, 53]),
        (".spec.ports[0,1].name", ["web", "dns"]),
        ("..port", [80, 53]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type != 'Ready')].type", ["Other"]),
        (".spec.ports[?(@.port > 60)].name", ["web"]),
        (".spec.ports[?(@.name)].port", [80, 53]),
        (".spec.missing.deep", []),
        (".metadata.name.deeper", []),
        (".", [OBJECT]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert parse(path).find(OBJECT) == found


@pytest.mark.parametrize("path", [".a[", ".a[b]", ".a[?(@.x = 1)]", ".a[?(@.x==y)]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(JSONPathError):
        parse(path)
