"""The contract of the port Ledger, for the real one and for the fake.

A subclass gives a fixture `ledger`: an object of the port, empty, in a running event loop. Each test gets one of its own. What only a disk can show
(restarts, a full disk, the salt file) and the finer rules of subscriptions are tested over the real one alone, in `tests/unit/record`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.unit.attest.samples import EVIDENCE, RESULTS
from tests.unit.record.rig import BOB, DAY, OTHER, PHONE, Rig, decision, domain, no, record, yes
from wiped.errors import InvariantError, RefusedError
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.records import ArtefactState, CertificateRecord, Trigger, WipeStep
from wiped.model.sightings import ClassifiedImage, Memory, RememberedFile
from wiped.model.subscription import Action, Hold, State, WipeRequest
from wiped.ports.ledger import Ledger


class LedgerContract:
    """What every Ledger does, as far as the order of a wipe relies on it."""

    @pytest.fixture
    async def ledger(self) -> Ledger:
        """An empty object of the port."""
        raise NotImplementedError

    async def bind(self, ledger: Ledger, **changes: object) -> None:
        """One term for the phone."""
        await ledger.subscriptions.record([record(**changes)], START, source="local", operator="op")  # type: ignore[arg-type]

    async def begun(self, ledger: Ledger) -> None:
        """A wipe just before its last word."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        wipe = await ledger.wipes.begin(PHONE, "w-1", Trigger("expiry"), START)
        plan = Rig.plan(PHONE, wipe.generation)
        await ledger.wipes.record_intent("w-1", plan, {"form": 1}, Rig.artefacts("w-1"), was_running=True, was_autostart=False, now=START)
        for artefact in ("a1", "a2"):
            await ledger.artefacts.save_ranges("w-1", artefact, [b"blob"], RESULTS[artefact].digest_before)
        await ledger.wipes.advance("w-1", WipeStep.REOBSERVED, START)

    async def step(self, ledger: Ledger) -> WipeStep:
        """Where the wipe is."""
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        return wipe.step

    async def state(self, ledger: Ledger) -> State:
        """What the phone is."""
        phone = await ledger.phones.get(PHONE)
        assert phone is not None
        return phone.state

    async def test_a_new_domain_is_unbound_and_waits(self, ledger: Ledger) -> None:
        """And is not present when libvirt does not tell it any more."""
        await ledger.phones.see([domain()], START)
        assert (await self.state(ledger), await ledger.decisions.due(START)) == (State.UNBOUND, (PHONE,))
        await ledger.phones.see([], START)
        phone = await ledger.phones.get(PHONE)
        assert phone is not None
        assert not phone.present

    async def test_a_renewal_keeps_the_generation(self, ledger: Ledger) -> None:
        """And moves when its end was first recorded only with the end."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        first = await ledger.subscriptions.get(PHONE)
        await ledger.subscriptions.record([record(number="s-2")], START + DAY, source="local", operator="op")
        second = await ledger.subscriptions.get(PHONE)
        await ledger.subscriptions.record([record(days=60)], START + 2 * DAY, source="local", operator="op")
        third = await ledger.subscriptions.get(PHONE)
        assert first is not None
        assert second is not None
        assert third is not None
        assert first.generation == second.generation == third.generation
        assert first.account == second.account == third.account
        assert [term.first_recorded_at for term in (first, second, third)] == [START, START, START + 2 * DAY]

    async def test_another_account_occupies(self, ledger: Ledger) -> None:
        """Refused, marked, waiting."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        with pytest.raises(RefusedError) as caught:
            await self.bind(ledger, account=BOB)
        assert caught.value.codes == ("generation-occupied",)
        phone = await ledger.phones.get(PHONE)
        assert phone is not None
        assert phone.occupied

    async def test_a_conclusion_is_kept_and_ends_the_waiting(self, ledger: Ledger) -> None:
        """Until its `next_at`, or a touch."""
        await ledger.phones.see([domain()], START)
        await ledger.decisions.facts(PHONE, START)
        await ledger.decisions.conclude(PHONE, decision(State.GRACE, next_at=START + DAY), START)
        assert (await ledger.decisions.due(START), await ledger.decisions.next_instant()) == ((), START + DAY)
        assert await ledger.decisions.due(START + DAY) == (PHONE,)
        await ledger.decisions.touch(PHONE)
        assert await ledger.decisions.due(START) == (PHONE,)

    async def test_marks_holds_and_requests_are_facts(self, ledger: Ledger) -> None:
        """Everything that the decision reads."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        await ledger.phones.mark(PHONE, fenced=True, refusals=["in-use"])
        await ledger.holds.add(Hold("h-1", PHONE, "", "litigation"), START, "officer")
        await ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", START), reference="", reason="", operator="op")
        facts = await ledger.decisions.facts(PHONE, START)
        assert facts is not None
        assert (facts.fenced, facts.refusals, len(facts.holds), len(facts.requests), facts.present) == (True, ("in-use",), 1, 1, True)
        assert facts.subscription == await ledger.subscriptions.get(PHONE)
        await ledger.holds.release("h-1", START, "officer")
        assert await ledger.holds.in_force() == ()
        assert await ledger.decisions.facts(OTHER, START) is None

    async def test_one_unfinished_wipe_a_phone(self, ledger: Ledger) -> None:
        """The first is returned."""
        await self.begun(ledger)
        assert (await ledger.wipes.begin(PHONE, "w-2", Trigger("manual"), START)).id == "w-1"
        assert [wipe.id for wipe in await ledger.wipes.find(PHONE, unfinished=True)] == ["w-1"]

    async def test_the_intent_comes_back(self, ledger: Ledger) -> None:
        """I1, I8."""
        await self.begun(ledger)
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        assert wipe.plan == Rig.plan(PHONE, wipe.generation)
        assert (wipe.was_running, wipe.was_autostart, len(wipe.snapshot_digest)) == (True, False, 64)
        assert [item.map_digest for item in wipe.artefacts] == [RESULTS["a1"].digest_before] * 2
        assert [item.seed for item in wipe.artefacts] == [item.seed for item in Rig.artefacts("w-1")]

    async def test_the_last_word(self, ledger: Ledger) -> None:
        """I7: no changes nothing, yes commits the wipe and the phone."""
        await self.begun(ledger)
        assert (await ledger.wipes.last_word("w-1", START, no)).action is Action.NONE
        assert await self.step(ledger) is WipeStep.REOBSERVED
        await ledger.wipes.last_word("w-1", START, yes)
        assert (await self.step(ledger), await self.state(ledger)) == (WipeStep.ERASING, State.ERASING)
        with pytest.raises(RefusedError) as caught:
            await self.bind(ledger, days=90)
        assert caught.value.codes == ("subscription-renewed",)

    async def test_the_way_to_the_end(self, ledger: Ledger) -> None:
        """Erased, proven, removed, judged, released."""
        await self.begun(ledger)
        await ledger.wipes.last_word("w-1", START, yes)
        for artefact in ("a1", "a2"):
            await ledger.artefacts.record_erased("w-1", RESULTS[artefact])
            await ledger.artefacts.record_evidence("w-1", EVIDENCE[artefact], proven=True)
            await ledger.artefacts.record_removed("w-1", artefact)
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        assert [(item.state, item.result, item.evidence) for item in wipe.artefacts] == [(ArtefactState.REMOVED, RESULTS[a], EVIDENCE[a]) for a in ("a1", "a2")]
        certificate = CertificateRecord("c-1", "w-1", PHONE, "certificate", START, b"envelope")
        await ledger.verdicts.judge("w-1", outcome="clear", reasons=(), residuals=(), certificate=certificate, now=START, retry_at=None)
        assert (await self.step(ledger), await self.state(ledger)) == (WipeStep.JUDGED, State.WIPED)
        assert await ledger.certificates.get("c-1") == await ledger.certificates.get("w-1") == certificate
        for _ in range(2):
            await ledger.verdicts.finish("w-1", WipeStep.RELEASED, START)
        assert (await self.step(ledger), await self.state(ledger)) == (WipeStep.RELEASED, State.RELEASED)
        assert await ledger.wipes.find(unfinished=True) == ()

    async def test_quarantine_and_the_next_attempt(self, ledger: Ledger) -> None:
        """Left in place; retried when asked; the next last word counts an attempt."""
        await self.begun(ledger)
        await ledger.wipes.last_word("w-1", START, yes)
        await ledger.artefacts.record_erased("w-1", RESULTS["a1"])
        await ledger.artefacts.record_evidence("w-1", replace(EVIDENCE["a1"], mismatches=2), proven=False)
        incident = CertificateRecord("i-1", "w-1", PHONE, "incident", START, b"incident")
        later = START + timedelta(minutes=5)
        await ledger.verdicts.judge(
            "w-1", outcome="not-sanitized", reasons=("readback-mismatch",), residuals=(), certificate=incident, now=START, retry_at=later
        )
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        assert (wipe.step, wipe.retry_at, wipe.attempt, wipe.reasons) == (WipeStep.QUARANTINED, later, 1, ("readback-mismatch",))
        assert {item.state for item in wipe.artefacts} == {ArtefactState.LEFT}
        assert await self.state(ledger) is State.QUARANTINED
        await ledger.quarantine.retry_now("w-1", START, "op")
        await ledger.wipes.last_word("w-1", START, yes)
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        assert (wipe.step, wipe.attempt) == (WipeStep.ERASING, 2)

    async def test_cancelled(self, ledger: Ledger) -> None:
        """The end before the last word."""
        await self.begun(ledger)
        await ledger.verdicts.finish("w-1", WipeStep.CANCELLED, START)
        assert await self.step(ledger) is WipeStep.CANCELLED
        assert (await ledger.wipes.begin(PHONE, "w-2", Trigger("expiry"), START)).id == "w-2"

    async def test_answers_and_notes(self, ledger: Ledger) -> None:
        """Remembered by key; told in order."""
        assert await ledger.answers.replay("k", "d") is None
        await ledger.answers.remember("k", "d", {"id": 1}, START)
        assert await ledger.answers.replay("k", "d") == {"id": 1}
        first = await ledger.audit.note("one", {}, START)
        second = await ledger.audit.note("two", {"n": 2}, START)
        assert second.seq == first.seq + 1
        assert [entry.kind for entry in await ledger.audit.entries(after=first.seq - 1)] == ["one", "two"]
        assert [entry.kind for entry in await ledger.audit.entries(after=first.seq, limit=1)] == ["two"]
        assert set(await ledger.phones.counts()) == {str(state) for state in State}

    async def test_what_a_phone_was_before_a_refusal_stays_true(self, ledger: Ledger) -> None:
        """Noted before a fence without a plan: once running, always to be started again; nothing is noted after the last word."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        await ledger.wipes.begin(PHONE, "w-1", Trigger("expiry"), START)
        for running in (True, False):
            await ledger.wipes.note_standing("w-1", was_running=running, was_autostart=False)
            wipe = await ledger.wipes.get("w-1")
            assert wipe is not None
            assert (wipe.was_running, wipe.was_autostart, wipe.plan, wipe.step) == (True, False, None, WipeStep.QUEUED)

    async def test_nothing_is_given_back_after_the_last_word(self, ledger: Ledger) -> None:
        """So nothing is noted for it."""
        await self.begun(ledger)
        await ledger.wipes.last_word("w-1", START, yes)
        with pytest.raises(InvariantError):
            await ledger.wipes.note_standing("w-1", was_running=True, was_autostart=False)

    # -- what must outlive its moment
    @staticmethod
    def image(meaning: str = "golden", inode: int = 7, hours: int = 0) -> ClassifiedImage:
        """An image as somebody settled it."""
        return ClassifiedImage("/srv/base.qcow2", FileIdentity(1, inode), meaning, START + timedelta(hours=hours), "op")

    async def test_an_image_is_classified_once_and_again(self, ledger: Ledger) -> None:
        """The same again changes nothing; another meaning, or another file at the path, replaces it and is audited; no path stands in the audit log. One
        person alone calls nothing private."""
        assert await ledger.images.classify(self.image(), reason="the base of all") == self.image()
        assert await ledger.images.classify(self.image(hours=1), reason="again") == self.image()
        assert await ledger.images.classified() == (self.image(),)
        for changed in (self.image("private", hours=2), self.image("private", inode=8, hours=3)):
            assert await ledger.images.classify(changed, reason="", approver="other") == changed
            assert await ledger.images.classified() == (changed,)
        for alone in ("", "op"):
            with pytest.raises(InvariantError):
                await ledger.images.classify(self.image("private", inode=9), reason="", approver=alone)
        told = [entry for entry in await ledger.audit.entries() if entry.kind == "classified"]
        assert [(entry.body["as"], entry.body["was"]) for entry in told] == [("golden", ""), ("private", "golden"), ("private", "private")]
        assert "/srv" not in repr(told)
        assert "base of all" not in repr(told)

    @staticmethod
    def memory(hours: int = 0, generation: int = 1) -> Memory:
        """A look at the phone."""
        return Memory(PHONE, generation, START + timedelta(hours=hours), "digest")

    async def test_the_newest_look_is_what_a_phone_had(self, ledger: Ledger) -> None:
        """A file that a later look did not find is not its own any more, but it is still known whose it was."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        a, b = (RememberedFile(ArtefactKind.DISK_IMAGE, f"/srv/{name}", FileIdentity(1, inode), local=True) for name, inode in (("a", 1), ("b", 2)))
        assert await ledger.sightings.files(PHONE) == ()
        await ledger.sightings.remember(self.memory(), (a, b))
        await ledger.sightings.remember(self.memory(1), (b,))
        assert await ledger.sightings.find(PHONE) == (self.memory(1),)
        assert await ledger.sightings.files(PHONE) == (replace(b, first_seen=START, last_seen=START + timedelta(hours=1)),)
        assert {file.identity for file in await ledger.sightings.files(PHONE, ever=True)} == {a.identity, b.identity}
        assert await ledger.sightings.owners() == {FileIdentity(1, 1): {PHONE}, FileIdentity(1, 2): {PHONE}}

    async def test_a_look_at_a_phone_that_is_gone_or_anothers_is_not_remembered(self, ledger: Ledger) -> None:
        """What was read of the host may be older than what the ledger knows."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        await ledger.sightings.remember(self.memory(generation=7), ())
        await ledger.phones.see([], START)
        await ledger.sightings.remember(self.memory(), ())
        assert await ledger.sightings.find() == ()

    async def test_nothing_is_remembered_beyond_a_release(self, ledger: Ledger) -> None:
        """The generation ended."""
        await self.begun(ledger)
        await ledger.sightings.remember(self.memory(), (RememberedFile(ArtefactKind.NVRAM, "/srv/n", FileIdentity(1, 1), local=True),))
        await ledger.wipes.last_word("w-1", START, yes)
        for artefact in ("a1", "a2"):
            await ledger.artefacts.record_erased("w-1", RESULTS[artefact])
            await ledger.artefacts.record_evidence("w-1", EVIDENCE[artefact], proven=True)
            await ledger.artefacts.record_removed("w-1", artefact)
        certificate = CertificateRecord("c-1", "w-1", PHONE, "certificate", START, b"envelope")
        await ledger.verdicts.judge("w-1", outcome="clear", reasons=(), residuals=(), certificate=certificate, now=START, retry_at=None)
        await ledger.verdicts.finish("w-1", WipeStep.RELEASED, START)
        assert (await ledger.sightings.find(), await ledger.sightings.owners()) == ((), {})

    async def test_who_left_by_migration_is_remembered(self, ledger: Ledger) -> None:
        """Audited once, whether anything was remembered of it or not; seen here again, it counts as here."""
        await ledger.phones.see([domain()], START)
        await self.bind(ledger)
        for _ in range(2):
            await ledger.sightings.note_migrated(PHONE, START)
        assert (await ledger.sightings.find(PHONE))[0].migrated
        assert [entry.kind for entry in await ledger.audit.entries()].count("migrated-away") == 1
        await ledger.sightings.remember(self.memory(1), ())
        assert not (await ledger.sightings.find(PHONE))[0].migrated

    async def quarantined(self, ledger: Ledger) -> None:
        """A wipe without proof."""
        await self.begun(ledger)
        await ledger.wipes.last_word("w-1", START, yes)
        await ledger.verdicts.judge("w-1", outcome="not-sanitized", reasons=("cow-filesystem",), residuals=(), certificate=None, now=START, retry_at=None)

    async def test_disposal_takes_two_different_people(self, ledger: Ledger) -> None:
        """Nobody disposes of a wipe alone; then the wipe has ended without proof, and nobody is bound to the phone again."""
        await self.quarantined(ledger)
        incident = CertificateRecord("i-1", "w-1", PHONE, "incident", START, b"{}")
        for operator, approver in (("ann", "ann"), ("ann", ""), ("", "ben")):
            with pytest.raises(InvariantError):
                await ledger.quarantine.dispose("w-1", incident, START, operator=operator, approver=approver)
        assert await self.state(ledger) is State.QUARANTINED
        with pytest.raises(InvariantError):
            await ledger.quarantine.dispose("w-1", replace(incident, kind="certificate"), START, operator="ann", approver="ben")
        for _ in range(2):
            await ledger.quarantine.dispose("w-1", incident, START, operator="ann", approver="ben")
        assert [(entry.body["operator"], entry.body["approver"]) for entry in await ledger.audit.entries() if entry.kind == "disposed"] == [("ann", "ben")]
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        assert (wipe.step, wipe.outcome, wipe.certificate_id) == (WipeStep.DISPOSED, "not-sanitized", "i-1")
        assert await self.state(ledger) is State.DISPOSED
        assert await ledger.wipes.find(unfinished=True) == ()
        with pytest.raises(RefusedError):
            await self.bind(ledger, account=BOB, number="s-9", days=400)
        await ledger.phones.see([], START)
        await ledger.phones.see([domain()], START)
        assert await self.state(ledger) is State.DISPOSED
