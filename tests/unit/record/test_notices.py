"""Notices: written with what they report, handed out in order."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from tests.unit.record.rig import ALICE, DAY, OTHER, PHONE, Rig, decision, domain, record, yes
from wiped.errors import RefusedError
from wiped.model.approvals import Approval, Drain
from wiped.model.instants import instant_text
from wiped.model.notices import Backlog, Notice, NoticeKind, NoticeState
from wiped.model.records import WipeStep
from wiped.model.subscription import Decision, Flag, Hold, State
from wiped.record import notices


async def put(rig: Rig, count: int = 1, subject: str = PHONE) -> None:
    """Notices about one subject."""

    def change(connection: Connection) -> None:
        for number in range(count):
            notices.put(connection, NoticeKind.FENCED, subject, 1, "", {"count": number}, rig.now)

    await rig.ledger._db.write(change)


async def told(rig: Rig, *, subject: str = PHONE) -> list[str]:
    """The kinds of all notices about a subject."""
    return [str(notice.kind) for notice in await rig.ledger.notices.find(subject=subject)]


ALL = tuple(NoticeKind)


async def newest(rig: Rig, kind: NoticeKind) -> Notice:
    """The newest of a kind."""
    return [notice for notice in await rig.ledger.notices.find() if notice.kind is kind][-1]


async def conclude(rig: Rig, state: State, *flags: Flag, notices: tuple[int, ...] = (), due_in: timedelta = 31 * DAY) -> None:
    """A decision about the phone."""
    made = decision(state)
    made = Decision(state, flags, made.action, None, None, (), due_at=rig.clock.now().replace(microsecond=0) + due_in, notices=notices)
    await rig.ledger.decisions.conclude(PHONE, made, rig.now)


async def test_a_notice_is_written_with_what_it_tells_or_not_at_all(rig: Rig) -> None:
    """One transaction: what is rolled back is told to nobody."""

    def change(connection: Connection) -> None:
        notices.put(connection, NoticeKind.FENCED, PHONE, 1, "", {}, rig.now)
        raise RefusedError("no", codes=("drift",))

    with pytest.raises(RefusedError):
        await rig.ledger._db.write(change)
    assert await rig.ledger.notices.find() == ()


async def test_without_a_receiver_a_notice_is_kept_and_with_one_it_waits(rig: Rig) -> None:
    """And what waits for a receiver that is gone is kept again."""
    await put(rig)
    assert [notice.state for notice in await rig.ledger.notices.find()] == [NoticeState.KEPT]
    await rig.ledger.notices.receive(["phone.fenced"])
    await put(rig)
    assert [notice.state for notice in await rig.ledger.notices.find()] == [NoticeState.KEPT, NoticeState.PENDING]
    assert await rig.ledger.notices.backlog() == Backlog(1, rig.now, 0)
    await rig.ledger.notices.receive(["phone.wiped"])
    assert [notice.state for notice in await rig.ledger.notices.find()] == [NoticeState.KEPT, NoticeState.KEPT]
    assert await rig.ledger.notices.due(rig.now + DAY, 10) == ()


async def test_only_the_first_of_each_subject_is_handed_out(rig: Rig) -> None:
    """The second waits for the first, whatever its own instant; other subjects do not."""
    await rig.ledger.notices.receive(ALL)
    await put(rig, 2)
    await put(rig, 2, OTHER)
    await put(rig, 1, "")
    first = await rig.ledger.notices.due(rig.now, 10)
    assert [(notice.subject, notice.data) for notice in first] == [(PHONE, {"count": 0}), (OTHER, {"count": 0}), ("", {"count": 0})]
    assert len({notice.id for notice in first}) == 3
    await rig.ledger.notices.note_delivery(first[0].id, rig.now, delivered=False, fault="http-503", retry_at=rig.now + timedelta(hours=1))
    assert [notice.subject for notice in await rig.ledger.notices.due(rig.now, 10)] == [OTHER, ""]
    await rig.ledger.notices.note_delivery(first[1].id, rig.now, delivered=True)
    again = await rig.ledger.notices.due(rig.now + timedelta(hours=1), 10)
    assert [(notice.subject, notice.data["count"], notice.attempts) for notice in again] == [(PHONE, 0, 1), (OTHER, 1, 0), ("", 0, 0)]
    assert (again[0].id, again[0].last_fault) == (first[0].id, "http-503")


async def test_a_dead_letter_is_audited_and_lets_the_next_pass_until_it_is_revived(rig: Rig) -> None:
    """It is counted for as long as it is dead; delivered twice is delivered once."""
    await rig.ledger.notices.receive(ALL)
    await put(rig, 2)
    (first,) = await rig.ledger.notices.due(rig.now, 10)
    await rig.ledger.notices.note_delivery(first.id, rig.now, delivered=False, fault="timeout")
    assert (await rig.ledger.notices.backlog()).dead == 1
    entry = (await rig.ledger.audit.entries())[-1]
    assert (entry.kind, entry.body["notice"], entry.body["uuid"], entry.body["fault"]) == ("notice-dead", "phone.fenced", PHONE, "timeout")
    (second,) = await rig.ledger.notices.due(rig.now, 10)
    await rig.ledger.notices.note_delivery(second.id, rig.now, delivered=True)
    await rig.ledger.notices.note_delivery(second.id, rig.now, delivered=False, fault="late")
    assert await rig.ledger.notices.due(rig.now + DAY, 10) == ()
    assert await rig.ledger.notices.revive(rig.now, "bob") == 1
    assert [(notice.id, notice.attempts) for notice in await rig.ledger.notices.due(rig.now, 10)] == [(first.id, 0)]
    assert await rig.ledger.notices.backlog() == Backlog(1, rig.now, 0)
    assert await rig.ledger.notices.revive(rig.now, "bob") == 0
    assert [entry.kind for entry in await rig.ledger.audit.entries()].count("notices-revived") == 1


async def test_a_clock_that_was_put_back_does_not_silence_a_phone(rig: Rig) -> None:
    """An attempt planned for a far tomorrow is made now."""
    await rig.ledger.notices.receive(ALL)
    await put(rig)
    (notice,) = await rig.ledger.notices.due(rig.now, 10)
    await rig.ledger.notices.note_delivery(notice.id, rig.now, delivered=False, fault="timeout", retry_at=rig.now + timedelta(hours=4))
    assert await rig.ledger.notices.due(rig.now, 10) == ()
    assert len(await rig.ledger.notices.due(rig.now - DAY, 10)) == 1


async def test_a_term_is_told_once_from_its_notice_to_its_schedule(rig: Rig) -> None:
    """Decided again and again, each instant is told once; a renewal makes them new."""
    await rig.bind(record(days=1))
    for _ in range(3):
        await conclude(rig, State.NOTICE, notices=(604_800, 86_400), due_in=DAY)
    assert await told(rig) == ["phone.expiring"]
    await conclude(rig, State.VANISHED)
    await conclude(rig, State.NOTICE, notices=(604_800, 86_400), due_in=DAY)
    assert await told(rig) == ["phone.expiring"]
    await rig.bind(record(days=2))
    await conclude(rig, State.NOTICE, notices=(604_800, 86_400), due_in=2 * DAY)
    assert await told(rig) == ["phone.expiring"] * 2
    rig.clock.move(2 * 86_400 + 1)
    for state in (State.GRACE, State.DUE, State.VANISHED, State.DUE):
        await conclude(rig, state, due_in=timedelta(hours=1))
    assert await told(rig) == ["phone.expiring", "phone.expiring", "phone.expired", "phone.wipe-scheduled"]
    assert (await newest(rig, NoticeKind.WIPE_SCHEDULED)).data["trigger"] == "expiry"


async def test_a_notice_names_the_pseudonym_and_never_the_account(rig: Rig) -> None:
    """With generation and the instant as text."""
    await rig.bind(record(days=1))
    await conclude(rig, State.NOTICE, notices=(86_400,), due_in=DAY)
    (notice,) = await rig.ledger.notices.find()
    term = await rig.ledger.subscriptions.get(PHONE)
    assert term is not None
    assert (notice.account, notice.generation, notice.data["expires_at"]) == (term.account, 1, instant_text(term.expires_at))
    assert ALICE.value not in json.dumps(notice.data)
    assert await rig.ledger.notices.find(account=term.account) == (notice,)


async def test_fenced_refused_and_held_are_told(rig: Rig) -> None:
    """Fenced from the mark; refused and held from the next decision; lifting the fence is told to nobody."""
    await rig.bind()
    await rig.ledger.phones.mark(PHONE, fenced=True, reason="wipe")
    await rig.ledger.phones.mark(PHONE, fenced=True, reason="wipe")
    await rig.ledger.phones.mark(PHONE, refusals=("in-use", "drift"), reason="wipe")
    await conclude(rig, State.DUE, Flag.REFUSED)
    await conclude(rig, State.DUE, Flag.REFUSED)
    await conclude(rig, State.DUE, Flag.HELD)
    await rig.ledger.phones.mark(PHONE, fenced=False, reason="released")
    assert await told(rig) == ["phone.fenced", "phone.wipe-scheduled", "phone.refused", "phone.held"]
    assert (await newest(rig, NoticeKind.FENCED)).data == {"cause": "wipe"}
    assert (await newest(rig, NoticeKind.REFUSED)).data == {"codes": ["drift", "in-use"]}


async def test_a_person_s_words_are_not_in_a_fenced_notice(rig: Rig) -> None:
    """A mark by a person has no cause of the daemon's."""
    await rig.bind()
    await rig.ledger.phones.mark(PHONE, fenced=True, suspended=True, reason="stolen by his brother", operator="bob")
    assert (await newest(rig, NoticeKind.FENCED)).data == {}


