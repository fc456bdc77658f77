"""Billing's API as a source."""

from __future__ import annotations

from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.billing_server import TOKEN, Billing
from tests.fakes.clock import START, FakeClock
from tests.patience import PATIENCE
from tests.unit.feed.test_poll import POLICIES, SAFETY, row
from wiped.feed.http import HttpSource
from wiped.feed.poll import PolledFeed
from wiped.keys.salts import SaltFile
from wiped.model.instants import instant_text
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts


@pytest.mark.parametrize(
    ("trouble", "page", "reason"),
    [
        ("error", 0, "status"),
        ("redirect", 0, "status"),
        ("slow", 0, "timeout"),
        ("garbage", 0, "malformed"),
        ("half", 0, "partial"),
        ("half", 2, "partial"),
        ("dies", 0, "cut"),
        ("dies", 2, "cut"),
        ("changed", 2, "partial"),
        ("endless", 2, "too-large"),
    ],
)
async def test_a_billing_server_in_trouble_ends_nothing(tmp_path: Path, trouble: str, page: int, reason: str) -> None:
    """Whatever it does: nothing is taken, its age goes on, the reason is told apart; and it is taken again when it is well."""
    clock, failed = FakeClock(), list[str]()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    async with AsyncExitStack() as stack:
        salts = stack.enter_context(closing(SaltFile.open(str(tmp_path), refers_to_accounts)))
        ledger = await stack.enter_async_context(await SqlLedger.open(str(tmp_path), salts, clock))
        billing = await stack.enter_async_context(Billing(page=page))
        source = await stack.enter_async_context(HttpSource(billing.url, timeout=0.3 if trouble == "slow" else PATIENCE, agent="test", token_file=str(token)))
        feed = PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES, failed=failed.append)
        billing.publish([row(number) for number in range(5)])
        while (complete_at := (await feed.poll()).complete_at) is None:  # where the machine is slower than the short patience
            failed.clear()
        clock.move(1000)
        billing.publish([row(number, days=-1) for number in range(5)])
        billing.trouble = trouble
        status = await feed.poll()
        assert (status.complete_at, status.complete_answers, status.fault, failed) == (complete_at, 0, reason, [reason])
        assert {item.expires_at for item in await ledger.subscriptions.current()} == {START + timedelta(days=10)}
        billing.trouble = ""
        while (status := await feed.poll()).fault == "timeout" and trouble == "slow":
            continue
        assert (status.complete_at, status.complete_answers, status.fault) == (clock.now(), 1, "")
        token.write_text("another")
        assert (await feed.poll()).fault == "status"
        token.chmod(0o644)
        assert (await feed.poll()).fault == "configuration"
    assert (await feed.poll()).fault in {"unreachable", "configuration"}


@pytest.mark.parametrize("says_when", [False, True])
async def test_an_unchanged_set_is_confirmed_by_its_etag(tmp_path: Path, *, says_when: bool) -> None:
    """304: the last whole answer still stands, and its age begins anew, also where that answer said as of when it was."""
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        token = tmp_path / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        salts = stack.enter_context(closing(SaltFile.open(str(tmp_path), refers_to_accounts)))
        ledger = await stack.enter_async_context(await SqlLedger.open(str(tmp_path), salts, clock))
        billing = await stack.enter_async_context(Billing(page=2))
        source = await stack.enter_async_context(HttpSource(billing.url, timeout=PATIENCE, agent="test", token_file=str(token)))
        feed = PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES)
        billing.publish([row(number) for number in range(4)])
        billing.at = instant_text(clock.now()) if says_when else None
        await feed.poll()
        clock.move(500)
        assert (await feed.poll()).complete_at == clock.now()
        assert billing.asked == [("", ""), ("2", ""), ("", '"2"')]
