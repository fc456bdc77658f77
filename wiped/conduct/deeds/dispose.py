"""The only way out of quarantine without proof: two different people accept it, with a reference (docs/design.md, "Quarantine"; I3).

Nothing is erased, removed or undefined by it: what could not be proven stays in place, and fenced for good. The outcome stays `not-sanitized`; a signed
incident record says who accepted what, and nobody is bound to this phone again. Subject: the wipe's id; `terms` holds the reference of the decision.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from wiped.conduct import certificate, checks
from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.decide import refusal
from wiped.decide.verdict import judge
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, Person
from wiped.model.canonical import digest
from wiped.model.instants import instant_text
from wiped.model.outcome import Outcome
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import ArtefactState, CertificateRecord, WipeRecord, WipeStep

_log = structlog.get_logger(__name__)

_WHAT = "quarantine dispose"


async def _waiting(world: World, uuid: str) -> tuple[WipeRecord, Plan] | None:
    """The phone's wipe that waits in quarantine, and what it was to destroy."""
    found = next((wipe for wipe in await world.ledger.wipes.find(uuid, unfinished=True) if wipe.step is WipeStep.QUARANTINED), None)
    return None if found is None or found.plan is None else (found, found.plan)


def _named(wipe: WipeRecord, plan: Plan, reference: str) -> str:
    """What two people accept: this wipe of this plan, for these reasons, by this decision."""
    return digest(["dispose", wipe.id, plan.fingerprint, sorted(str(reason) for reason in wipe.reasons), reference])


async def _kept(world: World, uuid: str, person: str) -> None:
    """Raises RefusedError(legal-hold): a held phone is kept."""
    facts = await world.ledger.decisions.facts(uuid, world.clock.now())
    if facts is not None and (facts.holds or facts.protected):
        why = "the phone is held: its data is kept, and the quarantine stays"
        raise await checks.refused(world, why, (RefusalCode.LEGAL_HOLD,), operator=person, uuid=uuid, what=_WHAT)


async def ask(world: World, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> RefusedError:
    """Record the first person's request; the error to raise.

    Raises NotFoundError, InputError (nothing waits; no reason or reference), RefusedError: wrong-confirmation, legal-hold.
    """
    checks.given_reason(reason)
    if not reference.strip():
        raise InputError("required", where="reference", hint="name the decision that accepts it: a case number")
    phone = await checks.known_phone(world, uuid)
    found = await _waiting(world, uuid)
    if found is None:
        raise InputError("no wipe of this phone waits in quarantine", where="phone", hint="wipectl quarantine list shows those that wait")
    wrong = refusal.confirmation(phone.name, confirm)
    if wrong is not None:
        raise await checks.refused(world, wrong.detail, (wrong.code,), operator=person.name, uuid=uuid, what=_WHAT)
    await _kept(world, uuid, person.name)
    asked = await DEED.ask(world, person, subject=found[0].id, uuids=(uuid,), fingerprint=_named(*found, reference), reason=reason,
                           terms={"reference": reference})  # fmt: skip
    await world.milestones.reached("disposal-asked", found[0].id)
    return DEED.needs_another(world, asked)


async def _standing(world: World, work: Work, approval: Approval) -> Standing:
    """What waits in quarantine now; "" where it is another wipe, or none. Raises RefusedError(legal-hold), InputError while an attempt is running."""
    uuid = approval.uuids[0]
    if work.busy_with(uuid):
        raise InputError("an attempt to wipe the phone is running right now", where="phone", hint="approve again when the attempt has ended")
    found = await _waiting(world, uuid)
    if found is None or found[0].id != approval.subject:
        return Standing("")
    await _kept(world, uuid, approval.asked_by)
    return Standing(_named(*found, (approval.terms or {}).get("reference", "")))


async def _carry_out(world: World, _work: Work, approval: Approval, approver: str, _seen: Standing) -> None:
    """Raises InputError where nothing waits any more."""
    found = await _waiting(world, approval.uuids[0])
    if found is None or found[0].id != approval.subject:
        raise InputError("no wipe of this phone waits in quarantine", where="phone")
    wipe = found[0]
    record = await _incident(world, *found, approval, approver)
    await world.sheets.forget(wipe.uuid)
    await world.ledger.quarantine.dispose(wipe.id, record, record.issued_at, operator=approval.asked_by, approver=approver)
    _log.warning("disposed of without proof", wipe_id=wipe.id, uuid=wipe.uuid, operator=approval.asked_by, approver=approver, reasons=list(wipe.reasons))
    world.announcer.step(wipe.id, WipeStep.DISPOSED)
    await world.milestones.reached(WipeStep.DISPOSED, wipe.id)


async def _incident(world: World, wipe: WipeRecord, plan: Plan, approval: Approval, approver: str) -> CertificateRecord:
    """Who accepted what, signed."""
    now = world.clock.now()
    results = {item.artefact_id: item.result for item in wipe.artefacts if item.result is not None}
    evidence = {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None}
    removed = {item.artefact_id for item in wipe.artefacts if item.state is ArtefactState.REMOVED}
    verdict = judge(plan, results, evidence, removed, {step.artefact_id for step in plan.steps if step.gone})
    verdict = replace(verdict, outcome=Outcome.NOT_SANITIZED, reasons=tuple(wipe.reasons) or verdict.reasons, residuals=tuple(wipe.residuals))
    disposal = {
        "operator": approval.asked_by,
        "approver": approver,
        "reference": (approval.terms or {}).get("reference", ""),
        "asked_at": instant_text(approval.asked_at),
        "accepted": sorted(str(reason) for reason in wipe.reasons),
    }
    people = replace(wipe, trigger=replace(wipe.trigger, operator=approval.asked_by, approver=approver))
    return await certificate.issue(world, people, plan, verdict, now=now, holds_checked_at=now, disposal=disposal)


def _shown(approval: Approval) -> str:
    return f"accept that wipe {approval.subject} of phone {', '.join(approval.uuids)} cannot be proven: its data stays in place, fenced for good"


async def _is_gone(world: World, approval: Approval) -> bool:
    wipe = await world.ledger.wipes.get(approval.subject)
    return wipe is None or wipe.step is not WipeStep.QUARANTINED


DEED = Deed("dispose", "accepting what cannot be proven", _standing, _carry_out, _shown, is_gone=_is_gone)
