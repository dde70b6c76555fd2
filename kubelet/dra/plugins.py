"""Drivers on the node: each puts a socket into the registry folder, says there who it is, and is called when claims come and go.

Source: pkg/kubelet/pluginmanager and pkg/kubelet/cm/dra/plugin; the names of the services are those of the protocol's packages.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kubelet.dra.wire import (
    Answer,
    ClaimRef,
    PluginInfo,
    decode_info,
    decode_prepared,
    decode_unprepared,
    encode_claims,
    encode_status,
)
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
TYPE = "DRAPlugin"
SERVICES = {"v1.DRAPlugin": "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin", "v1beta1.DRAPlugin": "v1beta1.DRAPlugin"}
"""As drivers name what they offer, and as it is called; the first that both know is used."""
_REGISTRATION = "pluginregistration.Registration"
_LOOK_SECONDS, _REGISTER_SECONDS, _CALL_SECONDS = 1.0, 10.0, 45.0
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


class DraError(Exception):
    """Devices cannot be prepared, or not be given back; the message is for the user."""


async def _call(socket: str, method: str, request: bytes, seconds: float) -> bytes:
    """Raises DraError with the status as Go prints it."""
    import grpc.aio  # at first use: 10 MB that most nodes do without

    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS) as channel:
            answer: bytes = await channel.unary_unary(f"/{method}")(request, timeout=seconds)
            return answer
    except grpc.aio.AioRpcError as err:
        code = "".join(word.capitalize() for word in err.code().name.split("_"))
        raise DraError(f"rpc error: code = {code} desc = {err.details()}") from err


@dataclass(frozen=True, slots=True)
class Plugin:
    """A driver's plugin. Both calls raise DraError."""

    driver: str
    endpoint: str
    service: str

    async def prepare(self, claims: Iterable[ClaimRef]) -> dict[str, Answer]:
        return await self._claims("NodePrepareResources", claims, decode_prepared)

    async def unprepare(self, claims: Iterable[ClaimRef]) -> dict[str, Answer]:
        return await self._claims("NodeUnprepareResources", claims, decode_unprepared)

    async def _claims(
        self, method: str, claims: Iterable[ClaimRef], read: Callable[[bytes], dict[str, Answer]]
    ) -> dict[str, Answer]:
        try:
            return read(await _call(self.endpoint, f"{self.service}/{method}", encode_claims(claims), _CALL_SECONDS))
        except (DraError, ValueError) as err:  # ValueError: what the driver says is no such message
            raise DraError(f"{method}: {err}") from err


class Plugins:
    """The drivers whose sockets are in ``folder``. ``run`` looks for them until cancelled."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._known: dict[tuple[str, int], Plugin | None] = {}  # by socket and its inode, in the order of registration

    def of(self, driver: str) -> Plugin:
        """The driver's plugin, the latest of several. Raises DraError."""
        found = [p for p in self._known.values() if p is not None and p.driver == driver]
        if not found:
            raise DraError(f"DRA driver {driver} is not registered")
        return found[-1]

    async def run(self) -> None:
        await asyncio.to_thread(self._folder.mkdir, 0o750, True, True)
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Registers what is new, forgets what has gone."""
        there = await asyncio.to_thread(self._sockets)
        for gone in [key for key in self._known if key not in there]:
            plugin = self._known.pop(gone)
            if plugin is not None:
                log.info("DRA driver %s has gone from %s", plugin.driver, gone[0])
        for key in there:
            if key not in self._known:
                await self._register(key)

    def _sockets(self) -> list[tuple[str, int]]:
        found = []
        for path in sorted(self._folder.rglob("*")):
            if any(part.startswith(".") for part in path.relative_to(self._folder).parts):
                continue
            try:
                info = path.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISSOCK(info.st_mode):
                found.append((str(path), info.st_ino))
        return found

    async def _register(self, key: tuple[str, int]) -> None:
        """One that cannot be asked is tried again at the next look; one that is refused is not."""
        socket = key[0]
        try:
            info = decode_info(await _call(socket, f"{_REGISTRATION}/GetInfo", b"", _REGISTER_SECONDS))
        except (DraError, ValueError) as err:
            log.warning("plugin at %s does not say who it is: %s", socket, err)
            return
        plugin, refusal = self._judge(info, socket)
        self._known[key] = plugin
        log.log(
            logging.WARNING if refusal else logging.INFO,
            "plugin %s at %s: %s",
            info.name,
            socket,
            refusal or "registered",
        )
        status = encode_status(not refusal, refusal)
        try:
            await _call(socket, f"{_REGISTRATION}/NotifyRegistrationStatus", status, _REGISTER_SECONDS)
        except DraError as err:
            log.warning("plugin at %s takes no answer: %s", socket, err)

    def _judge(self, info: PluginInfo, socket: str) -> tuple[Plugin | None, str]:
        if info.type != TYPE:
            return None, f"no handler registered for plugin type: {info.type} at socket {socket}"
        endpoint = info.endpoint or socket
        service = next((SERVICES[name] for name in SERVICES if name in info.versions), None)
        if service is None:
            where = f"DRA driver plugin {info.name} at endpoint {endpoint}"
            return None, f"invalid supported gRPC versions of {where}: none of {', '.join(SERVICES)} is among them"
        if any(p is not None and (p.driver, p.endpoint) == (info.name, endpoint) for p in self._known.values()):
            return None, f"endpoint {endpoint} already registered for DRA driver plugin {info.name}"
        return Plugin(info.name, endpoint, service), ""
