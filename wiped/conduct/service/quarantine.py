"""The only way out of quarantine without proof: two different people accept it, with a reference (docs/design.md, "Quarantine"; I3).

Nothing is erased, removed or undefined by it: what could not be proven stays in place, and fenced for good. The outcome stays `not-sanitized`; a signed
incident record says who accepted what, and nobody is bound to this phone again.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from wiped.attest.certificate import statement
from wiped.attest.signing import seal
from wiped.conduct import second_person
from wiped.conduct.world import World
from wiped.decide import refusal
from wiped.decide.verdict import judge
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalKind, Person
from wiped.model.canonical import digest
from wiped.model.instants import instant_text
from wiped.model.outcome import Outcome
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import ArtefactState, CertificateRecord, WipeRecord, WipeStep
from wiped.model.sightings import Disposal

_log = structlog.get_logger(__name__)


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
        raise await _refused(world, uuid, person, RefusalCode.LEGAL_HOLD, "the phone is held: it is kept, and nothing about it is settled")


async def ask(world: World, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> RefusedError:
    """Record the first person's wish; the error to raise: a second, different one with the approver's role carries it out (`wipectl approvals approve`).

    Raises NotFoundError, InputError (nothing waits; no reason or reference), RefusedError: wrong-confirmation, legal-hold.
    """
    second_person.why(reason)
    if not reference.strip():
        raise InputError("must not be empty", where="reference")
    phone = await world.ledger.phones.get(uuid)
    if phone is None:
        raise NotFoundError("no such phone", where="phone")
    found = await _waiting(world, uuid)
    if found is None:
        raise InputError("no wipe of this phone waits in quarantine", where="phone")
    wrong = refusal.confirmation(phone.name, confirm)
    if wrong is not None:
        raise await _refused(world, uuid, person.name, wrong.code, wrong.detail)
    await _kept(world, uuid, person.name)
    asked = await second_person.ask_for(
        world,
        world.ledger,
        person,
        kind=ApprovalKind.DISPOSE,
        subject=found[0].id,
        uuids=(uuid,),
        reason=reason,
        fingerprint=_named(*found, reference),
        terms={"reference": reference},
    )
    await world.milestones.reached("disposal-asked", found[0].id)
    return second_person.needs_another(world, asked, "accepting what cannot be proven")


async def stands(world: World, waiting: Approval) -> str:
    """The fingerprint of what waits in quarantine now; "" where it is another wipe, or none. Raises RefusedError(legal-hold)."""
    uuid = waiting.uuids[0]
    found = await _waiting(world, uuid)
    if found is None or found[0].id != waiting.subject:
        return ""
    await _kept(world, uuid, waiting.asked_by)
    return _named(*found, (waiting.terms or {}).get("reference", ""))


async def _refused(world: World, uuid: str, person: str, code: RefusalCode, why: str) -> RefusedError:
    world.announcer.refused((code,))
    body = {"uuid": uuid, "operator": person, "what": "quarantine dispose", "codes": [str(code)]}
    await world.ledger.audit.note("refused", body, world.clock.now())
    return RefusedError(why, codes=(code,))


async def carry_out(world: World, approval: Approval, *, approver: str) -> None:
    """What two people accepted. Raises InputError where nothing waits any more."""
    found = await _waiting(world, approval.uuids[0])
    if found is None or found[0].id != approval.subject:
        raise InputError("no wipe of this phone waits in quarantine", where="phone")
    wipe, now = found[0], world.clock.now()
    asked = Disposal(wipe.id, approval.asked_by, approval.asked_uid, (approval.terms or {}).get("reference", ""), now)
    record = await _incident(world, wipe, asked, approval, approver)
    await world.sheets.forget(wipe.uuid)
    await world.ledger.quarantine.dispose(wipe.id, record, record.issued_at, operator=asked.operator, approver=approver)
    _log.warning("disposed of without proof", wipe_id=wipe.id, uuid=wipe.uuid, operator=asked.operator, approver=approver, reasons=list(wipe.reasons))
    world.announcer.step(wipe.id, WipeStep.DISPOSED)
    await world.milestones.reached(WipeStep.DISPOSED, wipe.id)


async def _incident(world: World, wipe: WipeRecord, asked: Disposal, approval: Approval, approver: str) -> CertificateRecord:
    """Who accepted what, signed."""
    plan = wipe.plan
    if plan is None:
        raise InputError("no plan was ever recorded", where="phone")
    now, identifier = world.clock.now(), world.randomness.identifier()
    results = {item.artefact_id: item.result for item in wipe.artefacts if item.result is not None}
    evidence = {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None}
    removed = {item.artefact_id for item in wipe.artefacts if item.state is ArtefactState.REMOVED}
    gone = {step.artefact_id for step in plan.steps if step.gone}
    verdict = judge(plan, results, evidence, removed, gone)
    verdict = replace(verdict, outcome=Outcome.NOT_SANITIZED, reasons=tuple(wipe.reasons) or verdict.reasons, residuals=tuple(wipe.residuals))
    body = statement(
        kind="incident",
        wipe=replace(wipe, trigger=replace(wipe.trigger, operator=asked.operator, approver=approver)),
        plan=plan,
        verdict=verdict,
        results=results,
        evidence=evidence,
        issued_at=now,
        certificate_id=identifier,
        issuer={"host": world.issuer.host, "residency": world.issuer.residency, "version": world.issuer.version, "key_id": world.signer.key_id},
        subscription=await world.ledger.subscriptions.get(wipe.uuid),
        holds_checked_at=now,
    )
    body["predicate"]["disposal"] = {
        "operator": asked.operator,
        "approver": approver,
        "reference": asked.reference,
        "asked_at": instant_text(approval.asked_at),
        "accepted": sorted(str(reason) for reason in wipe.reasons),
    }
    return CertificateRecord(identifier, wipe.id, wipe.uuid, "incident", now, seal(body, world.signer))
