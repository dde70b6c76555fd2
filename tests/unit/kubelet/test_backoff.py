"""Back-off of restarts: 10 s doubling to 300 s, forgotten after ten quiet minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kubelet.pods.backoff import Backoff

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_delays_double_up_to_the_maximum() -> None:
    backoff, now, delays = Backoff(), NOW, []
    assert backoff.until("k", now) is None
    for _ in range(7):
        backoff.next("k", now, now)
        delays.append(int(backoff.delay("k").total_seconds()))
        now += backoff.delay("k")
    assert delays == [10, 20, 40, 80, 160, 300, 300]


def test_a_lower_maximum_bounds_the_first_wait_too_and_is_forgotten_no_sooner() -> None:
    backoff, now, delays = Backoff(maximum=timedelta(seconds=3)), NOW, []
    for _ in range(3):
        backoff.next("k", now, now)
        delays.append(int(backoff.delay("k").total_seconds()))
        now += timedelta(minutes=9)
    assert delays == [3, 3, 3]
    assert backoff.until("k", now) == now + timedelta(seconds=3)


def test_the_wait_counts_from_the_event() -> None:
    backoff = Backoff()
    backoff.next("k", NOW, NOW)
    ended = NOW + timedelta(seconds=5)
    assert backoff.until("k", ended) == ended + timedelta(seconds=10)


def test_ten_quiet_minutes_reset_it() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.next("k", NOW, NOW)
    later = NOW + timedelta(minutes=10, seconds=1)
    assert backoff.until("k", later) is None
    backoff.next("k", later, later)
    assert backoff.delay("k") == timedelta(seconds=10)
    backoff.collect(later + timedelta(minutes=11))
    assert backoff.delay("k") == timedelta(0)
