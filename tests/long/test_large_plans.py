"""The largest plan that an eraser takes."""

from __future__ import annotations

from pathlib import Path

from tests.host.test_eraser_kinds import large_plan


async def test_a_plan_of_ten_thousand_files_is_little_work(scratch: Path) -> None:
    """A shared directory full of small files, on a host of 500 other phones with shared directories of their own."""
    work = await large_plan(scratch, 10_000, 500)
    print(f"10,000 files locked, 50 erased and removed: {work.units:.0f} units of work")
    assert work.units < 4_500
