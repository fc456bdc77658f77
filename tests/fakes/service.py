"""A service for the faces: answers from values that a test sets, and remembers what it was asked. Implements `wiped.ports.service.ServicePort`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.promises import APPROVAL_ID, FakePromises
from wiped.attest.audit_chain import GENESIS, HEAD_TYPE, entry_hash
from wiped.attest.signing import Ed25519Signer, generate_key, seal
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Person
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory, CountedPhone
from wiped.model.inventory import ArtefactKind, ExtentFacts, FileIdentity, FilesystemFacts
from wiped.model.outcome import EraseResult, Evidence, Outcome
from wiped.model.plan import Method, Plan, Refusal, RefusalCode, Retained, Step
from wiped.model.records import ArtefactRecord, ArtefactState, AuditEntry, CertificateRecord, PhoneRecord, Secret, Trigger, WipeRecord, WipeStep
from wiped.model.sightings import ClassifiedImage, OrphanImage
from wiped.model.status import Explanation, HostStatus, WipeAsked, WipeNews, WipeProgress
from wiped.model.subscription import Action, Decision, Flag, Reason, State, Subscription, SubscriptionRecord

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
UUID_ONE = "11111111-1111-4111-8111-111111111111"
UUID_TWO = "22222222-2222-4222-8222-222222222222"
UUID_TWIN = "33333333-3333-4333-8333-333333333333"
WIPE_ID = "019cafe0-0000-7000-8000-000000000001"
CERTIFICATE_ID = "019cafe0-0000-7000-8000-00000000c001"
#: A name that would clear the screen, colour it, and turn the text around.
HOSTILE_NAME = "evil\x1b[2J\x1b[31m\u202ename\n[bold]"


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


@dataclass(slots=True)
class FakeService(FakePromises):
    """`fails`: method name -> error to raise. `asked`: (method, arguments) in order."""

    known: list[PhoneRecord] = field(default_factory=lambda: [make_phone(), make_phone(UUID_TWO, HOSTILE_NAME, State.QUARANTINED)])
    terms: list[Subscription] = field(default_factory=list)
    made: list[WipeRecord] = field(default_factory=lambda: [make_wipe()])
    news: list[WipeNews] = field(default_factory=lambda: [WipeNews("step", WIPE_ID, step="erasing"), WipeNews("end", WIPE_ID, step="released")])
    entries: tuple[AuditEntry, ...] = field(default_factory=lambda: make_audit(25))
    envelope: bytes = b'{"payload":""}'
    pem: bytes = b"-----BEGIN PUBLIC KEY-----\n"
    signer: Ed25519Signer = field(default_factory=lambda: Ed25519Signer(generate_key()))
    checks: dict[str, str] = field(default_factory=lambda: {"libvirt": "", "ledger": "", "feed": ""})
    begins: bool = True
    later: list[WipeRecord] = field(default_factory=list)
    """Wipes that begin when the phone is explained the second time from now."""
    explained: int = 0
    fails: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    shown: HostStatus | None = None
    tripped: BreakerRecord = field(default_factory=lambda: TRIPPED)
    clocks: ClockMemory = field(default_factory=lambda: STEPPED)

    def _ask(self, method: str, *arguments: Any) -> None:
        self.asked.append((method, arguments))
        if method in self.fails:
            raise self.fails[method]

    def _phone(self, uuid: str) -> PhoneRecord:
        for phone in self.known:
            if phone.uuid == uuid:
                return phone
        raise NotFoundError("no such phone", where="phone")

    async def status(self) -> HostStatus:
        self._ask("status")
        if self.shown is not None:
            return self.shown
        running = WipeProgress(WIPE_ID, UUID_TWO, HOSTILE_NAME, WipeStep.ERASING, "erase", "a1", 1 << 30, 1 << 31, 1 << 28, 4)
        return HostStatus(
            host="host-1", version="0.1.0", at=NOW, phones={str(state): (2 if state is State.ACTIVE else 0) for state in State}, flags={"overdue": 1},
            overdue=1, oldest_overdue_seconds=7_200, running=(running,), queued=1, quarantined=1, feed_age_seconds=12, libvirt_up=True,
            hook_fault="the hook is not loaded: restart libvirtd", last_sweep_at=NOW, faults={"hook": "the hook is not loaded: restart libvirtd"},
        )  # fmt: skip

    async def phones(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        self._ask("phones", tuple(states))
        return tuple(phone for phone in self.known if not states or phone.state in states)

    async def resolve(self, name: str) -> PhoneRecord:
        self._ask("resolve", name)
        found = [phone for phone in self.known if name in (phone.uuid, phone.name)]
        if len(found) > 1:
            raise NotFoundError(f"several phones have this name: {', '.join(phone.uuid for phone in found)}", where="phone")
        if not found:
            raise NotFoundError("no such phone", where="phone")
        return found[0]

    def _decision(self) -> Decision:
        reasons = (Reason("grace", "the term has ended; grace runs", NOW),)
        return Decision(State.GRACE, (Flag.FENCED,), Action.NONE, NOW + timedelta(hours=1), State.DUE, reasons, due_at=NOW + timedelta(hours=1))

    async def explain(self, uuid: str) -> Explanation:
        self._ask("explain", uuid)
        self.explained += 1
        if self.explained == 2:
            self.made = [*self.later, *self.made]
        term = self.terms[0] if self.terms else None
        return Explanation(self._phone(uuid), self._decision(), term, (), (), tuple(wipe for wipe in self.made if wipe.uuid == uuid))

    async def plan(self, uuid: str) -> Plan:
        self._ask("plan", uuid)
        self._phone(uuid)
        return make_plan(refused=uuid == UUID_TWO)

    async def set_subscription(self, record: SubscriptionRecord, person: Person) -> Subscription:
        self._ask("set_subscription", record, person.name)
        self.terms.append(make_term(record))
        return self.terms[-1]

    async def import_subscriptions(self, records: Sequence[SubscriptionRecord], operator: str) -> tuple[Subscription, ...]:
        self._ask("import_subscriptions", tuple(records), operator)
        self.terms = [make_term(record) for record in records]
        return tuple(self.terms)

    async def subscriptions(self) -> tuple[Subscription, ...]:
        self._ask("subscriptions")
        return tuple(self.terms)

    async def request_wipe(self, uuid: str, *, reason: str, ticket: str, confirm: str, person: Person) -> WipeAsked:
        self._ask("request_wipe", uuid, reason, ticket, confirm, person.name)
        self.explained = 0
        return WipeAsked("request-1", self.made[0] if self.begins else None, self._decision())

    async def wipes(self, uuid: str = "") -> tuple[WipeRecord, ...]:
        self._ask("wipes", uuid)
        return tuple(wipe for wipe in self.made if not uuid or wipe.uuid == uuid)

    async def quarantine(self) -> tuple[WipeRecord, ...]:
        self._ask("quarantine")
        return tuple(wipe for wipe in self.made if wipe.step is WipeStep.QUARANTINED)

    async def wipe(self, wipe_id: str) -> WipeRecord:
        self._ask("wipe", wipe_id)
        for wipe in self.made:
            if wipe.id == wipe_id:
                return wipe
        raise NotFoundError("no such wipe", where="wipe")

    async def events(self, wipe_id: str) -> AsyncIterator[WipeNews]:
        await self.wipe(wipe_id)
        for item in self.news:
            yield item

    async def certificate(self, certificate_id: str) -> CertificateRecord:
        self._ask("certificate", certificate_id)
        if certificate_id not in (CERTIFICATE_ID, WIPE_ID):
            raise NotFoundError("no such certificate", where="certificate")
        return CertificateRecord(CERTIFICATE_ID, WIPE_ID, UUID_ONE, "certificate", NOW, self.envelope)

    async def audit(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        self._ask("audit", after, limit)
        return tuple(entry for entry in self.entries if entry.seq > after)[:limit]

    async def audit_head(self, seq: int) -> bytes:
        self._ask("audit_head", seq)
        for entry in self.entries:
            if entry.seq == seq:
                return seal({"seq": seq, "hash": entry.hash, "at": entry.at, "exported_at": entry.at}, self.signer, payload_type=HEAD_TYPE)
        raise NotFoundError("no such audit entry", where="seq")

    async def retry(self, uuid: str, operator: str) -> WipeRecord:
        self._ask("retry", uuid, operator)
        return replace(self.made[0], step=WipeStep.QUEUED)

    async def breaker(self) -> BreakerRecord:
        self._ask("breaker")
        return self.tripped

    async def release_breaker(self, *, fingerprint: str, reason: str, person: Person) -> BreakerRecord:
        self._ask("release_breaker", fingerprint, reason, person.name)
        raise RefusedError("releasing the breaker takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)

    async def clock(self) -> ClockMemory:
        self._ask("clock")
        return self.clocks

    async def trust_clock(self, *, reason: str, operator: str) -> ClockMemory:
        self._ask("trust_clock", reason, operator)
        before, self.clocks = self.clocks, replace(self.clocks, suspect="", detail="", since=None)
        return before

    async def classify_image(self, path: str, meaning: str, *, reason: str, person: Person) -> ClassifiedImage:
        self._ask("classify_image", path, meaning, reason, person.name)
        if meaning == "private":
            raise RefusedError("calling an image private takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)
        return ClassifiedImage(path, FileIdentity(1, 2), meaning, NOW, person.name)

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        self._ask("classified_images")
        return (ClassifiedImage("/srv/b\udcffse.qcow2", FileIdentity(1, 2), "golden", NOW, "ann"),)

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        self._ask("orphans")
        lost = OrphanImage("/srv/lost\x1b[31m.raw", 4096, 8192, "2026-01-01T00:00:00.000000Z", UUID_ONE, "phone-one")
        return (lost,), False, (("/srv/locked", "Permission denied"),)

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
        self._ask("dispose", uuid, reason, reference, confirm, person)
        raise RefusedError("accepting what cannot be proven takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)

    async def readiness(self) -> dict[str, str]:
        return self.checks

    def public_key(self) -> bytes:
        return self.pem

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        if key not in self.answers:
            return None
        if self.answers[key][0] != digest:
            raise InputError("this key came with another request", where="Idempotency-Key")
        return self.answers[key][1]

    async def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        self.answers[key] = (digest, answer)


#: What a test of the quarantine puts into `made`.
QUARANTINED = make_wipe(WipeStep.QUARANTINED, outcome=str(Outcome.NOT_SANITIZED), reasons=("io-error",))
