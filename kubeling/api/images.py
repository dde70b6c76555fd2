"""Image references as the container world writes them (grammar: distribution/reference)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
_DOMAIN = rf"(?:{_HOST}|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_NAME_LIMIT = 255


class ImageReference(NamedTuple):
    """``repository`` with its registry (``docker.io/library/nginx``), ``tag`` (``latest`` if none is given), ``digest``."""

    repository: str
    tag: str
    digest: str


@lru_cache(maxsize=1024)
def parse_image(text: str) -> ImageReference | None:
    """The parts of a reference, normalised as Docker does; None when it is none."""
    if re.fullmatch("[a-f0-9]{64}", text):  # could be taken for an image id
        return None
    first, slash, rest = text.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = "docker.io", text
    if first in ("docker.io", "index.docker.io"):
        first = "docker.io"
        rest = rest if "/" in rest else "library/" + rest
    match = _REFERENCE.fullmatch(f"{first}/{rest}")
    if match is None or len(match["domain"]) + 1 + len(match["path"]) > _NAME_LIMIT:
        return None
    tag, digest = match["tag"] or "", match["digest"] or ""
    if digest and not _is_digest(digest):
        return None
    if not tag and not digest:
        tag = "latest"
    return ImageReference(f"{match['domain']}/{match['path']}", tag, digest)


def invalid_reason(text: str) -> str:
    """Why ``parse_image`` finds no reference, in the words of the reference library that Go programs use."""
    if re.fullmatch("[a-f0-9]{64}", text):
        return f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
    first, slash, rest = text.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = "docker.io", text
    if first in ("docker.io", "index.docker.io") and "/" not in rest:
        rest = "library/" + rest
    name = rest.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    if name != name.lower():
        return f"invalid reference format: repository name ({name}) must be lowercase"
    return "invalid reference format"


def _is_digest(digest: str) -> bool:
    algorithm, _, value = digest.partition(":")
    return len(value) == _HEX_LENGTHS.get(algorithm, -1) and value == value.lower()
