"""Registry credentials from image pull secrets (pkg/credentialprovider)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kubeling.api.images import parse_image
from kubeling.api.meta import Object, name_of, namespace_of, uid_of

_DOCKER_HUB = "index.docker.io/v1/"


def entries_of(secret: Object) -> dict[str, Mapping[str, Any]]:
    """Registry to entry of a ``dockerconfigjson`` or ``dockercfg`` secret; empty for one that cannot be read."""
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            found = json.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        elif ".dockercfg" in data:
            found = json.loads(base64.b64decode(data[".dockercfg"]))
        else:
            return {}
    except (ValueError, AttributeError):
        return {}
    return {str(k): v for k, v in found.items() if isinstance(v, dict)}


def _plain(registry: str) -> str:
    """Host and path of an entry's key."""
    text = registry.partition("://")[2] or registry
    for tail in ("/v1/", "/v2/"):
        text = text.removesuffix(tail)
    return text.rstrip("/")


def _matches(registry: str, repository: str) -> bool:
    """Hosts may hold globs part by part; a path matches as a prefix; Docker Hub has its old name."""
    wanted_host, _, wanted_path = _plain(registry).partition("/")
    host, _, path = repository.partition("/")
    if wanted_host == "index.docker.io":
        wanted_host = "docker.io"
    wanted_parts, parts = wanted_host.split("."), host.split(".")
    same_host = len(wanted_parts) == len(parts) and all(map(fnmatchcase, parts, wanted_parts))
    return same_host and (not wanted_path or path == wanted_path or path.startswith(wanted_path + "/"))


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The secret that a login comes from."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A login as Docker takes it, and where it comes from."""

    auth: Mapping[str, str]
    source: SecretSource

    @property
    def digest(self) -> str:
        """The same for the same login, whatever secret it stands in."""
        return hashlib.sha256(json.dumps(dict(self.auth), sort_keys=True).encode()).hexdigest()


def _login(entry: Mapping[str, Any], registry: str) -> dict[str, str]:
    user, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return {}
    return {"username": user, "password": password, "serveraddress": registry} if user else {}


def credentials_for(image: str, secrets: Iterable[Object]) -> list[Credential]:
    """Logins to try for the image, those with the longest matching key first."""
    reference = parse_image(image)
    if reference is None:
        return []
    found = [
        (len(_plain(registry)), Credential(login, SecretSource(namespace_of(secret), name_of(secret), uid_of(secret))))
        for secret in secrets
        for registry, entry in entries_of(secret).items()
        if _matches(registry, reference.repository) and (login := _login(entry, reference.repository.partition("/")[0]))
    ]
    return [credential for _, credential in sorted(found, key=lambda pair: -pair[0])]
