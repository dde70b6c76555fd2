"""Pods that are alike: those of one template differ in nothing that validation looks at, so one of them is validated for all.

Only pods with which nothing at all is wrong are remembered, by a digest of what the checks read: spec and annotations.
The volume of the service account's token gets another random name in every pod; which one makes no difference to any check
as long as it is of the usual form, so it is left out.
"""

from __future__ import annotations

import re
from hashlib import blake2b

import orjson

from kubeling.api.meta import Object, annotations_of

_GENERATED = re.compile(r"kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}")
_NAMELESS = b"\xff"
"""In no JSON text, so a pod cannot bring it along."""
_MOST = 4096


class Alike:
    """Remembers the digests of pods that one check found nothing about."""

    def __init__(self) -> None:
        self._clean: set[bytes] = set()

    def __contains__(self, digest: bytes | None) -> bool:
        return digest in self._clean

    def add(self, digest: bytes | None) -> None:
        if digest is None:
            return
        if len(self._clean) >= _MOST:
            self._clean.clear()
        self._clean.add(digest)


def digest_of(pod: Object) -> bytes | None:
    """The same for pods that are alike; None for one whose checks depend on its own name (claims made for it)."""
    spec = pod["spec"]
    generated = ""
    for volume in spec.get("volumes") or ():
        if volume.get("ephemeral") is not None:
            return None
        if not generated and _GENERATED.fullmatch(volume.get("name") or ""):
            generated = volume["name"]
    try:
        text = orjson.dumps([spec, annotations_of(pod)])
    except TypeError:  # an integer of more than 64 bits
        return None
    if generated:
        text = text.replace(generated.encode(), _NAMELESS)
    return blake2b(text, digest_size=16).digest()
