"""Fixtures of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.billing_server import TOKEN, Billing
from tests.fakes.clock import FakeClock
from tests.patience import PATIENCE
from tests.unit.feed.test_poll import POLICIES, SAFETY, Stand, write
from tests.unit.ledger_file import new_ledger
from wiped.feed.file import FileSource
from wiped.feed.http import HttpSource
from wiped.feed.poll import PolledFeed
from wiped.keys.salts import SaltFile
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts


@pytest.fixture(params=["http", "pages", "file"])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """Each source over a ledger of its own."""
    clock = FakeClock()
    new_ledger(tmp_path)
    async with AsyncExitStack() as stack:
        salts = stack.enter_context(closing(SaltFile.open(str(tmp_path), refers_to_accounts)))
        ledger = await stack.enter_async_context(await SqlLedger.open(str(tmp_path), salts, clock))
        failed: list[str] = []
        if request.param == "file":
            path = tmp_path / "subscriptions.jsonl"
            revisions = iter(range(2, 1000))

            def publish(records: list[dict[str, Any]]) -> None:
                write(path, records, next(revisions), clock)

            def open_file(**options: Any) -> PolledFeed:
                return PolledFeed(
                    FileSource(str(path)), ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES, failed=failed.append, **options
                )

            yield Stand("file", clock, ledger, publish, open_file, path=path, failed=failed)
            return
        billing = await stack.enter_async_context(Billing(page=2 if request.param == "pages" else 0))
        token = tmp_path / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        source = await stack.enter_async_context(HttpSource(billing.url, timeout=PATIENCE, agent="test", token_file=str(token)))

        def open_http(**options: Any) -> PolledFeed:
            return PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES, failed=failed.append, **options)

        yield Stand("http", clock, ledger, billing.publish, open_http, billing=billing, failed=failed)
