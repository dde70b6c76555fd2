import pytest

from kubeling.api.images import invalid_reason, parse_image


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nginx", ("docker.io/library/nginx", "latest", "")),
        ("me/nginx:1.2", ("docker.io/me/nginx", "1.2", "")),
        ("localhost:5000/a/b", ("localhost:5000/a/b", "latest", "")),
        ("r.example/x@sha256:" + "a" * 64, ("r.example/x", "", "sha256:" + "a" * 64)),
        ("Nginx", None),
        ("", None),
        ("x@sha256:abc", None),
        ("a" * 64, None),
    ],
)
def test_parse_image(text: str, parts: tuple[str, str, str] | None) -> None:
    assert parse_image(text) == parts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("App:1", "invalid reference format: repository name (library/App) must be lowercase"),
        ("reg.example/Team/app", "invalid reference format: repository name (Team/app) must be lowercase"),
        ("a b", "invalid reference format"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_why_a_reference_is_none(text: str, why: str) -> None:
    assert parse_image(text) is None
    assert invalid_reason(text) == why
