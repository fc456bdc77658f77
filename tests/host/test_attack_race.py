"""Attack: the race for three seconds, in every run of the tests; tests/long runs it for a minute."""

from __future__ import annotations

import os
from pathlib import Path

from tests.host.eraser_stage import Stage
from tests.host.race import race


async def test_three_seconds_of_exchanging(scratch: Path) -> None:
    """Files, links, directories and rename targets change places while phones are wiped: every victim keeps every byte and its name."""
    tally = await race(Stage(scratch), scratch, 3, seed=os.getpid())
    print(tally)
    assert tally.attempts > 3
    assert tally.exchanged > 100
