"""Feeds: one contract for every source, the ways in which one can fail, signatures, revisions. Real HTTP, real files, the real ledger."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.billing_server import TOKEN, Billing
from tests.fakes.clock import START, FakeClock
from wiped.decide.feed_answer import AnswerFacts, FeedFault, FeedMemory, digest_of, weigh
from wiped.feed.file import FileSource
from wiped.feed.http import HttpSource
from wiped.feed.poll import PolledFeed
from wiped.feed.signed import Verifier, message
from wiped.keys.salts import SaltFile
from wiped.model.instants import instant_text
from wiped.model.policy import Safety
from wiped.model.subscription import FeedStatus
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts

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


@pytest.fixture(params=["http", "pages", "file"])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """Each source over a ledger of its own."""
    clock = FakeClock()
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
        source = await stack.enter_async_context(HttpSource(billing.url, timeout=0.5, agent="test", token_file=str(token)))

        def open_http(**options: Any) -> PolledFeed:
            return PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES, failed=failed.append, **options)

        yield Stand("http", clock, ledger, billing.publish, open_http, billing=billing, failed=failed)


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
        source = await stack.enter_async_context(HttpSource(billing.url, timeout=0.3, agent="test", token_file=str(token)))
        feed = PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES, failed=failed.append)
        billing.publish([row(number) for number in range(5)])
        complete_at = (await feed.poll()).complete_at
        clock.move(1000)
        billing.publish([row(number, days=-1) for number in range(5)])
        billing.trouble = trouble
        status = await feed.poll()
        assert (status.complete_at, status.complete_answers, status.fault, failed) == (complete_at, 0, reason, [reason])
        assert {item.expires_at for item in await ledger.subscriptions.current()} == {START + timedelta(days=10)}
        billing.trouble = ""
        status = await feed.poll()
        assert (status.complete_at, status.complete_answers, status.fault) == (clock.now(), 1, "")
        token.write_text("another")
        assert (await feed.poll()).fault == "status"
        token.chmod(0o644)
        assert (await feed.poll()).fault == "configuration"
    assert (await feed.poll()).fault in {"unreachable", "configuration"}


async def test_an_unchanged_set_is_confirmed_by_its_etag(tmp_path: Path) -> None:
    """304: the last whole answer still stands, and its age begins anew."""
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        token = tmp_path / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        salts = stack.enter_context(closing(SaltFile.open(str(tmp_path), refers_to_accounts)))
        ledger = await stack.enter_async_context(await SqlLedger.open(str(tmp_path), salts, clock))
        billing = await stack.enter_async_context(Billing(page=2))
        source = await stack.enter_async_context(HttpSource(billing.url, timeout=0.5, agent="test", token_file=str(token)))
        feed = PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, SAFETY, policies=POLICIES)
        billing.publish([row(number) for number in range(4)])
        await feed.poll()
        clock.move(500)
        assert (await feed.poll()).complete_at == clock.now()
        assert billing.asked == [("", ""), ("2", ""), ("", '"2"')]


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


# -- signatures
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


async def test_only_what_billing_signed_is_taken(stand: Stand) -> None:
    """Unsigned, by another key, changed after it was signed, out of its validity: refused one by one; the signed one is taken."""
    feed = stand.open(verifier=Verifier(PEM))
    stand.publish([
        signed(row(0)),
        row(1),
        signed(row(2), key=Ed25519PrivateKey.generate()),
        {**signed(row(3)), "expires": instant_text(START)},
        signed(row(4), hours=-0.5),
        {**signed(row(5)), "signature": "AAAA"},
    ])  # fmt: skip
    status = await feed.poll()
    assert await stand.ends() == {PHONES[0]: 10}
    assert (status.fault, stand.failed) == ("", ["record-refused"])


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


async def test_whoever_writes_an_unsigned_file_cannot_end_a_running_term_alone(stand: Stand) -> None:
    """Billing's API can, and so can billing's signature; a file in the file system is one person's word (R14)."""
    feed = stand.open()
    stand.publish([row(0)])
    await feed.poll()
    stand.publish([row(0, days=1)])
    await feed.poll()
    assert await stand.ends() == {PHONES[0]: 10 if stand.kind == "file" else 1}
    assert stand.failed == (["record-refused"] if stand.kind == "file" else [])
    strict = stand.open(verifier=Verifier(PEM))
    stand.publish([signed(row(0, days=0.5))])
    await strict.poll()
    assert await stand.ends() == {PHONES[0]: 0.5}


# -- the rule itself
memories = st.builds(FeedMemory, st.none() | st.integers(0, 5), st.integers(0, 100), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "a", "b"]))
answers = st.builds(AnswerFacts, st.none() | st.integers(0, 5), st.integers(0, 100), st.sampled_from(["a", "b"]))


@given(memories, answers, st.integers(0, 100))
def test_what_is_taken_is_not_older_and_not_suddenly_smaller(memory: FeedMemory, answer: AnswerFacts, bound: int) -> None:
    """Unless it was said twice; and never nothing while phones are bound."""
    fault, after = weigh(memory, answer, bound=bound, safety=SAFETY, now=START)
    if fault is None:
        assert memory.revision is None or (answer.revision is not None and answer.revision >= memory.revision)
        assert answer.records * 2 >= memory.records or memory.doubted == answer.digest
        assert answer.records or not bound
        assert after == FeedMemory(answer.revision, answer.records, answer.digest)
    elif fault not in (FeedFault.SHRUNK, FeedFault.EMPTY):
        assert after == memory


def test_a_set_has_one_name() -> None:
    """Whatever its order."""
    assert digest_of(["b", "a"]) == digest_of(["a", "b"]) != digest_of(["a"])
