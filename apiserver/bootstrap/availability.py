"""Whether the servers behind API services are there: their Service, its endpoints, and an answer to discovery.

Source: k8s.io/kube-aggregator/pkg/controllers/status/remote. API services without a Service are the server's own and always
available.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from apiserver.bootstrap.status_loop import StatusLoop
from apiserver.registry.facade import Registries, WriteOptions
from apiserver.streaming.kubelets import kubelet_context
from kubeling.api.meta import Object, condition_of, labels_of, name_of, utcnow, with_condition
from kubeling.api.resources import API_SERVICES, ENDPOINT_SLICES, SERVICES

_OPTIONS = WriteOptions(manager="kube-apiserver")
_SERVICE_NAME = "kubernetes.io/service-name"
_ATTEMPTS = 5
_SECONDS = 5.0
RESYNC_SECONDS = 30.0

Find = Callable[[str, str], Object | None]
"""A Service by its name and namespace."""
Slices = Callable[[str, str], Iterable[Object]]
"""The EndpointSlices of a Service by its name and namespace."""
Probe = Callable[[str], Awaitable[str]]
"""Asks a URL; what went wrong, empty when all is well."""


@dataclass(frozen=True, slots=True)
class Verdict:
    status: str
    reason: str
    message: str


PASSED = Verdict("True", "Passed", "all checks passed")


def judge(reference: Object, find: Find, slices: Slices) -> Verdict | None:
    """What the objects tell of ``spec.service``; None: they say nothing against it, so the server must be asked."""
    name, namespace, port = reference.get("name", ""), reference.get("namespace", ""), reference.get("port", 443)
    where = f'service/{name} in "{namespace}"'
    service = find(name, namespace)
    if service is None:
        return Verdict("False", "ServiceNotFound", f"{where} is not present")
    spec = service.get("spec") or {}
    if (spec.get("type") or "ClusterIP") != "ClusterIP":
        return None
    ports = [p for p in spec.get("ports") or () if p.get("port") == port]
    if not ports:
        return Verdict("False", "ServicePortError", f"{where} is not listening on port {port}")
    found, wanted = list(slices(name, namespace)), ports[0].get("name") or ""
    if not found:
        return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {where}")
    if not any(_usable(slice_, wanted) for slice_ in found):
        missing = f'endpointslices for {where} have no addresses with port name "{wanted}"'
        return Verdict("False", "MissingEndpoints", missing)
    return None


def _usable(slice_: Object, port: str) -> bool:
    ready = any((e.get("conditions") or {}).get("ready") is not False for e in slice_.get("endpoints") or ())
    return ready and any((p.get("name") or "") == port and p.get("port") for p in slice_.get("ports") or ())


def discovery_url(api_service: Object, service: Object) -> str:
    """Where the server behind the API service must answer."""
    spec, target = api_service["spec"], service.get("spec") or {}
    reference = spec["service"]
    if target.get("type") == "ExternalName":
        host = target.get("externalName", "")
    else:
        host = target.get("clusterIP", "")
    host = f"[{host}]" if ":" in host else host
    group = spec.get("group") or ""
    path = f"apis/{group}/{spec['version']}" if group else f"api/{spec['version']}"
    return f"https://{host}:{reference.get('port', 443)}/{path}"


def status_with(api_service: Object, verdict: Verdict, now: datetime) -> Object | None:
    """The status that says so; None when it is said already."""
    status = api_service.get("status") or {}
    present = condition_of(api_service, "Available") or {}
    if (present.get("status"), present.get("reason"), present.get("message")) == (
        verdict.status, verdict.reason, verdict.message,
    ):  # fmt: skip
        return None
    conditions = with_condition(
        status.get("conditions"), "Available", verdict.status, now, verdict.reason, verdict.message
    )
    return {**status, "conditions": conditions}


class Availability(StatusLoop):
    """Looks at all API services whenever something changed, and every half minute at those behind Services."""

    watched = (API_SERVICES, SERVICES, ENDPOINT_SLICES)
    period = RESYNC_SECONDS

    def __init__(self, registries: Registries, probe: Probe, clock: Callable[[], datetime] = utcnow) -> None:
        super().__init__(registries, clock)
        self._probe = probe

    async def _reconcile(self) -> None:
        remote = [s for s in self._registries.of(API_SERVICES).cached_list() if (s.get("spec") or {}).get("service")]
        await asyncio.gather(*(self._one(api_service) for api_service in remote))

    async def _one(self, api_service: Object) -> None:
        find, reference = self._registries.of(SERVICES).cached, api_service["spec"]["service"]
        verdict = judge(reference, find, self._slices)
        service = find(reference.get("name", ""), reference.get("namespace", ""))
        if verdict is None and service is not None:
            verdict = await self._asked(discovery_url(api_service, service))
        if verdict is None or status_with(api_service, verdict, self._clock()) is None:
            return
        told = verdict

        def change(stored: Object) -> Object:
            status = status_with(stored, told, self._clock())
            return stored if status is None else {**stored, "status": status}

        registry = self._registries.of(API_SERVICES)
        write = registry.update(name_of(api_service), change, subresource="status", options=_OPTIONS)
        await self._attempt(write, "cannot set a status")

    def _slices(self, name: str, namespace: str) -> list[Object]:
        slices = self._registries.of(ENDPOINT_SLICES).cached_list(namespace)
        return [s for s in slices if labels_of(s).get(_SERVICE_NAME) == name]

    async def _asked(self, url: str) -> Verdict:
        """One good answer of five suffices."""
        problem = ""
        for attempt in asyncio.as_completed([self._probe(url) for _ in range(_ATTEMPTS)]):
            problem = await attempt
            if not problem:
                return PASSED
        return Verdict("False", "FailedDiscoveryCheck", problem)


class DiscoveryProbe:
    """Asks as the aggregator does: with the proxy's client certificate, as a member of ``system:masters``, without a look at
    the other side's certificate."""

    def __init__(self, certificate: Path | None, key: Path | None) -> None:
        """Raises OSError for files that cannot be read."""
        self._context = kubelet_context(certificate, key, None)

    async def __call__(self, url: str) -> str:
        import httpx  # at first use: with all it brings along it would be a tenth of the server's start

        headers = {"X-Remote-User": "system:kube-aggregator", "X-Remote-Group": "system:masters"}
        prefix = f"failing or missing response from {url}"
        try:
            async with httpx.AsyncClient(verify=self._context, timeout=_SECONDS, trust_env=False) as client:
                answer = await client.get(url, headers=headers)
        except httpx.HTTPError as err:
            return f'{prefix}: Get "{url}": {err or type(err).__name__}'
        if not answer.is_success:
            return f"{prefix}: bad status from {url}: {answer.status_code}"
        return ""
