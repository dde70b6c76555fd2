"""What the steps of the chain and the admission plugins count of their work."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from apiserver.metrics.families import Labels, counter, histogram
from apiserver.metrics.histogram import Histogram

_SECONDS = tuple(0.001 * 2.0**n for n in range(15))
ADMISSION_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_KNOWN_USERS = (
    "admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default",
)  # fmt: skip


def compressed(username: str) -> str:
    """Few names for many users, as upstream keeps the metric small."""
    if username in _KNOWN_USERS:
        return username
    return "email_id" if "@" in username else "other"


class Tally:
    """Attempts by result, and how long they took."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.seconds: dict[str, Histogram] = defaultdict(lambda: Histogram(_SECONDS))

    def add(self, result: str, began: float) -> None:
        """``began``: of ``time.perf_counter``."""
        self.attempts[result] += 1
        self.seconds[result].observe(time.perf_counter() - began)


class Security:
    """Who asked, and whether they were let in."""

    def __init__(self) -> None:
        self.authentication = Tally()
        self.authorization = Tally()
        self.users: Counter[str] = Counter()
        """Requests by user name."""

    def user(self, name: str) -> None:
        self.users[compressed(name)] += 1

    def collect(self) -> Iterator[str]:
        authn, authz = self.authentication, self.authorization
        yield counter(
            "authenticated_user_requests",
            "[ALPHA] Counter of authenticated requests broken out by username.",
            ("username",),
            {(name,): count for name, count in self.users.items()},
        )
        yield counter(
            "authentication_attempts",
            "[ALPHA] Counter of authenticated attempts.",
            ("result",),
            {(result,): count for result, count in authn.attempts.items()},
        )
        yield histogram(
            "authentication_duration_seconds",
            "[ALPHA] Authentication duration in seconds broken out by result.",
            ("result",),
            {(result,): found for result, found in authn.seconds.items()},
        )
        yield counter(
            "authorization_attempts",
            "[ALPHA] Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', "
            "'no-opinion' or 'error'.",
            ("result",),
            {(result,): count for result, count in authz.attempts.items()},
        )
        yield histogram(
            "authorization_duration_seconds",
            "[ALPHA] Authorization duration in seconds broken out by result.",
            ("result",),
            {(result,): found for result, found in authz.seconds.items()},
        )


class AdmissionTimes:
    """Seconds of plugins and of whole passes (``admit``, ``validate``)."""

    def __init__(self) -> None:
        self._plugins: dict[Labels, Histogram] = defaultdict(lambda: Histogram(ADMISSION_BUCKETS))
        self._steps: dict[Labels, Histogram] = defaultdict(lambda: Histogram(ADMISSION_BUCKETS))

    def plugin(self, name: str, operation: str, type_: str, seconds: float, rejected: bool) -> None:
        self._plugins[name, operation, "true" if rejected else "false", type_].observe(seconds)

    def step(self, operation: str, type_: str, seconds: float, rejected: bool) -> None:
        self._steps[operation, "true" if rejected else "false", type_].observe(seconds)

    def collect(self) -> Iterator[str]:
        yield histogram(
            "apiserver_admission_controller_admission_duration_seconds",
            "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each "
            "operation and API resource and type (validate or admit).",
            ("name", "operation", "rejected", "type"),
            self._plugins,
        )
        yield histogram(
            "apiserver_admission_step_admission_duration_seconds",
            "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and "
            "step type (validate or admit).",
            ("operation", "rejected", "type"),
            self._steps,
        )
