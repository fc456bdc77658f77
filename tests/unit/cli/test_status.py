"""`wipectl status`."""

from __future__ import annotations

from tests.unit.cli.conftest import Operator


def test_the_host_is_shown_at_a_glance(operator: Operator) -> None:
    """What is overdue and faulty, and the running wipe with its share, rate and time; a hostile name made harmless."""
    ran = operator.run("status")
    assert (ran.code, ran.err) == (0, "")
    words = " ".join(ran.out.split())
    for word in ("host-1", "1, the oldest for 2h", "last complete answer 12s ago", "fault: hook", "erase 50% of 2.0 GiB, 256.0 MiB/s, ETA 4s"):
        assert word in words, word
    assert "\x1b[2J" not in ran.out
