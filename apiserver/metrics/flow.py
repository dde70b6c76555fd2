"""Priority and fairness (k8s.io/apiserver/pkg/util/flowcontrol/metrics)."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.flowcontrol.controller import FlowControl
from apiserver.metrics.families import counter, gauge, histogram

_BOTH = ("priority_level", "flow_schema")


def collect(control: FlowControl) -> Iterator[str]:
    flows = [((flow.level.name, flow.name), flow) for flow in control.flows]
    levels = control.levels.values()
    yield counter(
        "apiserver_flowcontrol_dispatched_requests",
        "[BETA] Number of requests executed by API Priority and Fairness subsystem",
        _BOTH,
        {labels: flow.dispatched for labels, flow in flows if flow.dispatched},
    )
    yield counter(
        "apiserver_flowcontrol_rejected_requests",
        "[BETA] Number of requests rejected by API Priority and Fairness subsystem",
        (*_BOTH, "reason"),
        {(*labels, reason): count for labels, flow in flows for reason, count in flow.rejected.items()},
    )
    yield gauge(
        "apiserver_flowcontrol_current_executing_requests",
        "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and "
        "Fairness subsystem",
        _BOTH,
        ((labels, flow.executing) for labels, flow in flows),
    )
    yield gauge(
        "apiserver_flowcontrol_current_executing_seats",
        "[BETA] Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage "
        "otherwise) requests in the API Priority and Fairness subsystem",
        _BOTH,
        ((labels, flow.seats) for labels, flow in flows),
    )
    yield gauge(
        "apiserver_flowcontrol_current_inqueue_requests",
        "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem",
        _BOTH,
        ((labels, flow.waiting) for labels, flow in flows),
    )
    yield histogram(
        "apiserver_flowcontrol_request_wait_duration_seconds",
        "[BETA] Length of time a request spent waiting in its queue",
        (*_BOTH, "execute"),
        {
            (*labels, str(executed).lower()): found
            for labels, flow in flows
            for executed, found in flow.waits.items()
            if found.total
        },
    )
    yield gauge(
        "apiserver_flowcontrol_nominal_limit_seats",
        "[BETA] Nominal number of execution seats configured for each priority level",
        ("priority_level",),
        (((level.name,), level.nominal) for level in levels),
    )
    yield gauge(
        "apiserver_flowcontrol_current_limit_seats",
        "[ALPHA] current derived number of execution seats available to each priority level",
        ("priority_level",),
        (((level.name,), level.limit) for level in levels),
    )
