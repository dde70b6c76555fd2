"""Credential provider plugins: programs that know logins of registries (``--image-credential-provider-config``).

What they say belongs to the node: every pod may use what it opens. Source: pkg/credentialprovider/plugin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from kubelet.images.credentials import Credential, lookup, matches, plain
from kubeling.api.images import parse_image
from kubeling.client.clock import Clock
from kubeling.client.errors import StartError
from kubeling.client.flags import parse_duration

log = logging.getLogger(__name__)
_CONFIG = re.compile(r"kubelet\.config\.k8s\.io/v1(alpha1|beta1)?")
_API = re.compile(r"credentialprovider\.kubelet\.k8s\.io/v1(alpha1|beta1)?")
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Provider:
    """One plugin as the configuration describes it; ``seconds`` is how long an answer holds that does not say it itself."""

    name: str
    program: Path
    api_version: str
    match_images: tuple[str, ...]
    seconds: float
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def read_providers(config: Path, folder: str) -> list[Provider]:
    """What a file, or all files of a folder, configure. Raises StartError."""
    if not folder:
        raise StartError("--image-credential-provider-bin-dir is required with --image-credential-provider-config")
    try:
        files = (
            sorted(p for p in config.iterdir() if p.suffix in (".json", ".yaml", ".yml"))
            if config.is_dir()
            else [config]
        )
        found = [provider for file in files for provider in _read(file, Path(folder))]
    except (OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as err:
        raise StartError(f"error reading credential provider config {config}: {err}") from err
    names = [provider.name for provider in found]
    if not found or len(set(names)) != len(names):
        why = (
            "duplicate provider name found in configuration file(s)"
            if found
            else "at least 1 item in plugins is required"
        )
        raise StartError(f"invalid configuration: {config}: providers: {why}")
    return found


def _read(file: Path, folder: Path) -> list[Provider]:
    content = yaml.safe_load(file.read_text())
    if content.get("kind") != "CredentialProviderConfig" or not _CONFIG.fullmatch(content.get("apiVersion", "")):
        raise ValueError(f"{file}: want kind CredentialProviderConfig of kubelet.config.k8s.io/v1")
    return [_provider(entry, folder) for entry in content.get("providers") or ()]


def _provider(entry: Mapping[str, Any], folder: Path) -> Provider:
    name, api = str(entry["name"]), str(entry["apiVersion"])
    if "/" in name or " " in name or name in (".", ".."):
        raise ValueError(f"providers.name: Invalid value: {name!r}")
    if not _API.fullmatch(api):
        raise ValueError(f"providers.apiVersion: Unsupported value: {api!r}")
    if entry.get("tokenAttributes"):
        raise ValueError("providers.tokenAttributes: plugins get no service account tokens here")
    if not entry.get("matchImages"):
        raise ValueError("providers.matchImages: Required value: at least 1 item in matchImages is required")
    return Provider(
        name,
        folder / name,
        api,
        tuple(entry["matchImages"]),
        parse_duration(entry["defaultCacheDuration"]),
        tuple(map(str, entry.get("args") or ())),
        tuple((str(e["name"]), str(e["value"])) for e in entry.get("env") or ()),
    )


class ImagePlugins:
    """Asks the plugins that match an image, and remembers their answers as long as they say."""

    def __init__(self, providers: Sequence[Provider], clock: Clock) -> None:
        self._providers, self._clock = providers, clock
        self._kept: dict[tuple[str, str], tuple[datetime, Mapping[str, Any]]] = {}

    async def credentials(self, image: str) -> list[Credential]:
        """Logins to try, in the order of the configuration. A plugin that fails is logged, and gives none."""
        reference = parse_image(image)
        found: list[Credential] = []
        for provider in self._providers if reference else ():
            assert reference is not None  # no providers are looked at without one
            if any(matches(plain(pattern), reference.repository) for pattern in provider.match_images):
                auth = await self._auth(provider, reference.repository)
                found += lookup(image, [(key, entry, None) for key, entry in auth.items()])
        return found

    async def _auth(self, provider: Provider, repository: str) -> Mapping[str, Any]:
        now = self._clock.now()
        for key in (repository, repository.partition("/")[0], ""):
            kept = self._kept.get((provider.name, key))
            if kept is not None and now <= kept[0]:
                return kept[1]
        try:
            answer = await _run(provider, repository)
            key = {"Image": repository, "Registry": repository.partition("/")[0], "Global": ""}[answer["cacheKeyType"]]
            auth: Mapping[str, Any] = answer.get("auth") or {}
            given = answer.get("cacheDuration")
            seconds = provider.seconds if given is None else parse_duration(given)
        except (OSError, ValueError, KeyError, TypeError) as err:
            log.error("Failed getting credential from external registry credential provider %s: %r", provider.name, err)
            return {}
        if seconds:
            self._kept[provider.name, key] = (now + timedelta(seconds=seconds), auth)
        return auth


async def _run(provider: Provider, repository: str) -> Mapping[str, Any]:
    """The plugin's answer. Raises OSError and ValueError."""
    process = await asyncio.create_subprocess_exec(
        provider.program,
        *provider.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **dict(provider.env)},
    )
    request = {"kind": "CredentialProviderRequest", "apiVersion": provider.api_version, "image": repository}
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            output, errors = await process.communicate(json.dumps(request).encode())
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        text = errors.decode(errors="replace").strip()
        raise ValueError(f"error execing credential provider plugin: exit status {process.returncode}: {text}")
    answer = json.loads(output)
    if answer.get("kind") != "CredentialProviderResponse" or answer.get("apiVersion") != provider.api_version:
        raise ValueError(f"apiVersion or kind of the plugin's response does not match {provider.api_version}")
    return dict(answer)
