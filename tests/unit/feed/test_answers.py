"""What is no whole answer is not taken."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.unit.feed.test_poll import PHONES, POLICIES, SAFETY, row
from wiped.feed.answers import MAX_RECORDS, FeedError, page_of
from wiped.feed.file import FileSource
from wiped.feed.poll import PolledFeed
from wiped.keys.salts import SaltFile
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts


def test_what_is_no_answer_is_not_taken(tmp_path: Path) -> None:
    """Each form of garbage in a file, by its name."""
    path = tmp_path / "feed"
    source = FileSource(str(path))
    head = '{"feed": "wiped/1", "revision": 1, "count": 1, "at": "2026-03-01T00:00:00Z"}\n'
    good = json.dumps(row(0)) + "\n"
    cases = {
        "": "malformed", "\n": "malformed", head: "partial", head + good + good: "partial", head[:-10]: "malformed", head + "{" + "\n": "malformed",
        head.replace("wiped/1", "wiped/2") + good: "malformed", head.replace(', "at": "2026-03-01T00:00:00Z"', "") + good: "malformed",
        head.replace("2026-03-01T00:00:00Z", "2026-03-01T00:00:00") + good: "malformed", head + good.replace(PHONES[0], "nobody"): "malformed",
        head + good.replace('"account"', '"acount"'): "malformed", head + json.dumps(row(0, revision="1")) + "\n": "malformed",
        head.replace('"count": 1', '"count": true') + good: "malformed", head + json.dumps(row(0, policy="other")) + "\n": "malformed",
    }  # fmt: skip

    async def all_of_it() -> None:
        with closing(SaltFile.open(str(tmp_path), refers_to_accounts)) as salts:
            async with await SqlLedger.open(str(tmp_path), salts, FakeClock()) as ledger:
                for text, reason in cases.items():
                    path.write_text(text)
                    feed = PolledFeed(source, ledger.subscriptions, ledger.conditions, FakeClock(), SAFETY, policies=POLICIES)
                    assert (await feed.poll()).fault == reason, text
                path.write_text(head + good)
                path.chmod(0o666)
                assert (
                    await PolledFeed(source, ledger.subscriptions, ledger.conditions, FakeClock(), SAFETY, policies=POLICIES).poll()
                ).fault == "configuration"
                path.unlink()
                assert (await PolledFeed(source, ledger.subscriptions, ledger.conditions, FakeClock(), SAFETY, policies=POLICIES).poll()).fault == "unreachable"
                path.mkdir()
                assert (
                    await PolledFeed(source, ledger.subscriptions, ledger.conditions, FakeClock(), SAFETY, policies=POLICIES).poll()
                ).fault == "configuration"
                assert await ledger.subscriptions.current() == ()

    asyncio.run(all_of_it())


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"feed":"wiped/1","count":0,"records":[' + b"{}," * MAX_RECORDS + b"{}]}", "too-large"),
        (b'{"feed":"wiped/1","count":0,"records":[' + b"[]," * (MAX_RECORDS + 1) + b"[]]}", "too-large"),
        (b'{"feed":"wiped/1","count":0,"records":[{' + b",".join(b'"%d":1' % number for number in range(500)) + b"}]}", "too-large"),
        (b'{"feed":"wiped/1","count":0,"records":[' + b"[" * 5_000 + b"]" * 5_000 + b"]}", "malformed"),
        (b'{"feed":"wiped/1","count":' + b"9" * 5_000 + b',"records":[]}', "malformed"),
        (b'{"feed":"wiped/1","count":0,"records":[1,1]}', "malformed"),
        (b"\xff\xfe{}", "malformed"),
    ],
    ids=["objects", "lists", "keys", "deep", "digits", "numbers", "utf-16"],
)
def test_what_no_answer_is_costs_nothing(body: bytes, fault: str) -> None:
    """Counted by its letters before anything is made of it; deep and broken documents are faults of the feed."""
    with pytest.raises(FeedError) as caught:
        page_of(body, "its answer")
    assert caught.value.fault == fault
