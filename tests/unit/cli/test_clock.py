"""`wipectl clock`."""

from __future__ import annotations

from tests.unit.cli.conftest import Operator


def test_the_clock_is_shown_and_trusted(operator: Operator) -> None:
    """Suspect with its sentence; then trusted."""
    ran = operator.run("clock", "status")
    words = " ".join(ran.out.split())
    assert (ran.code, "suspect: stepped" in words, "wipectl clock trust" in words, "the kernel does not tell" in words) == (0, True, True, True)
    ran = operator.run("clock", "trust", "--reason", "looked at it")
    assert (ran.code, "trusted" in ran.out) == (0, True)
    assert "trusted" in operator.run("clock", "status").out


def test_trust_needs_a_reason(operator: Operator) -> None:
    """Without one the usage is wrong."""
    assert operator.run("clock", "trust").code == 2
