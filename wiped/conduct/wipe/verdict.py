"""Steps 9 and 10: the verdict, its signed record, and what follows from it."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from wiped.conduct import certificate, survey
from wiped.conduct.results import Ending, GoneError, Proof
from wiped.conduct.wipe import fence, invariants
from wiped.conduct.world import World
from wiped.decide.lastlook import appeared
from wiped.decide.verdict import FIRST_RETRY, judge, retry_after
from wiped.errors import InvariantError, RefusedError
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import Outcome, ReasonCode, Verdict
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import ArtefactState, WipeRecord, WipeStep

_log = structlog.get_logger(__name__)

#: What a certificate may claim of a phone that was gone: there was no definition to ask whether it had more.
VANISHED_SCOPE = "current extents of the files that were remembered of a vanished phone"


def _verdict(wipe: WipeRecord, proof: Proof, freed: frozenset[int], extra: tuple[str, ...]) -> Verdict:
    found = judge(
        proof.plan,
        {item.artefact_id: item.result for item in wipe.artefacts if item.result is not None},
        {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None},
        {item.artefact_id for item in wipe.artefacts if item.state is ArtefactState.REMOVED},
        proof.vanished,
        trimmed=freed,
    )
    if proof.plan.vanished:
        found = replace(found, scope=VANISHED_SCOPE)
    if not extra:
        return found
    reasons = tuple(sorted({*found.reasons, *extra}))
    return Verdict(Outcome.NOT_SANITIZED, reasons, found.residuals, found.artefacts, found.scope)


async def give_verdict(world: World, wipe_id: str, proof: Proof, *, extra: tuple[str, ...] = ()) -> Ending:
    """Step 9. `extra`: reasons that belong to the whole attempt (a hold, locks that could not be had).

    Proven: certificate, JUDGED. Not: QUARANTINED, with an incident record only where the reasons are not those of the last one.
    """
    wipe = await world.ledger.wipes.get(wipe_id)
    if wipe is None:
        raise InvariantError("I8", "a verdict on a wipe that the ledger does not know")
    extra = (*extra, *_of_memory(proof.plan))
    freed = frozenset(device for device, method in (await world.ledger.free_space.methods(wipe_id)).items() if method)
    verdict = _verdict(wipe, proof, freed, extra)
    if verdict.outcome is not Outcome.NOT_SANITIZED and (codes := await _appeared(world, wipe, proof.plan)):
        verdict = _verdict(wipe, proof, freed, (*extra, *_of_last_look(codes)))
    invariants.worth_a_certificate(proof.plan, verdict, wipe.artefacts)
    now = world.clock.now()
    sanitized = verdict.outcome is not Outcome.NOT_SANITIZED
    told_before = bool(wipe.certificate_id) and wipe.outcome == Outcome.NOT_SANITIZED and wipe.reasons == verdict.reasons
    record = None if told_before and not sanitized else await certificate.issue(world, wipe, proof.plan, verdict, now=now, holds_checked_at=proof.spoken_at)
    delay = None if sanitized else _delay(verdict, wipe.attempt)
    await world.milestones.reached("verdict", wipe_id)
    await world.ledger.verdicts.judge(
        wipe_id,
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        residuals=verdict.residuals,
        certificate=record,
        now=now,
        retry_at=None if delay is None else now + timedelta(seconds=delay),
    )
    step = WipeStep.JUDGED if sanitized else WipeStep.QUARANTINED
    await _announce(world, wipe_id, now)
    world.announcer.step(wipe_id, step)
    await world.milestones.reached(step, wipe_id)
    return await release(world, wipe_id) if sanitized else Ending.QUARANTINED


def _delay(verdict: Verdict, attempt: int) -> int | None:
    if ReasonCode.LEGAL_HOLD in verdict.reasons:
        return FIRST_RETRY  # the retry asks for the last word again, before anything else is done
    return retry_after(verdict.reasons, attempt)


async def _announce(world: World, wipe_id: str, now: datetime) -> None:
    wipe = await world.ledger.wipes.get(wipe_id)
    if wipe is None:
        return
    spent: float | None = None
    term = await world.ledger.subscriptions.get(wipe.uuid)
    if wipe.outcome != Outcome.NOT_SANITIZED and term is not None and term.generation == wipe.generation:
        spent = max(0.0, (now - term.expires_at).total_seconds())
    world.announcer.finished(wipe, spent)


def _of_memory(plan: Plan) -> tuple[str, ...]:
    """Reasons that a vanished phone's plan has by itself: nothing was remembered of it, or something is somebody else's now."""
    if not plan.vanished:
        return ()
    return (*(() if plan.steps or plan.retained else (ReasonCode.VANISHED,)), *((ReasonCode.COPY_NOT_REACHED,) if plan.retained else ()))


def _of_last_look(codes: tuple[str, ...]) -> tuple[str, ...]:
    """A file that came is a copy that was not reached. Where it only could not be looked whether one came, that is said, and looked at again."""
    return (str(RefusalCode.UNREADABLE),) if set(codes) <= {RefusalCode.UNREADABLE} else (str(ReasonCode.COPY_NOT_REACHED),)


async def _appeared(world: World, wipe: WipeRecord, plan: Plan) -> tuple[str, ...]:
    """Codes, if the phone reaches a file that its wipe did not have: told with its codes, and then neither signed for nor undefined (nothing is orphaned).

    A domain that is gone reaches nothing. Raises HypervisorError, HelperError, StorageError: looked at again by the next run.
    """
    if plan.vanished:
        return ()  # whoever is defined under its UUID now is another: it is neither looked at nor undefined
    await world.milestones.reached("last-look", wipe.id)
    try:
        _, _, seen = await survey.look(world, wipe.uuid, wipe.generation)
    except GoneError:
        return ()
    except RefusedError as error:  # transient now: somebody made another domain of this UUID
        _log.error("the wiped phone's domain cannot be looked at: it is kept", wipe_id=wipe.id, uuid=wipe.uuid, codes=list(error.codes), detail=str(error))
        world.announcer.refused(error.codes)
        await world.ledger.phones.mark(wipe.uuid, refusals=error.codes, reason="last-look")
        return error.codes or (str(RefusalCode.UNSUPPORTED_ARTEFACT),)
    found = appeared(plan, seen)
    codes = tuple(dict.fromkeys(item.code for item in found))
    if found:
        detail = "; ".join(f"{item.code}: {item.location} {item.detail}" for item in found)
        _log.error("the phone reaches more than was wiped: its domain is kept", wipe_id=wipe.id, uuid=wipe.uuid, codes=list(codes), detail=detail)
        world.announcer.refused(codes)
        world.conditions.refused[wipe.uuid] = detail
    await world.ledger.phones.mark(wipe.uuid, refusals=codes, reason="last-look")
    return codes


def _erased_secrets(plan: Plan | None) -> tuple[str, ...]:
    """UUIDs of libvirt secrets whose value (`<uuid>.base64`) the plan erased: libvirt would only have unlinked it."""
    steps = plan.steps if plan is not None else ()
    return tuple(posixpath.basename(step.location).removesuffix(".base64") for step in steps if step.kind is ArtefactKind.LIBVIRT_SECRET)


async def _own_secrets(world: World, uuid: str) -> tuple[str, ...]:
    """UUIDs of the secrets that the phone's definition names and no other domain's: an ephemeral one would stay in libvirt's memory."""
    domain = await world.hypervisor.domain(uuid)
    if domain is None or not domain.secrets:
        return ()
    others = {secret for other in await world.hypervisor.domains() if other.uuid != uuid for secret in other.secrets}
    return tuple(secret for secret in domain.secrets if secret not in others and ":" not in secret)


