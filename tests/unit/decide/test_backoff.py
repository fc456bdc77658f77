"""The wait before the next attempt: doubled, bounded, never an overflow."""

from __future__ import annotations

from wiped.decide import backoff


def test_the_wait_doubles_up_to_the_longest() -> None:
    """First the first, then twice that, and so on; the longest stays the longest however often it fails."""
    assert [backoff.wait(count, first=5.0, longest=60.0) for count in range(6)] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert backoff.wait(10_000, first=5.0, longest=86_400.0) == 86_400.0
    assert backoff.wait(-1, first=5.0, longest=60.0) == 5.0


def test_jitter_takes_at_most_half() -> None:
    """Between half of the wait and the whole, so that hosts do not come back together and none comes back at once."""
    assert backoff.wait(1, first=4.0, longest=60.0, jitter=0.0) == 4.0
    assert backoff.wait(1, first=4.0, longest=60.0, jitter=0.5) == 6.0
    assert backoff.wait(1, first=4.0, longest=60.0, jitter=0.999) < 8.0
