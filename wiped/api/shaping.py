"""The model's values as the documents of docs/contract.md. Pure; seeds and rename targets stay in the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wiped.api.documents import (
    ArtefactOut,
    AskedOut,
    AuditOut,
    Change,
    NewsOut,
    PhoneName,
    PhoneOut,
    PlanOut,
    ProgressOut,
    ReasonOut,
    RefusalOut,
    RetainedOut,
    StatusOut,
    StepOut,
    SubscriptionOut,
    TriggerOut,
    WipedArtefactOut,
    WipeOut,
)
from wiped.decide.verdict import judge
from wiped.model.plan import Plan
from wiped.model.records import ArtefactRecord, ArtefactState, AuditEntry, PhoneRecord, WipeRecord
from wiped.model.status import HostStatus, WipeAsked, WipeNews, WipeProgress
from wiped.model.subscription import Decision, Flag, Reason, Subscription


def change_out(state: Any, at: datetime | None) -> Change | None:
    """What comes next, if anything does."""
    return None if at is None else Change(state=str(state or ""), at=at)


def reasons_out(reasons: tuple[Reason, ...]) -> list[ReasonOut]:
    """Every reason, in the decision's order."""
    return [ReasonOut(code=item.code, detail=item.detail, at=item.at) for item in reasons]


def flags_out(record: PhoneRecord) -> list[str]:
    """The flags of the last decision, and those that are facts of the record."""
    facts = {Flag.PROTECTED: record.protected, Flag.SUSPENDED: record.suspended, Flag.FENCED: record.fenced, Flag.REFUSED: bool(record.refusals)}
    flags = {str(flag) for flag in record.flags} | {str(flag) for flag, so in facts.items() if so}
    return [str(flag) for flag in Flag if flag in flags]


def phone_out(record: PhoneRecord) -> PhoneOut:
    """One phone."""
    return PhoneOut(
        uuid=record.uuid,
        name=record.name,
        generation=record.generation,
        state=str(record.state),
        flags=flags_out(record),
        since=record.since,
        present=record.present,
        due_at=record.due_at,
        next=change_out(record.next_state, record.next_at),
        refusals=list(record.refusals),
        reasons=reasons_out(record.reasons),
    )


def subscription_out(term: Subscription) -> SubscriptionOut:
    """One term."""
    return SubscriptionOut(
        phone=term.uuid,
        generation=term.generation,
        subscription=term.subscription_id,
        account_pseudonym=term.account,
        starts=term.starts_at,
        expires=term.expires_at,
        first_recorded_at=term.first_recorded_at,
        minor=term.minor,
        policy=term.policy,
        source=term.source,
        revision=term.revision,
        product=term.product,
    )


def plan_out(plan: Plan) -> PlanOut:
    """The plan, whole."""
    return PlanOut(
        phone=PhoneName(uuid=plan.uuid, name=plan.name, generation=plan.generation),
        fingerprint=plan.fingerprint,
        expected_outcome=plan.expected_outcome,
        expected_reasons=list(plan.expected_reasons),
        steps=[
            StepOut(
                artefact=ArtefactOut(
                    id=step.artefact_id,
                    kind=step.kind,
                    location=step.location,
                    format=step.format,
                    virtual_bytes=step.virtual_bytes,
                    allocated_bytes=step.allocated_bytes,
                    device=step.identity.device,
                    inode=step.identity.inode,
                ),
                method=step.method,
                reason=step.reason,
            )
            for step in plan.steps
        ],
        retained=[RetainedOut(location=item.location, kind=item.kind, reason=item.reason) for item in plan.retained],
        refusals=[RefusalOut(code=item.code, location=item.location, detail=item.detail) for item in plan.refusals],
        residuals=list(plan.residuals),
        passes=plan.passes,
        verify=plan.verify,
    )


