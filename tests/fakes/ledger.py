"""Port Ledger in memory: every call is one transaction, and what it recorded outlives a "power cut"."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.fakes.asked import AskedMemory
from tests.fakes.guarding import GuardingMemory
from tests.fakes.memory import RememberingFake
from tests.fakes.notices import NoticeMemory
from wiped.errors import InputError, InvariantError, LedgerError, RefusedError
from wiped.model.canonical import digest
from wiped.model.inventory import DomainFacts
from wiped.model.notices import NoticeKind
from wiped.model.outcome import EraseResult, Evidence, Outcome
from wiped.model.plan import Plan
from wiped.model.records import (
    COMMITTED_STEPS,
    FINAL_STEPS,
    ArtefactRecord,
    ArtefactState,
    AuditEntry,
    CertificateRecord,
    PhoneRecord,
    Trigger,
    WipeRecord,
    WipeStep,
)
from wiped.model.subscription import (
    Action,
    Decision,
    FeedStatus,
    Hold,
    LifecycleFacts,
    State,
    Subscription,
    SubscriptionRecord,
    WipeRequest,
)
from wiped.wire.messages import Trimmed

_PHONE_STATE = {WipeStep.ERASING: State.ERASING, WipeStep.VERIFYING: State.VERIFYING, WipeStep.REMOVING: State.VERIFYING}
_ENDED = {State.WIPED, State.RELEASED, State.RECYCLED, State.DISPOSED}


class MemoryLedger(AskedMemory, NoticeMemory, RememberingFake, GuardingMemory):
    """Port Ledger. `full`: every write raises LedgerError, as on a full disk."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self._phones: dict[str, PhoneRecord] = {}
        self._terms: dict[str, Subscription] = {}
        self._holds: dict[str, Hold] = {}
        self._wipes: dict[str, WipeRecord] = {}
        self._ranges: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._trims: dict[tuple[str, int], str] = {}
        self._certificates: list[CertificateRecord] = []
        self._audit: list[AuditEntry] = []
        self._touched: set[str] = set()
        self._answers: dict[str, tuple[str, dict[str, Any]]] = {}

    @property
    def fault(self) -> str:
        """Never: memory is always there."""
        return ""

    def _log(self, kind: str, body: dict[str, Any], now: datetime | None = None) -> AuditEntry:
        entry = AuditEntry(len(self._audit) + 1, now.isoformat() if now else "", kind, body, "", "")
        self._audit.append(entry)
        return entry

    def _write(self) -> None:
        if self.full:
            raise LedgerError("no space left on device")

    # -- phones and subscriptions
    async def see_domains(self, domains: Sequence[DomainFacts], now: datetime) -> None:
        self._write()
        seen = {facts.uuid: facts for facts in domains}
        for uuid, facts in seen.items():
            known = self._phones.get(uuid)
            if known is None:
                self._phones[uuid] = PhoneRecord(uuid, facts.name, 1, State.UNBOUND, now)
                self._touched.add(uuid)
            elif known.name != facts.name or not known.present:
                self._phones[uuid] = replace(known, name=facts.name, present=True)
                self._touched.add(uuid)
        for uuid, known in self._phones.items():
            if uuid not in seen and known.present:
                self._phones[uuid] = replace(known, present=False)
                self._touched.add(uuid)
                self._log("vanished", {"uuid": uuid}, now)

    async def phones(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        return tuple(sorted((p for p in self._phones.values() if not states or p.state in states), key=lambda p: p.name))

    async def phone(self, uuid: str) -> PhoneRecord | None:
        return self._phones.get(uuid)

    async def find_phones(self, name: str) -> tuple[PhoneRecord, ...]:
        return tuple(sorted((p for p in self._phones.values() if p.name == name), key=lambda p: not p.present))

    async def record_subscriptions(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str, operator: str) -> tuple[Subscription, ...]:
        self._write()
        recorded = []
        for record in records:
            phone = self._phones.setdefault(record.uuid, PhoneRecord(record.uuid, record.uuid, 1, State.UNBOUND, now, present=False))
            if any(w.uuid == record.uuid and w.step in COMMITTED_STEPS - FINAL_STEPS for w in self._wipes.values()):
                raise RefusedError("its wipe has passed the last word", codes=("subscription-renewed",))
            if phone.state is State.DISPOSED:
                raise RefusedError("it was disposed of", codes=("generation-occupied",))
            known = self._terms.get(record.uuid)
            generation = phone.generation + 1 if phone.state in _ENDED else phone.generation
            account = hashlib.sha256(f"{record.account.value}/{generation}".encode()).hexdigest()[:16]
            if known is not None and phone.state not in _ENDED and known.account != account:
                self._phones[record.uuid] = replace(phone, occupied=True)
                self._touched.add(record.uuid)
                raise RefusedError("another account", codes=("generation-occupied",))
            same_end = known is not None and known.generation == generation and known.expires_at == record.expires_at
            term = Subscription(
                record.uuid,
                generation,
                record.subscription_id,
                account,
                record.starts_at,
                record.expires_at,
                known.first_recorded_at if known is not None and same_end else now,
                record.policy,
                record.minor,
            )
            self._terms[record.uuid] = term
            if known is not None and known.generation == generation and known.subscription_id != record.subscription_id and now < record.expires_at:
                self._requests[record.uuid] = [request for request in self._requests.get(record.uuid, ()) if request.kind != "manual"]
            state = State.ACTIVE if generation != phone.generation else phone.state
            self._phones[record.uuid] = replace(phone, generation=generation, state=state)
            self._touched.add(record.uuid)
            self._log("subscription", {"uuid": record.uuid, "operator": operator}, now)
            recorded.append(term)
        return tuple(recorded)

    async def subscription(self, uuid: str) -> Subscription | None:
        return self._terms.get(uuid)

    async def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(self._terms.values())

    async def due_for_decision(self, now: datetime) -> tuple[str, ...]:
        timed = {p.uuid for p in self._phones.values() if p.next_at is not None and p.next_at <= now}
        return tuple(sorted(timed | self._touched))

    async def next_instant(self) -> datetime | None:
        return min((p.next_at for p in self._phones.values() if p.next_at is not None), default=None)

    async def facts(self, uuid: str, now: datetime) -> LifecycleFacts | None:
        phone = self._phones.get(uuid)
        if phone is None:
            return None
        term = self._terms.get(uuid)
        return LifecycleFacts(
            uuid,
            phone.generation,
            term if term is not None and term.generation == phone.generation else None,
            phone.state,
            FeedStatus(None),
            holds=tuple(h for h in self._holds.values() if h.uuid == uuid or (term and h.account == term.account)),
            requests=tuple(self._requests.get(uuid, ())),
            present=phone.present,
            protected=phone.protected,
            suspended=phone.suspended,
            fenced=phone.fenced,
            breaker_open=self._holds_back(uuid, phone.generation),
            occupied_by_other=phone.occupied,
            refusals=phone.refusals,
            migrated=uuid in self._memories and self._memories[uuid].migrated,
            remembered=uuid in self._memories and self._memories[uuid].digest != "",
        )

    async def conclude(self, uuid: str, decision: Decision, now: datetime) -> None:
        self._write()
        phone = self._phones[uuid]
        self._tell_decision(phone, decision, now)
        if (phone.state, phone.flags) != (decision.state, decision.flags):
            self._log("decided", {"uuid": uuid, "state": str(decision.state)}, now)
        self._phones[uuid] = replace(
            phone,
            state=decision.state,
            flags=tuple(decision.flags),
            reasons=decision.reasons,
            next_at=decision.next_at,
            next_state=decision.next_state,
            due_at=decision.due_at,
            notices_sent=decision.notices,
        )
        self._touched.discard(uuid)
        self._not_due_any_more(uuid, decision.state)

    async def touch(self, uuid: str) -> None:
        self._touched.add(uuid)

    async def mark(
        self,
        uuid: str,
        *,
        fenced: bool | None = None,
        suspended: bool | None = None,
        protected: bool | None = None,
        refusals: Sequence[str] | None = None,
        reason: str = "",
        operator: str = "daemon",
    ) -> None:
        self._write()
        phone = self._phones[uuid]
        self._phones[uuid] = replace(
            phone,
            fenced=phone.fenced if fenced is None else fenced,
            suspended=phone.suspended if suspended is None else suspended,
            protected=phone.protected if protected is None else protected,
            refusals=phone.refusals if refusals is None else tuple(str(code) for code in refusals),
        )
        if self._phones[uuid] != phone:
            self._touched.add(uuid)
            self._log("marked", {"uuid": uuid, "reason": reason})

    async def add_request(self, uuid: str, request: WipeRequest, *, reference: str, reason: str, operator: str) -> None:
        self._write()
        self._requests.setdefault(uuid, []).append(request)
        self._touched.add(uuid)
        self._log("requested", {"uuid": uuid, "operator": operator})

    async def close_request(self, request_id: str, now: datetime, *, code: str, operator: str) -> None:
        self._write()
        for uuid, found in self._requests.items():
            if any(request.id == request_id for request in found):
                self._requests[uuid] = [request for request in found if request.id != request_id]
                self._touched.add(uuid)

    async def approve_request(self, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
        self._write()
        for uuid, found in self._requests.items():
            for place, request in enumerate(found):
                if request.id == request_id:
                    given = {"approved_at": now, "approved_until": until} if approver else {"approved_at": None, "approved_until": None}
                    found[place] = replace(request, approved=bool(approver), approver=approver, fingerprint=fingerprint, **given)
                    self._touched.add(uuid)

    async def add_hold(self, hold: Hold, now: datetime, operator: str, *, reason: str = "") -> None:
        self._write()
        self._holds[hold.id] = hold
        self._touched.add(hold.uuid)

    async def release_hold(self, hold_id: str, now: datetime, operator: str) -> None:
        self._touched.add(self._holds.pop(hold_id).uuid)

    async def holds(self) -> tuple[Hold, ...]:
        return tuple(self._holds.values())

    # -- wipes
    async def begin_wipe(self, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
        self._write()
        for wipe in self._wipes.values():
            if wipe.uuid == uuid and wipe.step not in FINAL_STEPS:
                return wipe
        phone = self._phones[uuid]
        self._wipes[wipe_id] = WipeRecord(wipe_id, uuid, phone.name, phone.generation, WipeStep.QUEUED, trigger, now)
        self._log("wipe-begun", {"wipe_id": wipe_id}, now)
        return self._wipes[wipe_id]

    async def record_intent(
        self,
        wipe_id: str,
        plan: Plan,
        snapshot: dict[str, Any],
        artefacts: Sequence[ArtefactRecord],
        *,
        was_running: bool,
        was_autostart: bool,
        now: datetime,
    ) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        if wipe.step in COMMITTED_STEPS:
            raise InputError("an intent after the last word")
        self._wipes[wipe_id] = replace(
            wipe,
            step=WipeStep.INTENT,
            plan=plan,
            snapshot=snapshot,
            snapshot_digest=digest(snapshot),
            artefacts=tuple(artefacts),
            was_running=was_running,
            was_autostart=was_autostart,
        )
        self._log("intent", {"wipe_id": wipe_id}, now)

    async def note_standing(self, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        if wipe.step in COMMITTED_STEPS or wipe.step in FINAL_STEPS:
            raise InvariantError("I7", "nothing is given back after the last word")
        self._wipes[wipe_id] = replace(wipe, was_running=wipe.was_running or was_running, was_autostart=wipe.was_autostart or was_autostart)

    def _artefact(self, wipe_id: str, artefact_id: str, **changes: Any) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        artefacts = tuple(replace(item, **changes) if item.artefact_id == artefact_id else item for item in wipe.artefacts)
        self._wipes[wipe_id] = replace(wipe, artefacts=artefacts)

    async def save_ranges(self, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
        self._artefact(wipe_id, artefact_id, map_digest=map_digest)
        self._ranges[wipe_id, artefact_id] = tuple(blobs)

    async def advance(self, wipe_id: str, step: WipeStep, now: datetime, **detail: Any) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        if wipe.step in COMMITTED_STEPS and step not in COMMITTED_STEPS:
            raise InputError("back past the last word")
        self._wipes[wipe_id] = replace(wipe, step=step)
        if step in _PHONE_STATE:
            self._phones[wipe.uuid] = replace(self._phones[wipe.uuid], state=_PHONE_STATE[step])
        self._log(str(step), {"wipe_id": wipe_id}, now)

    async def last_word(self, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
        self._write()
        wipe = self._wipes[wipe_id]
        facts = await self.facts(wipe.uuid, now)
        if facts is None:
            raise InputError("no such phone")
        decision = decide(facts)
        if decision.action is Action.WIPE:
            attempt = wipe.attempt + 1 if wipe.step is WipeStep.QUARANTINED else wipe.attempt
            self._wipes[wipe_id] = replace(wipe, step=WipeStep.ERASING, attempt=attempt, retry_at=None)
            self._phones[wipe.uuid] = replace(self._phones[wipe.uuid], state=State.ERASING)
            self._log("erasing", {"wipe_id": wipe_id}, now)
        return decision

    async def record_erased(self, wipe_id: str, result: EraseResult) -> None:
        self._artefact(wipe_id, result.artefact_id, result=result, evidence=None, state=ArtefactState.ERASED)

    async def record_evidence(self, wipe_id: str, evidence: Evidence, *, proven: bool) -> None:
        self._artefact(wipe_id, evidence.artefact_id, evidence=evidence, state=ArtefactState.PROVEN if proven else ArtefactState.ERASED)

    async def record_removed(self, wipe_id: str, artefact_id: str) -> None:
        self._artefact(wipe_id, artefact_id, state=ArtefactState.REMOVED)

    async def record_trimmed(self, wipe_id: str, device: int, answer: Trimmed) -> None:
        self._write()
        if self._wipes[wipe_id].step not in {WipeStep.ERASING, WipeStep.VERIFYING, WipeStep.REMOVING}:
            raise InvariantError("I7", "free space for a wipe that is not running")
        self._trims[wipe_id, device] = answer.method
        self._log("trimmed", {"wipe_id": wipe_id, "device": device, "method": answer.method})

    async def trimmed(self, wipe_id: str) -> dict[int, str]:
        return {device: method for (known, device), method in self._trims.items() if known == wipe_id}

    async def judge(
        self,
        wipe_id: str,
        *,
        outcome: str,
        reasons: Sequence[str],
        residuals: Sequence[str],
        certificate: CertificateRecord | None,
        now: datetime,
        retry_at: datetime | None,
    ) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        proven = outcome != Outcome.NOT_SANITIZED
        keep = {ArtefactState.REMOVED, ArtefactState.PROVEN}
        artefacts = tuple(item if item.state in keep else replace(item, state=ArtefactState.LEFT) for item in wipe.artefacts)
        if certificate is not None:
            self._certificates.append(certificate)
        self._wipes[wipe_id] = replace(
            wipe,
            step=WipeStep.JUDGED if proven else WipeStep.QUARANTINED,
            outcome=outcome,
            reasons=tuple(reasons),
            residuals=tuple(residuals),
            certificate_id=certificate.id if certificate else wipe.certificate_id,
            retry_at=retry_at,
            artefacts=artefacts,
        )
        self._phones[wipe.uuid] = replace(self._phones[wipe.uuid], state=State.WIPED if proven else State.QUARANTINED, next_at=None)
        self._log("judged", {"wipe_id": wipe_id, "outcome": outcome, "reasons": list(reasons)}, now)
        told = {"wipe_id": wipe_id, "outcome": str(outcome), "certificate_id": certificate.id if certificate else "", "reasons": list(reasons)}
        self._tell(NoticeKind.WIPED if proven else NoticeKind.NOT_SANITIZED, self._phones[wipe.uuid], told, now)

    async def finish(self, wipe_id: str, step: WipeStep, now: datetime) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        if wipe.step in FINAL_STEPS:
            return
        self._wipes[wipe_id] = replace(wipe, step=step, finished_at=now)
        if step is WipeStep.RELEASED:
            self._phones[wipe.uuid] = replace(self._phones[wipe.uuid], state=State.RELEASED, next_at=None)
            self._forget(wipe.uuid)
        self._log(str(step), {"wipe_id": wipe_id}, now)

    async def retry_now(self, wipe_id: str, now: datetime, operator: str) -> None:
        self._write()
        self._wipes[wipe_id] = replace(self._wipes[wipe_id], retry_at=now)
        self._log("retry", {"wipe_id": wipe_id, "operator": operator}, now)

    async def wipe(self, wipe_id: str) -> WipeRecord | None:
        return self._wipes.get(wipe_id)

    async def wipes(self, uuid: str = "", *, unfinished: bool = False) -> tuple[WipeRecord, ...]:
        found = [w for w in self._wipes.values() if (not uuid or w.uuid == uuid) and not (unfinished and w.step in FINAL_STEPS)]
        return tuple(found if unfinished else reversed(found))

    # -- proofs
    async def certificate(self, certificate_id: str) -> CertificateRecord | None:
        return next((c for c in reversed(self._certificates) if certificate_id in {c.id, c.wipe_id}), None)

    @property
    def certificates(self) -> tuple[CertificateRecord, ...]:
        return tuple(self._certificates)

    async def audit(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        return tuple(self._audit[after : after + limit])

    async def note(self, kind: str, body: dict[str, Any], now: datetime) -> AuditEntry:
        self._write()
        return self._log(kind, body, now)

    async def counts(self) -> dict[str, int]:
        return {str(state): sum(p.state is state for p in self._phones.values()) for state in State}

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        known = self._answers.get(key)
        if known is not None and known[0] != digest:
            raise InputError("the key came with another body")
        return known[1] if known else None

    async def remember(self, key: str, digest: str, answer: dict[str, Any], now: datetime) -> None:
        self._answers[key] = (digest, answer)
