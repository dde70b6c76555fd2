"""Content negotiation: which encoding and which shape (object, Table, PartialObjectMetadata) the client wants.

Two judges, as upstream: the router, which knows media types without parameters, and the API's own, which knows
``as``, ``g`` and ``v``. Texts of both as recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kubeling.api.errors import StatusError, failure

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE)
STREAMED = (f"{JSON_TYPE};stream=watch", f"{PROTOBUF_TYPE};stream=watch")
SERVED = (JSON_TYPE, YAML_TYPE)
"""Protobuf is known by name alone: clients that also accept JSON get JSON."""
META_GROUP = "meta.k8s.io"
TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class Wanted:
    """``transform`` is empty for the object as it is; ``version`` is the meta.k8s.io version of the transformed one."""

    media_type: str = JSON_TYPE
    pretty: bool = False
    transform: str = ""
    version: str = ""


PLAIN = Wanted()


@dataclass(frozen=True, slots=True)
class _Clause:
    media_type: str
    quality: float
    params: tuple[tuple[str, str], ...]


def _clauses(accept: str) -> list[_Clause]:
    clauses = []
    for text in accept.split(","):
        media_type, *rest = (part.strip() for part in text.split(";"))
        params = [(k.strip(), v.strip().strip('"')) for k, _, v in (p.partition("=") for p in rest)]
        quality = next((v for k, v in params if k == "q"), "1")
        try:
            weight = float(quality)
        except ValueError:
            weight = 1.0
        clauses.append(_Clause(media_type, weight, tuple((k, v) for k, v in params if k != "q")))
    return sorted(clauses, key=lambda c: -c.quality)


def not_acceptable(accepted: tuple[str, ...] = ACCEPTED) -> StatusError:
    return failure(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}")


def unroutable(streaming: bool = False) -> StatusError:
    """The router's own refusal."""
    offered = ACCEPTED + STREAMED if streaming else ACCEPTED
    text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(offered)}"
    return failure(406, "NotAcceptable", text, {})


def unsupported_media_type(accepted: tuple[str, ...] = ACCEPTED) -> StatusError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return failure(415, "UnsupportedMediaType", message)


@lru_cache(maxsize=512)
def negotiate(accept: str, streaming: bool = False, routed: bool = True) -> Wanted:
    """What an Accept header asks of a resource endpoint. Raises 406.

    ``streaming``: a watch. ``routed``: whether the router judges first.
    """
    if not accept:
        return PLAIN
    clauses = _clauses(accept)
    if routed and not any(c.media_type in (*ACCEPTED, "*/*") for c in clauses):
        raise unroutable(streaming)
    for clause in clauses:
        if clause.media_type not in (*SERVED, "*/*"):
            continue
        media_type = JSON_TYPE if clause.media_type == "*/*" else clause.media_type
        if streaming and media_type != JSON_TYPE:
            continue
        wanted = _wanted(media_type, dict(clause.params))
        if wanted is not None:
            return wanted
    raise not_acceptable(STREAMED if streaming else ACCEPTED)


def _wanted(media_type: str, params: dict[str, str]) -> Wanted | None:
    if params.get("charset", "utf-8").lower() != "utf-8":
        return None
    transform, version = params.get("as", ""), params.get("v", "")
    if transform and (transform not in TRANSFORMS or version not in _VERSIONS or params.get("g", "") != META_GROUP):
        return None
    return Wanted(media_type, params.get("pretty") in ("1", "true"), transform, version)


def pretty_wanted(param: str, user_agent: str) -> bool:
    """``?pretty=`` decides; without it tools that people read from get indented JSON."""
    if param:
        return param in ("1", "t", "T", "TRUE", "true", "True")
    return user_agent.startswith(("curl", "Wget", "Mozilla/5.0"))
