"""The real clocks of this machine."""

from __future__ import annotations

from wiped.machine.clock import SystemClock, boot_id, synchronised


def test_the_real_clocks_answer() -> None:
    """A boot has one name; the kernel says yes or no, or does not say."""
    assert boot_id() == SystemClock().boot_id()
    assert synchronised() in {True, False, None}
    assert SystemClock().synchronised() == synchronised()
