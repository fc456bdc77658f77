"""A file that billing replaces, as a source."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.fakes.clock import START, FakeClock
from tests.unit.feed.test_poll import POLICIES, SAFETY, row, write
from wiped.feed.file import FileSource
from wiped.feed.poll import PolledFeed
from wiped.keys.salts import SaltFile
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts


async def test_a_file_that_nobody_writes_any_more_grows_old(tmp_path: Path) -> None:
    """Its age counts from when it says that it was made, not from when it was read."""
    clock = FakeClock()
    with closing(SaltFile.open(str(tmp_path), refers_to_accounts)) as salts:
        async with await SqlLedger.open(str(tmp_path), salts, clock) as ledger:
            path = tmp_path / "feed"
            write(path, [row(0)], 1, clock)
            clock.move(10_000)
            feed = PolledFeed(FileSource(str(path)), ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES)
            assert (await feed.poll()).complete_at == START
            clock.step(-20_000)
            write(path, [row(0)], 2, FakeClock())
            assert (await feed.poll()).fault == "future"
