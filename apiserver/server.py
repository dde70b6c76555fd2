"""The server: all parts put together, started in order, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import platform
import signal
import socket
import ssl
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from apiserver.aggregator.availability import Availability
from apiserver.aggregator.table import Aggregator
from apiserver.allocators.addresses import ClusterIPs
from apiserver.allocators.ports import NodePorts
from apiserver.allocators.ranges import parse_ports
from apiserver.allocators.repair import AddressRepair
from apiserver.allocators.services import ServiceAllocation
from apiserver.bootstrap.declared_status import DeclaredStatus
from apiserver.bootstrap.flow_status import FlowStatus
from apiserver.bootstrap.kubernetes_service import KubernetesService, ServiceSettings, reachable_address
from apiserver.bootstrap.run import Bootstrap, BootstrapSettings
from apiserver.cache.hub import Hub
from apiserver.certs import serving_files
from apiserver.compaction import Compactor
from apiserver.custom.schemas import ServedSchemas
from apiserver.custom.serving import CustomResources
from apiserver.devices.guard import ClaimGuard
from apiserver.discovery.endpoints import Discovery
from apiserver.flowcontrol.controller import FlowControl
from apiserver.http.app import Outer, build_app
from apiserver.http.endpoints.base import Parts
from apiserver.http.health import Health
from apiserver.http.message import Request, Response
from apiserver.http.protocol import CertificateProtocol
from apiserver.http.request import RequestInfo
from apiserver.http.steps import Endpoint, InFlight, Step
from apiserver.kinds import KINDS
from apiserver.kinds import metrics as metrics_api
from apiserver.kinds.authentication.reviews import TOKEN_REVIEWER
from apiserver.kinds.legacy import with_legacy
from apiserver.kinds.metrics.metrics import SCRAPER
from apiserver.kinds.metrics.scraper import Scraper
from apiserver.kinds.optional import with_optional
from apiserver.metrics.server import Metrics, Sources
from apiserver.metrics.storage import MeasuredStorage
from apiserver.metrics.tally import Security
from apiserver.openapi import OpenAPI
from apiserver.options import Options
from apiserver.ownership import manager_for
from apiserver.registry.actions import FEATURES, Services
from apiserver.registry.admission import AdmissionChain
from apiserver.registry.registries import ServerRegistries
from apiserver.registry.served import Catalog
from apiserver.registry.write import Policies
from apiserver.serviceaccounts.discovery import discovery_documents
from apiserver.storage.base import Storage, StorageError
from apiserver.storage.etcd import EtcdStorage, EtcdTLS
from apiserver.streaming.kubelets import Kubelets, kubelet_context
from apiserver.streaming.table import with_connections
from apiserver.tls import server_context
from apiserver.version import version_info
from apiserver.wiring import build_audit, build_security, request_header_config
from kubeling.api.errors import StatusError
from kubeling.api.meta import utcnow
from kubeling.api.resources import RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS, SERVICES
from kubeling.api.schema import schemas_for

log = logging.getLogger("apiserver")

_BACKLOG = 2048


class Server:
    """One API server. ``run`` serves until it is told to stop."""

    def __init__(self, options: Options, storage: Storage) -> None:
        self.options = options
        self.storage = storage = MeasuredStorage(storage)
        self.hub = Hub(storage)
        self.catalog = Catalog()
        self.schemas = ServedSchemas(schemas_for(options.kubernetes_version, legacy=options.legacy_apis))
        admission = AdmissionChain()
        managers = partial(manager_for, self.schemas)
        self.registries = ServerRegistries(storage, self.hub, self.catalog, admission, managers, utcnow)
        self.registries.hooks[SERVICES.qualified] = self._allocation()
        for claims in (RESOURCE_CLAIMS, RESOURCE_CLAIM_TEMPLATES):
            guard = ClaimGuard(claims, self.registries, lambda: self.security.authorization.authorizer)
            self.registries.hooks[claims.qualified] = guard
        for kind in (
            *with_optional(with_legacy(KINDS) if options.legacy_apis else KINDS, options.runtime_config),
            *(metrics_api.KINDS if options.enable_metrics_api else ()),
        ):
            self.registries.register(with_connections(replace(kind, ttl=options.event_ttl) if kind.ttl else kind))
        self.aggregator = Aggregator(self.registries, options.proxy_client_cert_file, options.proxy_client_key_file)
        self._custom = CustomResources(self.registries, self.schemas)
        self._connector = self._kubelets()
        self._scraper = Scraper(self.registries, self._connector)
        self.security = build_security(options, self.registries)
        admission.plugins = self.security.admission.plugins
        self._policies = Policies(admission, managers, self.registries)
        self.audit = build_audit(options)
        total = options.max_requests_inflight + options.max_mutating_requests_inflight
        self.flow_control = (
            FlowControl(self.registries, total, options.request_timeout, self._listed)
            if options.enable_priority_and_fairness and total
            else None
        )
        self._ready = False
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._kubernetes: KubernetesService | None = None

    @classmethod
    async def connect(cls, options: Options) -> Server:
        """With the etcd that the options name. Raises ``Unavailable``."""
        tls = EtcdTLS(options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)
        return cls(options, await EtcdStorage.connect(options.etcd_servers, tls=tls))

    def _allocation(self) -> ServiceAllocation:
        options = self.options
        ranges = [ipaddress.ip_network(r) for r in options.service_cluster_ip_range.split(",")]
        ports = NodePorts(self.storage, *parse_ports(options.service_node_port_range))
        return ServiceAllocation(ClusterIPs(self.registries, ranges), ports)

    def _kubelets(self) -> Kubelets:
        options = self.options
        context = kubelet_context(
            options.kubelet_client_certificate, options.kubelet_client_key, options.kubelet_certificate_authority
        )
        return Kubelets(context, options.kubelet_preferred_address_types)

    def app(self, port: int) -> FastAPI:
        options, security = self.options, self.security
        extra = {TOKEN_REVIEWER: security.reviewer, SCRAPER: self._scraper, FEATURES: options.features}
        authorizer = security.authorization.authorizer
        services = Services(security.authenticator, authorizer, security.issuer, self._connector, extra)
        parts = Parts(
            self.registries, self._policies, services, self.schemas, utcnow, float(options.min_request_timeout)
        )
        version = version_info(options.kubernetes_version)
        health = self._health()
        metrics = Metrics(
            Sources(
                self.registries, self.storage, Security(), self._policies.admission.times, health, version,
                self.flow_control, self.audit,
            )
        )  # fmt: skip
        discovery = Discovery(self.catalog, f"{options.address}:{port}", self.aggregator)
        outer = Outer(discovery, health, metrics, version, self._others(port), self.aggregator)
        return build_app(parts, outer, self._limits(), self.audit, options.request_timeout)

    def _limits(self) -> Step:
        """Priority and fairness, or plain limits without it."""
        options = self.options
        if self.flow_control is not None:
            return self.flow_control.step
        return InFlight(options.max_requests_inflight, options.max_mutating_requests_inflight).step

    def _listed(self, info: RequestInfo) -> int:
        """How many objects a list of that resource goes through."""
        registry = self.registries.find(info.group, info.resource)
        return len(registry.objects.cache) if registry else 0

    def _health(self) -> Health:
        async def etcd() -> str:
            try:
                async with asyncio.timeout(2):
                    await self.storage.revision()
            except (StorageError, TimeoutError) as err:
                return f"etcd failed: {err}"
            return ""

        async def started() -> str:
            return "" if self._ready else "not finished"

        async def shutdown() -> str:
            return "process is shutting down" if self._stopping else ""

        return Health({"etcd": etcd, "etcd-readiness": etcd, "shutdown": shutdown}, started)

    def _others(self, port: int) -> dict[str, Endpoint]:
        options = self.options
        uri = f"https://{options.address}:{port}/openid/v1/jwks"
        documents = discovery_documents(options.service_account_issuer, self.security.keys, uri)

        async def identity(request: Request) -> Response:
            document = documents.get(request.path)
            if document is None:
                raise StatusError({"code": 404, "message": "404 page not found"})
            headers = [
                (b"content-type", document.content_type.encode()),
                (b"cache-control", document.cache_control.encode()),
            ]
            return Response(document.body, 200, headers)

        release = version_info(options.kubernetes_version)["gitVersion"]
        openapi = OpenAPI(self.catalog, self.schemas.builtin, release, self.schemas.openapi)
        return {".well-known": identity, "openid": identity, "openapi": openapi.serve}

    async def start(self, port: int) -> None:
        """Fills the cache, follows the store, and brings in what a fresh cluster starts with."""
        await self.hub.start()
        self._spawn(self.hub.run())
        await self.hub.sync_all()
        await self._custom.reconcile()
        options = self.options
        settings = BootstrapSettings(
            tuple(options.service_cluster_ip_range.split(",")),
            options.client_ca_file.read_text() if options.client_ca_file else "",
            request_header_config(options),
            rbac="RBAC" in options.authorization_mode,
            metrics=options.enable_metrics_api,
            features=options.features,
            group_versions=tuple(dict.fromkeys((s.resource.group, s.resource.version) for s in self.catalog.all())),
        )
        await Bootstrap(self.registries, settings).run()
        await self.registries.wait_synced()
        self.aggregator.follow()
        self._ready = True
        gc.freeze()  # what is there now stays: no need to look at it in every collection
        await self._publish(port)
        self._spawn(FlowStatus(self.registries).run())
        if self.flow_control is not None:
            self._spawn(self.flow_control.run())
        self._spawn(DeclaredStatus(self.registries).run())
        self._spawn(AddressRepair(self.registries).run())
        self._spawn(Availability(self.registries, self.aggregator).run())
        self._spawn(self._custom.run())
        if options.enable_metrics_api:
            self._spawn(self._scraper.run())
        if options.etcd_compaction_interval:
            self._spawn(Compactor(self.storage, options.etcd_compaction_interval).run())

    async def _publish(self, port: int) -> None:
        network = ipaddress.ip_network(self.options.service_cluster_ip_range.split(",")[0])
        address = reachable_address(self.options.address)
        settings = ServiceSettings(str(network[1]), address, port, platform.node())
        self._kubernetes = KubernetesService(self.registries, settings)
        self._spawn(self._kubernetes.run())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a background task ended", exc_info=task.exception())

    async def stop(self) -> None:
        """Ends watches, withdraws from the endpoints, closes the store."""
        if self._stopping:
            return
        self._stopping = True
        if self._kubernetes is not None:
            try:
                async with asyncio.timeout(1):
                    await self._kubernetes.withdraw()
            except (StatusError, StorageError, TimeoutError) as err:
                log.warning("could not withdraw from the endpoints: %s", err)
        for registry in self.registries.all():
            registry.objects.cache.close_watchers()

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connector.aclose()
        await self.storage.close()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises OSError when it cannot listen."""
        sockets = listen(self.options)
        port = sockets[0].getsockname()[1]
        web = _Web(self, uvicorn.Config(
            self.app(port),
            http=CertificateProtocol,
            loop="uvloop",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=True,
            timeout_graceful_shutdown=self.options.shutdown_seconds,
            timeout_keep_alive=90,
            h11_max_incomplete_event_size=1 << 20,
            ws_max_size=1 << 24,
        ))  # fmt: skip
        web.config.load()
        web.config.ssl = self._tls()
        starting = asyncio.ensure_future(self.start(port))
        starting.add_done_callback(web.started_or_failed)
        try:
            await web.serve(sockets)
        finally:
            starting.cancel()
            await self.close()
        if starting.done() and not starting.cancelled():
            starting.result()

    def _tls(self) -> ssl.SSLContext:
        options = self.options
        certificate, key = options.tls_cert_file, options.tls_private_key_file
        if certificate is None or key is None:
            addresses = [a for a in (options.address, *options.bind_address) if a not in ("0.0.0.0", "::")]
            network = ipaddress.ip_network(options.service_cluster_ip_range.split(",")[0])
            made = serving_files(options.cert_dir, [platform.node(), "127.0.0.1", str(network[1]), *addresses])
            certificate, key = made.certificate, made.key
        authorities = [p for p in (options.client_ca_file, options.requestheader_client_ca_file) if p]
        return server_context(certificate, key, authorities)


class _Web(uvicorn.Server):
    """uvicorn, told to let the server end its watches first."""

    def __init__(self, server: Server, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._server = server

    def started_or_failed(self, starting: asyncio.Task[None]) -> None:
        if starting.cancelled() or starting.exception() is not None:
            self.should_exit = True
        else:
            log.info("ready")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal stops the server and that is all: uvicorn would raise it again afterwards."""
        loop = asyncio.get_running_loop()
        for wanted in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(wanted, self.handle_exit, wanted, None)
        yield
        for wanted in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(wanted)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._server.stop()
        await super().shutdown(sockets)


def listen(options: Options) -> list[socket.socket]:
    """One socket for each address; port 0 takes a free one, the same for all. Raises OSError."""
    port, sockets = options.secure_port, []
    for address in options.bind_address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(_BACKLOG)
        made.setblocking(False)
        port = made.getsockname()[1]
        sockets.append(made)
    return sockets
