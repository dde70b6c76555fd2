"""Which pulled images which credentials opened: a pod gets an image that is there only where it could have pulled it itself.

Without this, whoever may run a pod on a node could use the private images that others' secrets brought there. Kept in files
under ``image_manager`` of the kubelet's folder, as upstream does (KEP-2535; pkg/kubelet/images/pullmanager), so that a restart
forgets nothing. An image that another kubelet pulled on the same engine counts as preloaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kubelet.images.credentials import Credential, SecretSource
from kubeling.api.images import parse_image
from kubeling.api.meta import rfc3339
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
Policy = Literal["NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify"]
_API_VERSION = "kubelet.config.k8s.io/v1beta1"


@dataclass(frozen=True, slots=True)
class Opened:
    """What opened an image under one name: nothing was needed (``everyone``), or these secrets with the hash of their login;
    ``preloaded``: it was there under that name before this kubelet pulled it under any."""

    everyone: bool = False
    preloaded: bool = False
    secrets: tuple[tuple[SecretSource, str], ...] = ()

    def opens_for(self, credentials: Sequence[Credential]) -> bool:
        """The same login, or the same secret whatever its login is now."""
        sources = {source for source, _ in self.secrets}
        hashes = {digest for _, digest in self.secrets}
        return self.everyone or any(c.source and (c.source in sources or c.digest in hashes) for c in credentials)

    def with_credential(self, credential: Credential | None) -> Opened:
        source = credential.source if credential else None
        if credential is None or source is None or self.everyone:
            return Opened(everyone=True)
        kept = tuple(pair for pair in self.secrets if pair[0] != source)
        return Opened(secrets=(*kept, (source, credential.digest)))


@dataclass(slots=True)
class PulledImage:
    """An image that this kubelet pulled or found; ``names`` maps repositories, without tag, to what opened them."""

    names: dict[str, Opened] = field(default_factory=dict)


def exempt(repository: str, patterns: Sequence[str]) -> bool:
    """Whether a list names the repository; ``registry/path/*`` names all below."""
    return any(
        repository.startswith(pattern[:-1]) if pattern.endswith("/*") else repository == pattern for pattern in patterns
    )


def repository_of(image: str) -> str:
    reference = parse_image(image)
    return reference.repository if reference else image


def _file_of(key: str) -> str:
    return "sha256-" + hashlib.sha256(key.encode()).hexdigest()


class PullRecords:
    """``folder`` None keeps nothing beyond the process."""

    def __init__(
        self,
        folder: Path | None,
        clock: Clock,
        policy: Policy = "NeverVerifyPreloadedImages",
        allowlist: Sequence[str] = (),
    ) -> None:
        self._folder, self._clock, self._policy, self._allowlist = folder, clock, policy, tuple(allowlist)
        self._pulled: dict[str, PulledImage] = {}
        self._pulling: dict[str, int] = {}

    async def may_use(self, image: str, image_id: str, credentials: Sequence[Credential]) -> bool:
        """Whether a pod with these credentials may use the image that is there, under this name, without asking the registry."""
        repository = repository_of(image)
        names = self._pulled[image_id].names if image_id in self._pulled else None
        opened = names.get(repository) if names else None
        if opened is not None:
            pulled_by_us = not opened.preloaded
        else:
            pulled_by_us = names is not None and not all(o.preloaded for o in names.values() or (Opened(),))
        pulled_by_us = pulled_by_us or image in self._pulling
        if self._must_verify(repository, pulled_by_us=pulled_by_us):
            return opened is not None and opened.opens_for(credentials)
        if opened is None and not pulled_by_us:
            self._pulled.setdefault(image_id, PulledImage()).names[repository] = Opened(preloaded=True)
            await self._write_pulled(image_id)
        return True

    def _must_verify(self, repository: str, *, pulled_by_us: bool) -> bool:
        if self._policy == "NeverVerifyPreloadedImages":
            return pulled_by_us
        if self._policy == "NeverVerifyAllowlistedImages":
            return pulled_by_us or not exempt(repository, self._allowlist)
        return self._policy == "AlwaysVerify"

    async def begin(self, image: str) -> None:
        """A pull begins: should it end without a word, the image counts as pulled by us, opened by nobody."""
        self._pulling[image] = self._pulling.get(image, 0) + 1
        body = {"kind": "ImagePullIntent", "apiVersion": _API_VERSION, "image": image}
        await self._write("pulling", image, body)

    async def end(self, image: str) -> None:
        left = self._pulling.get(image, 1) - 1
        if left:
            self._pulling[image] = left
        else:
            self._pulling.pop(image, None)
            await self._delete("pulling", image)

    async def pulled(self, image: str, image_id: str, credential: Credential | None) -> None:
        """``credential`` is what the registry took, None where it asked for nothing. The node's own opens the image for all."""
        known = self._pulled.setdefault(image_id, PulledImage())
        repository = repository_of(image)
        known.names[repository] = known.names.get(repository, Opened()).with_credential(credential)
        await self._write_pulled(image_id)

    async def _write_pulled(self, image_id: str) -> None:
        body = {
            "kind": "ImagePulledRecord",
            "apiVersion": _API_VERSION,
            "lastUpdatedTime": rfc3339(self._clock.now()),
            "imageRef": image_id,
            "credentialMapping": {name: _as_json(o) for name, o in self._pulled[image_id].names.items()},
        }
        await self._write("pulled", image_id, body)

    async def load(self, image_ids: Mapping[str, str]) -> None:
        """Reads what an earlier process left. ``image_ids`` maps names of images that are there to their ids: a pull that nobody
        saw the end of may have been one of them."""
        if self._folder is None:
            return
        for body in await asyncio.to_thread(_read_all, self._folder / "pulled"):
            names = {str(k): _from_json(v) for k, v in (body.get("credentialMapping") or {}).items()}
            self._pulled[str(body.get("imageRef"))] = PulledImage(names)
        for body in await asyncio.to_thread(_read_all, self._folder / "pulling"):
            image = str(body.get("image"))
            image_id = image_ids.get(image)
            if image_id is not None and image_id not in self._pulled:
                self._pulled[image_id] = PulledImage()
                await self._write_pulled(image_id)
            await self._delete("pulling", image)

    @property
    def image_ids(self) -> frozenset[str]:
        """Ids of the images that this kubelet pulled or found."""
        return frozenset(self._pulled)

    @property
    def pulled_ids(self) -> frozenset[str]:
        """Ids of the images that this kubelet pulled itself."""
        return frozenset(
            image_id
            for image_id, found in self._pulled.items()
            if not any(opened.preloaded for opened in found.names.values())
        )

    async def forget(self, image_ids: Iterable[str]) -> None:
        """Images that are gone need no record."""
        for image_id in image_ids:
            if self._pulled.pop(image_id, None) is not None:
                await self._delete("pulled", image_id)

    async def _write(self, kind: str, key: str, body: Mapping[str, Any]) -> None:
        if self._folder is not None:
            await asyncio.to_thread(_write_file, self._folder / kind, _file_of(key), json.dumps(body))

    async def _delete(self, kind: str, key: str) -> None:
        if self._folder is not None:
            await asyncio.to_thread((self._folder / kind / _file_of(key)).unlink, missing_ok=True)


def _as_json(opened: Opened) -> dict[str, Any]:
    if opened.everyone or opened.preloaded:
        return {"nodePodsAccessible": True} if opened.everyone else {"preloaded": True}
    return {
        "kubernetesSecrets": [
            {"uid": s.uid, "namespace": s.namespace, "name": s.name, "credentialHash": digest}
            for s, digest in opened.secrets
        ]
    }


def _from_json(body: Mapping[str, Any]) -> Opened:
    secrets = tuple(
        (SecretSource(s.get("namespace", ""), s.get("name", ""), s.get("uid", "")), s.get("credentialHash", ""))
        for s in body.get("kubernetesSecrets") or ()
    )
    return Opened(bool(body.get("nodePodsAccessible")), bool(body.get("preloaded")), secrets)


def _read_all(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("sha256-*")) if folder.is_dir() else ():
        try:
            body = json.loads(path.read_text())
        except (OSError, ValueError) as err:
            log.warning("%s cannot be read: %s", path, err)
            continue
        if isinstance(body, dict):
            found.append(body)
    return found


def _write_file(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f".{name}.new"
    fresh.write_text(text)
    fresh.rename(folder / name)
