"""Values of the fake service: phones, plans, wipes, holds and what else its nouns answer with, and the identifiers that tests name."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from wiped.attest.audit_chain import GENESIS, entry_hash
from wiped.model.approvals import Approval, Drain
from wiped.model.breaker import BreakerRecord, CountedPhone
from wiped.model.clock import ClockMemory
from wiped.model.inventory import ArtefactKind, ExtentFacts, FileIdentity, FilesystemFacts
from wiped.model.outcome import EraseResult, Evidence, Outcome
from wiped.model.plan import Method, Plan, Refusal, RefusalCode, Retained, Step
from wiped.model.records import ArtefactRecord, ArtefactState, AuditEntry, PhoneRecord, Secret, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Flag, Hold, Reason, State, Subscription, SubscriptionRecord, WipeRequest

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
UUID_ONE = "11111111-1111-4111-8111-111111111111"
UUID_TWO = "22222222-2222-4222-8222-222222222222"
UUID_TWIN = "33333333-3333-4333-8333-333333333333"
WIPE_ID = "019cafe0-0000-7000-8000-000000000001"
CERTIFICATE_ID = "019cafe0-0000-7000-8000-00000000c001"
REQUEST_ID = "019cafe0-0000-7000-8000-00000000e001"
HOLD_ID = "019cafe0-0000-7000-8000-00000000a001"
APPROVAL_ID = "019cafe0-0000-7000-8000-00000000b001"
DRAIN_ID = "019cafe0-0000-7000-8000-00000000d001"
PSEUDONYM = "f0" * 16
#: A name that would clear the screen, colour it, and turn the text around.
HOSTILE_NAME = "evil\x1b[2J\x1b[31m\u202ename\n[bold]"

REQUEST = WipeRequest(REQUEST_ID, "deletion", "no-consent", NOW, operator="ann", account=PSEUDONYM)
HOLD = Hold(HOLD_ID, UUID_ONE, "", "litigation", NOW + timedelta(days=30), "District Court", "AZ-7", True, NOW, "ann")
APPROVAL = Approval(APPROVAL_ID, "wipe", REQUEST_ID, (UUID_ONE,), "cd" * 32, "ann", 1000, NOW, NOW + timedelta(days=3))
DRAIN = Drain(DRAIN_ID, NOW + timedelta(days=60), "basic", NOW, "ann")
WORDS = {"reference": "CASE-7", "reason": "wrote a letter"}


def make_plan(*, refused: bool = False) -> Plan:
    """A plan with one disk, its golden base kept."""
    step = Step(
        artefact_id="a1", kind=ArtefactKind.DISK_IMAGE, location="/srv/phones/one.qcow2", format="qcow2", virtual_bytes=1 << 34, allocated_bytes=1 << 31,
        identity=FileIdentity(2049, 77), method=Method.OVERWRITE, reason="the phone's own disk", filesystem=FilesystemFacts("ext4"),
        extents=ExtentFacts(8, 1 << 31, (), "ab" * 32), root="/srv/phones",
    )  # fmt: skip
    return Plan(
        uuid=UUID_ONE, name="phone-one", generation=1, steps=(step,),
        retained=(Retained("/srv/golden/base.qcow2", "disk-image", "golden: another domain reaches it"),),
        refusals=(Refusal(RefusalCode.HARD_LINK, "/srv/phones/one.qcow2", "the file has 2 links"),) if refused else (),
        residuals=("freed-blocks-untraced",), expected_outcome="clear", expected_reasons=(), fingerprint="cd" * 32,
    )  # fmt: skip


def make_wipe(step: WipeStep = WipeStep.RELEASED, *, outcome: str = "clear", reasons: tuple[str, ...] = ()) -> WipeRecord:
    """A wipe of `make_plan` at `step`."""
    over = step in {WipeStep.RELEASED, WipeStep.QUARANTINED, WipeStep.JUDGED}
    result = EraseResult("a1", 1 << 31, 1, "ab" * 32, "ab" * 32, 8)
    evidence = Evidence("a1", "block-odirect", 1 << 31, 0, "ab" * 32, started_at="2026-03-01T12:00:01Z", reasons=reasons)
    artefact = ArtefactRecord(
        WIPE_ID, "a1", ArtefactKind.DISK_IMAGE, "/srv/phones/one.qcow2", "/srv/phones/.wiped-x", Secret(b"s" * 32),
        state=(ArtefactState.LEFT if reasons else ArtefactState.REMOVED) if over else ArtefactState.PENDING,
        result=result if over else None, evidence=evidence if over else None,
    )  # fmt: skip
    return WipeRecord(
        id=WIPE_ID, uuid=UUID_ONE, name="phone-one", generation=1, step=step, trigger=Trigger("manual", "service-ended", "T-1", operator="root"),
        started_at=NOW, plan=make_plan(), outcome=outcome if over else "", reasons=reasons, residuals=("freed-blocks-untraced",) if over else (),
        certificate_id=CERTIFICATE_ID if over else "", finished_at=NOW + timedelta(seconds=9) if over else None,
        retry_at=NOW + timedelta(minutes=5) if reasons else None, artefacts=(artefact,),
    )  # fmt: skip


def make_phone(uuid: str = UUID_ONE, name: str = "phone-one", state: State = State.ACTIVE) -> PhoneRecord:
    """A phone as last concluded."""
    return PhoneRecord(
        uuid=uuid, name=name, generation=1, state=state, since=NOW, flags=(Flag.FENCED,) if state is State.QUARANTINED else (),
        reasons=(Reason("term-runs", "the subscription runs", NOW),), next_at=NOW + timedelta(days=3), next_state=State.GRACE,
    )  # fmt: skip


def make_term(record: SubscriptionRecord) -> Subscription:
    """The term of a record; the pseudonym is no function of the reference's text that a reader could undo here."""
    pseudonym = hashlib.sha256(b"a test's salt" + record.account.value.encode()).hexdigest()[:32]
    return Subscription(record.uuid, 1, record.subscription_id, pseudonym, record.starts_at, record.expires_at, NOW, policy=record.policy, minor=record.minor)


def make_audit(count: int) -> tuple[AuditEntry, ...]:
    """A whole chain."""
    previous, entries = GENESIS, []
    for seq in range(1, count + 1):
        at = f"2026-03-01T12:00:{seq % 60:02}.000000Z"
        body = {"uuid": UUID_ONE, "number": seq}
        digest = entry_hash(previous, seq, at, "vanished" if seq % 10 == 0 else "concluded", body)
        entries.append(AuditEntry(seq, at, "vanished" if seq % 10 == 0 else "concluded", body, previous, digest))
        previous = digest
    return tuple(entries)


TRIPPED = BreakerRecord(
    True, 1, NOW, 6, 5, 20, 3_600, (CountedPhone(UUID_ONE, "phone-one", 1, NOW, NOW), CountedPhone(UUID_TWO, HOSTILE_NAME, 1, NOW)), "ef" * 32
)
STEPPED = ClockMemory("boot", 0.0, NOW, 1.0, None, suspect="stepped", detail="it was stepped by 34560000 s", since=NOW)
#: What a test of the quarantine puts into `made`.
QUARANTINED = make_wipe(WipeStep.QUARANTINED, outcome=str(Outcome.NOT_SANITIZED), reasons=("io-error",))
