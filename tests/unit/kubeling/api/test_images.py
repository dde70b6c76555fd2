import pytest

from kubeling.api.images import parse_image


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
