from __future__ import annotations

import pytest

from apiserver.http.negotiation import Wanted, negotiate, pretty_wanted
from kubeling.api.errors import StatusError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "streaming", "expected"),
    [
        ("", False, Wanted()),
        ("*/*", False, Wanted()),
        ("application/yaml", False, Wanted("application/yaml")),
        ("image/png, application/json;q=0.1", False, Wanted()),
        (f"{TABLE}, application/json", False, Wanted("application/json", False, "Table", "v1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", False, Wanted()),
        ("application/vnd.kubernetes.protobuf, application/json", False, Wanted()),
        ("application/json;stream=watch", True, Wanted()),
        ("application/json;pretty=1", False, Wanted(pretty=True)),
    ],
)
def test_what_is_understood(accept: str, streaming: bool, expected: Wanted) -> None:
    assert negotiate(accept, streaming) == expected


@pytest.mark.parametrize(
    ("accept", "streaming", "words"),
    [
        ("text/html", False, "Available representations: application/json, application/yaml"),
        ("application/*", False, "406: Not Acceptable"),
        ("application/json;as=Bogus;v=v1;g=meta.k8s.io", False, "only the following media types are accepted"),
        ("application/yaml", True, "application/json;stream=watch"),
    ],
)
def test_what_is_not(accept: str, streaming: bool, words: str) -> None:
    with pytest.raises(StatusError) as err:
        negotiate(accept, streaming)
    assert err.value.code == 406 and words in err.value.message


@pytest.mark.parametrize(
    ("param", "agent", "expected"),
    [("", "curl/8", True), ("", "kubectl/v1", False), ("true", "x", True), ("0", "curl/8", False)],
)
def test_who_gets_indented_json(param: str, agent: str, expected: bool) -> None:
    assert pretty_wanted(param, agent) is expected
