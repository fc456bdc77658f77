"""The promise over two thousand stories (the quick suite tells forty, other ones each time): renew, expire, hold, release, request, approve, reject,
protect, crash, restart, feed loss, clock steps, with a fake clock over the daemon's whole inside."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.conduct.test_promise_story import PromiseStory

_TOLD = settings(max_examples=1_000, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_the_promise_holds_over_a_thousand_stories() -> None:
    """Never wiped while held, renewed in time, unapproved or stale; wiped by the deadline when nothing forbids it; every generation has one end."""
    run_state_machine_as_test(PromiseStory, settings=_TOLD)


def test_and_over_a_thousand_others() -> None:
    """As above: another worker's half."""
    run_state_machine_as_test(PromiseStory, settings=_TOLD)
