"""Attack: the race of a dozen wipes, in every run of the tests; tests/long races hundreds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage
from tests.host.race import race


@pytest.mark.long
async def test_a_dozen_wipes_race_an_exchanger(scratch: Path) -> None:
    """Files, links, directories and rename targets change places while phones are wiped: every victim keeps every byte and its name."""
    tally = await race(Stage(scratch), scratch, 12, 100, seed=os.getpid())
    print(tally)
    assert tally.attempts >= 12
    assert tally.exchanged > 100
