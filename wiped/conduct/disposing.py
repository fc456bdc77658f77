"""The only way out of quarantine without proof: two different people accept it, with a reference (DESIGN, Quarantined; I3).

Nothing is erased, removed or undefined by it: what could not be proven stays in place, and fenced for good. The outcome stays `not-sanitized`; a signed
incident record says who accepted what, and nobody is bound to this phone again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from wiped.attest.certificate import statement
from wiped.attest.signing import seal
from wiped.conduct.world import World
from wiped.decide import refusal
from wiped.decide.verdict import judge
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.instants import instant_text
from wiped.model.memory import Disposal
from wiped.model.outcome import Outcome
from wiped.model.plan import RefusalCode
from wiped.model.records import ArtefactState, CertificateRecord, WipeRecord, WipeStep

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `may_approve`: has the approver's role, and is somebody in particular (not uid 0)."""

    name: str
    uid: int
    may_approve: bool


async def dispose(world: World, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
    """The first person's words are a wish; a second, different one with the approver's role, who gives the same reference, carries it out.

    Raises NotFoundError, InputError (nothing waits; no reason or reference), RefusedError: wrong-confirmation, legal-hold, needs-approval.
    """
    if not reason.strip() or not reference.strip():
        raise InputError("must not be empty", where="reason" if not reason.strip() else "reference")
    phone = await world.ledger.phone(uuid)
    if phone is None:
        raise NotFoundError("no such phone", where="phone")
    waiting = next((wipe for wipe in await world.ledger.wipes(uuid, unfinished=True) if wipe.step is WipeStep.QUARANTINED), None)
    if waiting is None or waiting.plan is None:
        raise InputError("no wipe of this phone waits in quarantine", where="phone")
    wrong = refusal.confirmation(phone.name, confirm)
    if wrong is not None:
        raise await _refused(world, uuid, person, wrong.code, wrong.detail)
    facts = await world.ledger.facts(uuid, world.clock.now())
    if facts is not None and (facts.holds or facts.protected):
        raise await _refused(world, uuid, person, RefusalCode.LEGAL_HOLD, "the phone is held: it is kept, and nothing about it is settled")
    asked = await world.ledger.wish_disposal(Disposal(waiting.id, person.name, person.uid, reference, world.clock.now()), reason=reason)
    await world.milestones.reached("disposal-asked", waiting.id)
    if (asked.operator, asked.uid) == (person.name, person.uid) or asked.operator == person.name or asked.uid == person.uid:
        raise await _refused(world, uuid, person, RefusalCode.NEEDS_APPROVAL, "recorded: a second, different person with the approver's role repeats it")
    if not person.may_approve:
        raise await _refused(world, uuid, person, RefusalCode.NEEDS_APPROVAL, "the second person needs the approver's role, and cannot be root")
    if asked.reference != reference:
        raise await _refused(world, uuid, person, RefusalCode.NEEDS_APPROVAL, "the first person gave another reference")
    return await _carry_out(world, waiting, asked, person)


async def _refused(world: World, uuid: str, person: Person, code: RefusalCode, why: str) -> RefusedError:
    world.announcer.refused((code,))
    body = {"uuid": uuid, "operator": person.name, "what": "quarantine dispose", "codes": [str(code)]}
    await world.ledger.note("refused", body, world.clock.now())
    return RefusedError(why, codes=(code,))


async def _carry_out(world: World, wipe: WipeRecord, asked: Disposal, person: Person) -> WipeRecord:
    record = await _incident(world, wipe, asked, person)
    await world.sheets.forget(wipe.uuid)
    await world.ledger.dispose(wipe.id, record, record.issued_at, operator=asked.operator, approver=person.name)
    _log.warning("disposed of without proof", wipe_id=wipe.id, uuid=wipe.uuid, operator=asked.operator, approver=person.name, reasons=list(wipe.reasons))
    world.announcer.step(wipe.id, WipeStep.DISPOSED)
    await world.milestones.reached(WipeStep.DISPOSED, wipe.id)
    found = await world.ledger.wipe(wipe.id)
    return found if found is not None else wipe


async def _incident(world: World, wipe: WipeRecord, asked: Disposal, person: Person) -> CertificateRecord:
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
        wipe=replace(wipe, trigger=replace(wipe.trigger, operator=asked.operator, approver=person.name)),
        plan=plan,
        verdict=verdict,
        results=results,
        evidence=evidence,
        issued_at=now,
        certificate_id=identifier,
        issuer={"host": world.issuer.host, "residency": world.issuer.residency, "version": world.issuer.version, "key_id": world.signer.key_id},
        subscription=await world.ledger.subscription(wipe.uuid),
        holds_checked_at=now,
    )
    body["predicate"]["disposal"] = {
        "operator": asked.operator,
        "approver": person.name,
        "reference": asked.reference,
        "asked_at": instant_text(asked.at),
        "accepted": sorted(str(reason) for reason in wipe.reasons),
    }
    return CertificateRecord(identifier, wipe.id, wipe.uuid, "incident", now, seal(body, world.signer))