def _artefacts(wipe: WipeRecord) -> list[WipedArtefactOut]:
    methods = {step.artefact_id: str(step.method) for step in wipe.plan.steps} if wipe.plan else {}
    judged = {}
    if wipe.plan is not None and wipe.outcome:
        # The same pure function that signed the certificate; it knows nothing that the record does not.
        verdict = judge(
            wipe.plan,
            {item.artefact_id: item.result for item in wipe.artefacts if item.result is not None},
            {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None},
            {item.artefact_id for item in wipe.artefacts if item.state is ArtefactState.REMOVED},
            (),
        )
        judged = {item.artefact_id: item for item in verdict.artefacts}

    def one(item: ArtefactRecord) -> WipedArtefactOut:
        outcome = judged.get(item.artefact_id)
        return WipedArtefactOut(
            id=item.artefact_id,
            kind=item.kind,
            location=item.location,
            method=methods.get(item.artefact_id, ""),
            state=str(item.state),
            outcome=str(outcome.outcome) if outcome else "",
            reasons=list(outcome.reasons) if outcome else [],
            bytes_overwritten=item.result.bytes_overwritten if item.result else 0,
            bytes_verified=item.evidence.bytes_verified if item.evidence else 0,
            mismatches=item.evidence.mismatches if item.evidence else 0,
            verified_via=item.evidence.via if item.evidence else "",
        )

    return [one(item) for item in wipe.artefacts]


def wipe_out(wipe: WipeRecord) -> WipeOut:
    """One wipe. Seeds and rename targets stay in the ledger."""
    trigger = wipe.trigger
    return WipeOut(
        id=wipe.id,
        phone=PhoneName(uuid=wipe.uuid, name=wipe.name, generation=wipe.generation),
        state=str(wipe.step),
        trigger=TriggerOut(kind=trigger.kind, ground=trigger.ground, reference=trigger.reference, operator=trigger.operator, approver=trigger.approver),
        outcome=wipe.outcome,
        reasons=list(wipe.reasons),
        residuals=list(wipe.residuals),
        certificate_id=wipe.certificate_id,
        attempt=wipe.attempt,
        retry_at=wipe.retry_at,
        started_at=wipe.started_at,
        finished_at=wipe.finished_at,
        artefacts=_artefacts(wipe),
    )


def asked_out(asked: WipeAsked) -> AskedOut:
    """The answer to a manual request."""
    decision: Decision = asked.decision
    return AskedOut(
        id=asked.wipe.id if asked.wipe else "",
        request_id=asked.request_id,
        state=str(asked.wipe.step if asked.wipe else decision.state),
        reasons=reasons_out(decision.reasons),
        next=change_out(decision.next_state, decision.next_at),
        wipe=None if asked.wipe is None else wipe_out(asked.wipe),
    )


def progress_out(item: WipeProgress) -> ProgressOut:
    """A running wipe."""
    return ProgressOut(
        wipe_id=item.wipe_id,
        phone=item.uuid,
        name=item.name,
        state=str(item.step),
        phase=item.phase,
        done=item.done,
        total=item.total,
        rate=item.rate,
        eta_seconds=item.eta_seconds,
    )


def status_out(status: HostStatus) -> StatusOut:
    """The host at a glance."""
    return StatusOut(
        host=status.host,
        version=status.version,
        at=status.at,
        phones=status.phones,
        flags=status.flags,
        overdue=status.overdue,
        oldest_overdue_seconds=status.oldest_overdue_seconds,
        running=[progress_out(item) for item in status.running],
        queued=status.queued,
        quarantined=status.quarantined,
        holds=status.holds,
        feed={"kind": status.feed_kind, "age_seconds": status.feed_age_seconds},
        libvirt_up=status.libvirt_up,
        hook_fault=status.hook_fault,
        breaker_open=status.breaker_open,
        clock_suspect=status.clock_suspect,
        last_sweep_at=status.last_sweep_at,
        faults=status.faults,
    )


def news_out(news: WipeNews) -> NewsOut:
    """One event."""
    return NewsOut(
        event=news.event,
        wipe_id=news.wipe_id,
        step=str(news.step),
        phase=news.phase,
        artefact_id=news.artefact_id,
        done=news.done,
        total=news.total,
        eta_seconds=news.eta_seconds,
    )


def audit_out(entry: AuditEntry) -> AuditOut:
    """One entry, as hashed."""
    return AuditOut(seq=entry.seq, at=entry.at, kind=entry.kind, body=entry.body, previous=entry.previous, hash=entry.hash)