async def test_a_verdict_is_told_with_its_certificate(rig: Rig) -> None:
    """Not sanitized with its reasons, then wiped; codes and ids alone."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    await rig.quarantine(retry_at=rig.now + DAY)
    notice = await newest(rig, NoticeKind.NOT_SANITIZED)
    told = {key: notice.data[key] for key in ("wipe_id", "outcome", "reasons", "trigger", "ground", "attempt", "retry_at")}
    assert told == {
        "wipe_id": "w-1",
        "outcome": "not-sanitized",
        "reasons": ["io-error"],
        "trigger": "expiry",
        "ground": "service-ended",
        "attempt": 1,
        "retry_at": instant_text(rig.now + DAY),
    }


async def test_a_wiped_phone_is_told_with_its_certificate(rig: Rig) -> None:
    """The id by which the certificate is fetched."""
    await rig.proven()
    await rig.judge()
    notice = await newest(rig, NoticeKind.WIPED)
    certificate = await rig.ledger.certificates.get("w-1")
    assert certificate is not None
    assert (notice.data["certificate_id"], notice.data["outcome"], notice.data["residuals"]) == (certificate.id, "clear", ["sampled"])


async def test_a_renewal_after_the_last_word_is_told_once(rig: Rig) -> None:
    """A feed repeats itself every minute."""
    await rig.proven()
    await rig.judge()
    for _ in range(3):
        with pytest.raises(RefusedError):
            await rig.bind(record(days=60, number="s-9"), source="http")
    assert (await told(rig)).count("phone.renewed-too-late") == 1
    await rig.ledger.verdicts.finish("w-1", WipeStep.RELEASED, rig.now)


async def test_a_hold_that_ends_soon_is_told_once_for_each_end(rig: Rig) -> None:
    """The alarm before a hold lifts; one without an end, or a far one, has none."""
    await rig.ledger.phones.see([domain()], rig.now)
    for number, days in (("h-1", 5), ("h-2", 30)):
        await rig.ledger.holds.add(Hold(number, PHONE, "", "litigation", rig.now + days * DAY), rig.now, "op")
    await rig.ledger.holds.add(Hold("h-3", OTHER, "", "litigation"), rig.now, "op")
    assert await rig.ledger.notices.tell_ending_holds(rig.now, 604_800) == ("h-1",)
    assert await rig.ledger.notices.tell_ending_holds(rig.now + DAY, 604_800) == ()
    assert await rig.ledger.notices.tell_ending_holds(rig.now + 24 * DAY, 604_800) == ("h-2",)
    assert (await told(rig)) == ["hold.ending", "hold.ending"]
    assert (await newest(rig, NoticeKind.HOLD_ENDING)).data == {"hold_id": "h-2", "until": instant_text(rig.now + 30 * DAY)}


async def test_what_other_rooms_tell_is_cut_to_the_list(rig: Rig) -> None:
    """Approvals and drains name no member of staff and no words."""
    await rig.bind()
    approval = Approval("a-1", "wipe", "r-1", (PHONE,), "f" * 64, "bob", 1000, rig.now, rig.now + DAY)
    drain = Drain("d-1", rig.now + DAY, "gold plan of bob", rig.now, "bob")

    def change(connection: Connection) -> None:
        notices.approval_asked(connection, approval, rig.now)
        notices.drain_told(connection, drain, rig.now)

    await rig.ledger._db.write(change)
    assert "bob" not in repr([notice.data for notice in await rig.ledger.notices.find()])
    assert (await newest(rig, NoticeKind.APPROVAL_ASKED)).subject == PHONE
    assert (await newest(rig, NoticeKind.DRAIN_ANNOUNCED)).data == {"drain_id": "d-1", "at": instant_text(rig.now + DAY), "scope": "product"}
