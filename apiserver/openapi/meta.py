"""The paths beside resources: discovery of versions and groups, the server's version, the token issuer's documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_VERSION = "io.k8s.apimachinery.pkg.version.Info"
_JSON, _YAML, _PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_MEDIA = (_JSON, _PROTOBUF, _YAML)
_ISSUER = "get service account issuer OpenID"


@dataclass(frozen=True, slots=True)
class MetaPath:
    """A path that only answers GET. ``document`` is its name in the index of v3; ``answer`` a definition, empty for plain text."""

    document: str
    path: str
    tag: str
    id: str
    description: str
    answer: str = ""
    media: tuple[str, ...] = _MEDIA


_FIXED = (
    MetaPath("api", "/api/", "core", "getCoreAPIVersions", "get available API versions", f"{_META}APIVersions"),
    MetaPath("apis", "/apis/", "apis", "getAPIVersions", "get available API versions", f"{_META}APIGroupList"),
    MetaPath(
        "version",
        "/version/",
        "version",
        "getCodeVersion",
        "get the version information for this server",
        _VERSION,
        (_JSON,),
    ),
    MetaPath(
        ".well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "WellKnown",
        "getServiceAccountIssuerOpenIDConfiguration",
        f"{_ISSUER} configuration, also known as the 'OIDC discovery doc'",
        media=(_JSON,),
    ),
    MetaPath(
        "openid/v1/jwks",
        "/openid/v1/jwks/",
        "openid",
        "getServiceAccountIssuerOpenIDKeyset",
        f"{_ISSUER} JSON Web Key Set (contains public token verification keys)",
        media=("application/jwk-set+json",),
    ),
)


def meta_paths(groups: Iterable[str]) -> list[MetaPath]:
    """The fixed paths, and one for each named group."""
    return [*_FIXED, *(_group(group) for group in sorted(set(groups)) if group)]


def _group(group: str) -> MetaPath:
    words = group.removesuffix(".k8s.io").split(".")
    camel = words[0] + "".join(w[:1].upper() + w[1:] for w in words[1:])
    name = camel[:1].upper() + camel[1:]
    description = "get information of a group"
    return MetaPath(f"apis/{group}", f"/apis/{group}/", camel, f"get{name}APIGroup", description, f"{_META}APIGroup")
