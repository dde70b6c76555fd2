"""Everything that ``/metrics`` tells, put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from apiserver.audit.auditor import Auditor
from apiserver.flowcontrol.controller import FlowControl
from apiserver.http.health import Health
from apiserver.http.message import Response
from apiserver.metrics import flow, storage
from apiserver.metrics.families import counter, gauge
from apiserver.metrics.requests import RequestMetrics
from apiserver.metrics.storage import MeasuredStorage
from apiserver.metrics.tally import AdmissionTimes, Security
from apiserver.registry.registries import ServerRegistries
from kubeling.api.meta import Object, has_condition, name_of
from kubeling.api.resources import API_SERVICES

_BUILD = {
    "build_date": "buildDate",
    "compiler": "compiler",
    "git_commit": "gitCommit",
    "git_tree_state": "gitTreeState",
    "git_version": "gitVersion",
    "go_version": "goVersion",
    "major": "major",
    "minor": "minor",
    "platform": "platform",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """The parts of the server that count."""

    registries: ServerRegistries
    storage: MeasuredStorage
    security: Security
    admission: AdmissionTimes
    health: Health
    version: Object
    flow_control: FlowControl | None = None
    audit: Auditor | None = None


class Metrics:
    """One a server: several servers in one process do not mix."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.requests = RequestMetrics(
            lambda info: sources.registries.catalog.find(info.group, info.version, info.resource) is not None
        )
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    @property
    def security(self) -> Security:
        return self._sources.security

    def _collect(self) -> Iterator[str]:
        sources = self._sources
        yield from self.requests.collect()
        yield from sources.security.collect()
        yield from sources.admission.collect()
        yield from storage.collect(sources.registries, sources.storage)
        if sources.flow_control is not None:
            yield from flow.collect(sources.flow_control)
        yield from self._audit()
        yield from self._health()
        yield gauge(
            "aggregator_unavailable_apiservice",
            "[ALPHA] Gauge of APIServices which are marked as unavailable broken down by APIService name.",
            ("name",),
            (
                ((name_of(found),), float(not has_condition(found, "Available")))
                for found in sources.registries.of(API_SERVICES).cached_list()
            ),
        )
        build = {label: str(sources.version[key]) for label, key in _BUILD.items()}
        yield gauge(
            "kubernetes_build_info",
            "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, "
            "build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
            tuple(build),
            [(tuple(build.values()), 1)],
        )

    def _audit(self) -> Iterator[str]:
        audit = self._sources.audit
        yield counter(
            "apiserver_audit_event",
            "[ALPHA] Counter of audit events generated and sent to the audit backend.",
            (),
            {(): audit.written if audit else 0},
        )
        yield counter(
            "apiserver_audit_level",
            "[ALPHA] Counter of policy levels for audit events (1 per request).",
            ("level",),
            {(level,): count for level, count in audit.levels.items()} if audit else {},
        )

    def _health(self) -> Iterator[str]:
        health = self._sources.health
        yield gauge(
            "kubernetes_healthcheck",
            "[STABLE] This metric records the result of a single healthcheck.",
            ("name", "type"),
            (((name, endpoint), float(ok)) for (name, endpoint), ok in health.results.items()),
        )
        yield counter(
            "kubernetes_healthchecks",
            "[STABLE] This metric records the results of all healthcheck.",
            ("name", "status", "type"),
            {labels: float(count) for labels, count in health.counts.items()},
        )

    def response(self) -> Response:
        body = "".join(self._collect()).encode() + generate_latest(self._process)
        return Response(body, 200, [(b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode())])
