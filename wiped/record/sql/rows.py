"""Rows of the ledger as model values, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.plan import Plan
from wiped.model.records import ArtefactRecord, ArtefactState, CertificateRecord, PhoneRecord, Secret, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Hold, Reason, State, Subscription, WipeRequest

_PLAN = TypeAdapter(Plan)
_RESULT = TypeAdapter(EraseResult)
_EVIDENCE = TypeAdapter(Evidence)
_REASONS = TypeAdapter(tuple[Reason, ...])

AnyRow = Row[Any]


def plan_value(plan: Plan) -> Any:
    """A plan as a JSON value."""
    return _PLAN.dump_python(plan, mode="json")


def result_value(result: EraseResult) -> Any:
    """An eraser's result as a JSON value."""
    return _RESULT.dump_python(result, mode="json")


def evidence_value(evidence: Evidence) -> Any:
    """An observer's evidence as a JSON value."""
    return _EVIDENCE.dump_python(evidence, mode="json")


def reasons_value(reasons: tuple[Reason, ...]) -> Any:
    """A decision's reasons as a JSON value."""
    return _REASONS.dump_python(reasons, mode="json")


def trigger_value(trigger: Trigger) -> dict[str, str]:
    """A trigger as a JSON value."""
    return asdict(trigger)


def phone_of(row: AnyRow) -> PhoneRecord:
    """A row of `phones`."""
    return PhoneRecord(
        uuid=row.uuid,
        name=row.name,
        generation=row.generation,
        state=State(row.state),
        since=row.since,
        present=row.present,
        flags=tuple(row.flags),
        protected=row.protected,
        suspended=row.suspended,
        fenced=row.fenced,
        occupied=row.occupied,
        stopped=row.stopped,
        refusals=tuple(row.refusals),
        reasons=_REASONS.validate_python(row.reasons),
        next_at=row.next_at,
        next_state=State(row.next_state) if row.next_state else None,
        due_at=row.due_at,
        notices_sent=tuple(row.notices_sent),
    )


def subscription_of(row: AnyRow) -> Subscription:
    """A row of `subscriptions`."""
    return Subscription(
        uuid=row.uuid,
        generation=row.generation,
        subscription_id=row.subscription_id,
        account=row.account,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        first_recorded_at=row.first_recorded_at,
        policy=row.policy,
        minor=row.minor,
        revision=row.revision,
        source=row.source,
        product=row.product,
        feed_revision=row.feed_revision,
    )


def request_of(row: AnyRow) -> WipeRequest:
    """A row of `requests`."""
    return WipeRequest(
        id=row.id,
        kind=row.kind,
        ground=row.ground,
        requested_at=row.requested_at,
        approved=row.approved,
        reference=row.reference,
        operator=row.operator,
        account=row.account,
        effective_at=row.effective_at,
        signed=row.signed,
        approver=row.approver,
        approved_at=row.approved_at,
        approved_until=row.approved_until,
        fingerprint=row.fingerprint,
    )


def hold_of(row: AnyRow) -> Hold:
    """A row of `holds`."""
    return Hold(
        id=row.id,
        uuid=row.uuid,
        account=row.account,
        ground=row.ground,
        until=row.until,
        disclose=row.disclose,
        added_at=row.added_at,
        operator=row.operator,
    )


def artefact_of(row: AnyRow) -> ArtefactRecord:
    """A row of `artefacts`."""
    return ArtefactRecord(
        wipe_id=row.wipe_id,
        artefact_id=row.artefact_id,
        kind=ArtefactKind(row.kind),
        location=row.location,
        rename_to=row.rename_to,
        seed=Secret(row.seed),
        state=ArtefactState(row.state),
        map_digest=row.map_digest,
        result=None if row.result is None else _RESULT.validate_python(row.result),
        evidence=None if row.evidence is None else _EVIDENCE.validate_python(row.evidence),
    )


def wipe_of(row: AnyRow, artefacts: tuple[ArtefactRecord, ...]) -> WipeRecord:
    """A row of `wipes` with its artefacts."""
    return WipeRecord(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        generation=row.generation,
        step=WipeStep(row.step),
        trigger=Trigger(**row.trigger),
        started_at=row.started_at,
        plan=None if row.plan is None else _PLAN.validate_python(row.plan),
        snapshot=row.snapshot,
        snapshot_digest=row.snapshot_digest,
        attempt=row.attempt,
        outcome=row.outcome,
        reasons=tuple(row.reasons),
        residuals=tuple(row.residuals),
        certificate_id=row.certificate_id,
        finished_at=row.finished_at,
        retry_at=row.retry_at,
        was_running=row.was_running,
        was_autostart=row.was_autostart,
        artefacts=artefacts,
    )


def certificate_of(row: AnyRow) -> CertificateRecord:
    """A row of `certificates`."""
    return CertificateRecord(id=row.id, wipe_id=row.wipe_id, uuid=row.uuid, kind=row.kind, issued_at=row.issued_at, envelope=row.envelope)
