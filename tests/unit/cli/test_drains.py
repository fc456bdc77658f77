"""`wipectl drain`."""

from __future__ import annotations

from tests.fakes.service import DRAIN, DRAIN_ID
from tests.unit.cli.conftest import Operator


def test_a_drain_is_started_shown_and_cancelled(operator: Operator) -> None:
    """The one in force needs no id; without one there is nothing to cancel."""
    ran = operator.run("drain", "start", "--at", "2026-12-31T00:00:00Z", "--reason", "closing")
    assert (ran.code, DRAIN_ID in ran.out, "cancelled" in ran.err) == (0, True, True)
    assert "product basic" in operator.run("drain", "status").out
    assert (operator.run("drain", "cancel", "--reason", "stays").code, operator.service.asked[-1][1][0]) == (0, DRAIN_ID)
    operator.service.draining = [DRAIN, DRAIN]
    assert operator.run("drain", "cancel", "--reason", "stays").code == 2
    operator.service.draining = []
    assert operator.run("drain", "cancel", "--reason", "stays").code == 2
