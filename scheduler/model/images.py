"""Image names as nodes report them."""

from __future__ import annotations


def with_tag(image: str) -> str:
    """The name with its tag: ``latest`` where none is given."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"
