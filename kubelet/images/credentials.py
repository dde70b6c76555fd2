"""Registry credentials from image pull secrets, matched to images as upstream's keyring does (pkg/credentialprovider)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from kubeling.api.images import parse_image
from kubeling.api.meta import Object, name_of, namespace_of, uid_of

_DOCKER_HUB = "index.docker.io"


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


def plain(registry: str) -> str:
    """Host and path of an entry's key: no scheme, and the API's versions are the host itself."""
    url = registry if registry.startswith(("http://", "https://")) else f"https://{registry}"
    host, _, path = url.partition("://")[2].partition("/")
    for version in ("v1/", "v2/"):
        path = path.removeprefix(version)
    return f"{host}/{path}" if path else host


def matches(registry: str, repository: str) -> bool:
    """Whether a plain key is for the repository: ports equal, host names part by part with globs, the path a prefix."""
    try:
        wanted, found = urlsplit(f"//{registry}"), urlsplit(f"//{repository}")
        if wanted.port != found.port:
            return False
    except ValueError:  # a port that is no number
        return False
    wanted_parts, parts = (wanted.hostname or "").split("."), (found.hostname or "").split(".")
    same_host = len(wanted_parts) == len(parts) and all(map(fnmatchcase, parts, wanted_parts))
    return same_host and found.path.startswith(wanted.path)


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The secret that a login comes from."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A login as Docker takes it, and where it comes from: None for the node's own, which every pod may use."""

    auth: Mapping[str, str]
    source: SecretSource | None

    @property
    def digest(self) -> str:
        """The same for the same login, whatever secret it stands in."""
        return hashlib.sha256(json.dumps(dict(self.auth), sort_keys=True).encode()).hexdigest()


Keyed = tuple[str, Mapping[str, Any], SecretSource | None]


def _login(entry: Mapping[str, Any], registry: str) -> dict[str, str]:
    user, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"] + "==").decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return {}
    return {"username": user, "password": password, "serveraddress": registry} if user else {}


def lookup(image: str, entries: Iterable[Keyed]) -> list[Credential]:
    """Logins to try for the image: keys in reverse order of the alphabet, so that longer ones of a host come first, then as
    given. Docker Hub's old name counts where no other key matches."""
    reference = parse_image(image)
    if reference is None:
        return []
    registry = reference.repository.partition("/")[0]
    keyed = [
        (plain(key), Credential(login, source)) for key, entry, source in entries if (login := _login(entry, registry))
    ]
    keyed.sort(key=lambda pair: pair[0], reverse=True)
    found = [credential for key, credential in keyed if matches(key, reference.repository)]
    if not found and registry == "docker.io":
        found = [credential for key, credential in keyed if key == _DOCKER_HUB]
    return found


def credentials_for(image: str, secrets: Iterable[Object]) -> list[Credential]:
    """Logins of the secrets to try for the image, in order."""
    return lookup(
        image,
        (
            (key, entry, SecretSource(namespace_of(secret), name_of(secret), uid_of(secret)))
            for secret in secrets
            for key, entry in entries_of(secret).items()
        ),
    )
