"""Feeds: one contract for every source, the ways in which one can fail, signatures, revisions. Real HTTP, real files, the real ledger."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import strategies as st

from tests.fakes.billing_server import Billing
from tests.fakes.clock import START, FakeClock
from wiped.decide.feed_answer import AnswerFacts, FeedMemory
from wiped.feed.poll import PolledFeed
from wiped.feed.signed import Verifier, message
from wiped.model.instants import instant_text
from wiped.model.policy import Safety
from wiped.model.subscription import FeedStatus
from wiped.record.ledger import SqlLedger

PHONES = [f"00000000-0000-4000-8000-{number:012d}" for number in range(1, 9)]


POLICIES = frozenset({"default"})


SAFETY = Safety()


def row(number: int, *, days: float = 10, **changes: Any) -> dict[str, Any]:
    """One record as billing writes it."""
    found = {
        "phone": PHONES[number],
        "account": f"customer-{number}@example.org",
        "subscription": f"sub-{number}",
        "starts": instant_text(START - timedelta(days=20)),
        "expires": instant_text(START + timedelta(days=days)),
    }
    return {**found, **changes}


@dataclass
class Stand:
    """A feed of one kind over a real ledger. `publish`: billing says this now."""

    kind: str
    clock: FakeClock
    ledger: SqlLedger
    publish: Callable[[list[dict[str, Any]]], None]
    open: Callable[..., PolledFeed]
    billing: Billing | None = None
    path: Path | None = None
    failed: list[str] = field(default_factory=list)

    async def ends(self) -> dict[str, float]:
        """phone -> days until its end, as the ledger has it."""
        return {item.uuid: (item.expires_at - START) / timedelta(days=1) for item in await self.ledger.subscriptions.current()}


def write(path: Path, records: list[dict[str, Any]], revision: int, clock: FakeClock) -> None:
    """As billing does: aside, then a rename."""
    head = {"feed": "wiped/1", "revision": revision, "count": len(records), "at": instant_text(clock.now())}
    aside = path.with_suffix(".new")
    aside.write_text("".join(json.dumps(item) + "\n" for item in [head, *records]), encoding="utf-8")
    aside.chmod(0o640)
    os.replace(aside, path)


async def test_a_whole_answer_is_taken_and_counted(stand: Stand) -> None:
    """Records reach the ledger; answers in a row are counted; the same answer again confirms and changes nothing."""
    feed = stand.open()
    stand.publish([row(number) for number in range(5)])
    status = await feed.poll()
    assert status == FeedStatus(stand.clock.now(), 1, stand.kind)
    assert await stand.ends() == {PHONES[number]: 10 for number in range(5)}
    entries = len(await stand.ledger.audit.entries())
    if stand.kind == "http":
        stand.clock.move(60)
    assert (await feed.poll()).complete_answers == 2
    assert len(await stand.ledger.audit.entries()) == entries
    assert stand.failed == []


async def test_absent_is_not_expired(stand: Stand) -> None:
    """A phone that the next answer does not name keeps its term."""
    feed = stand.open()
    stand.publish([row(number) for number in range(4)])
    await feed.poll()
    stand.publish([row(number, days=12) for number in range(3)])
    assert (await feed.poll()).fault == ""
    assert await stand.ends() == {PHONES[0]: 12, PHONES[1]: 12, PHONES[2]: 12, PHONES[3]: 10}


@pytest.mark.parametrize("left", [0, 1])
async def test_an_empty_or_much_smaller_set_ends_nothing(stand: Stand, left: int) -> None:
    """The first is not taken; a second that says the same is, but for an empty one while phones are bound."""
    feed = stand.open()
    stand.publish([row(number) for number in range(4)])
    before = (await feed.poll()).complete_at
    stand.clock.move(60)
    stand.publish([row(number, days=1) for number in range(left)])
    status = await feed.poll()
    assert (status.complete_at, status.complete_answers, status.fault) == (before, 0, "shrunk" if left else "empty")
    assert await stand.ends() == {PHONES[number]: 10 for number in range(4)}
    again = await feed.poll()
    assert again.fault == ("" if left else "empty")
    assert len(await stand.ends()) == 4


async def test_yesterdays_set_with_a_lower_revision_is_not_taken(stand: Stand) -> None:
    """Not even by a daemon that was restarted in between: the revision is remembered."""
    stand.publish([row(number) for number in range(3)])
    stand.publish([row(number, days=20) for number in range(3)])
    await stand.open().poll()
    if stand.billing is not None:
        stand.billing.records, stand.billing.revision = [row(number) for number in range(3)], 1
    else:
        assert stand.path is not None
        write(stand.path, [row(number) for number in range(3)], 1, stand.clock)
    status = await stand.open().poll()
    assert (status.complete_at, status.fault) == (None, "older-revision")
    assert await stand.ends() == {PHONES[number]: 20 for number in range(3)}
    assert stand.failed == ["older-revision"]


async def test_one_refused_record_does_not_keep_the_others_out(stand: Stand, capfd: pytest.CaptureFixture[str]) -> None:
    """Another account's record is refused, its phone marked, and all of it told once; nothing of a customer is in the log."""
    feed = stand.open()
    stand.publish([row(0), row(1)])
    await feed.poll()
    stand.publish([row(0, account="somebody-else@example.org"), row(1, days=30)])
    for _ in range(3):
        await feed.poll()
    assert await stand.ends() == {PHONES[0]: 10, PHONES[1]: 30}
    phone = await stand.ledger.phones.get(PHONES[0])
    assert phone is not None
    assert phone.occupied
    told = [entry for entry in await stand.ledger.audit.entries() if entry.kind == "feed-refused"]
    assert [entry.body["records"] for entry in told] == [[{"uuid": PHONES[0], "code": "generation-occupied"}]]
    out = capfd.readouterr()
    assert "example.org" not in out.out + out.err


KEY = Ed25519PrivateKey.generate()


PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed(record: dict[str, Any], *, revision: int = 1, key: Ed25519PrivateKey = KEY, hours: float = 24) -> dict[str, Any]:
    """As billing signs it."""
    whole = {
        **record,
        "revision": revision,
        "valid_from": instant_text(START - timedelta(hours=1)),
        "valid_until": instant_text(START + timedelta(hours=hours)),
    }
    return {**whole, "signature": base64.b64encode(key.sign(message(whole))).decode()}


async def test_a_revision_never_goes_back(stand: Stand) -> None:
    """An old record, rightly signed, that is played again is refused; so is another text under the same revision."""
    feed = stand.open(verifier=Verifier(PEM))
    for record in (signed(row(0)), signed(row(0, days=30), revision=3), signed(row(0, days=1), revision=2), signed(row(0, days=1), revision=3)):
        stand.publish([record])
        await feed.poll()
    assert await stand.ends() == {PHONES[0]: 30}
    stand.publish([signed(row(0, days=30), revision=9)])
    await feed.poll()
    stand.publish([signed(row(0, days=1), revision=5)])
    await feed.poll()
    assert await stand.ends() == {PHONES[0]: 30}


memories = st.builds(FeedMemory, st.none() | st.integers(0, 5), st.integers(0, 100), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "a", "b"]))


answers = st.builds(AnswerFacts, st.none() | st.integers(0, 5), st.integers(0, 100), st.sampled_from(["a", "b"]))
