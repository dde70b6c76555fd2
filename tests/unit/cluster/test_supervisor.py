import pytest

from kubeling.cluster.supervisor import next_failures, restart_delay


@pytest.mark.parametrize(("failures", "delay"), [(1, 0.2), (2, 0.4), (3, 0.8), (6, 5.0), (50, 5.0)])
def test_restarts_slow_down(failures, delay):
    assert restart_delay(failures) == pytest.approx(delay)


def test_a_component_that_lived_is_restarted_at_once():
    assert next_failures(7, lived=11) == 1
    assert next_failures(1, lived=0.1) == 2