async def release(world: World, wipe_id: str) -> Ending:
    """Step 10, after JUDGED only: look once more, undefine, lift the fence, end. Idempotent.

    REFUSED, with domain and fence as they are, when a file appeared meanwhile: it is looked at again until somebody took it away.
    """
    wipe = await world.ledger.wipes.get(wipe_id)
    if wipe is None or wipe.step not in {WipeStep.JUDGED, WipeStep.RELEASED} or wipe.outcome == Outcome.NOT_SANITIZED:
        raise InvariantError("I3", "only what was judged as sanitized is released")
    if wipe.plan is not None and await _appeared(world, wipe, wipe.plan):
        return Ending.REFUSED
    if wipe.plan is None or not wipe.plan.vanished:
        for secret in _erased_secrets(wipe.plan):
            await world.hypervisor.undefine_secret(secret)
            await world.milestones.reached("secret-undefined", wipe_id)
        for secret in await _own_secrets(world, wipe.uuid):
            await world.hypervisor.undefine_ephemeral(secret)
        await world.hypervisor.undefine(wipe.uuid)
        await world.milestones.reached("undefined", wipe_id)
    await fence.lift(world, wipe.uuid, reason="released")
    await world.milestones.reached("fence-lifted", wipe_id)
    await world.sheets.forget(wipe.uuid)
    await world.ledger.verdicts.finish(wipe_id, WipeStep.RELEASED, world.clock.now())
    world.announcer.step(wipe_id, WipeStep.RELEASED)
    await world.milestones.reached(WipeStep.RELEASED, wipe_id)
    return Ending.RELEASED
