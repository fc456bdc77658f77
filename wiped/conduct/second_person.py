"""Two people (R14): what was approved is one plan, and no other one is carried out; approvals that lapse; and what an approval sets off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog

from wiped.conduct.wipe import prepare
from wiped.conduct.world import World
from wiped.decide import approval as rules
from wiped.errors import HelperError, HypervisorError, InputError, RefusedError, StorageError
from wiped.model.approvals import Approval, ApprovalKind, ApprovalState, Person, RequestKind
from wiped.model.instants import instant_text
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import WipeRecord, WipeStep
from wiped.model.subscription import WipeRequest
from wiped.ports.ledger import Ledger

_log = structlog.get_logger(__name__)


def why(reason: str) -> str:
    """A reason that says something. Raises InputError."""
    if not reason.strip():
        raise InputError("say why, for whoever asks later", where="reason")
    return reason


def base_of(request_id: str) -> str:
    """The id that all requests of one ask share: an account's have `BASE:NUMBER`."""
    return request_id.partition(":")[0]


async def same_plan(world: World, wipe: WipeRecord, plan: Plan) -> None:
    """Before the fence of a wipe that a second person had to approve: the frozen plan must be the one that they saw.

    Raises RefusedError(drift), and takes the agreement back: it is asked for anew. A drain is approved before its plans can be known.
    """
    now = world.clock.now()
    facts = await world.ledger.decisions.facts(wipe.uuid, now)
    if facts is None or facts.subscription is None or now >= facts.subscription.expires_at:
        return
    request = next((item for item in facts.requests if item.id == wipe.trigger.reference), None)
    if request is None or request.signed or request.kind == RequestKind.DRAIN or request.fingerprint == plan.fingerprint:
        return
    await world.ledger.requests.approve(request.id, now, approver="", until=now, fingerprint="")
    _log.warning("the plan is not the one that was approved", uuid=wipe.uuid, wipe_id=wipe.id, request=request.id)
    raise RefusedError("the plan is not the one that was approved: it takes another look, and another approval", codes=(RefusalCode.DRIFT,))


async def fingerprint_of(world: World, uuids: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The combined fingerprint of fresh plans, and each phone's own. Raises RefusedError, HypervisorError, HelperError, StorageError."""
    each = {}
    for uuid in uuids:
        phone = await world.ledger.phones.get(uuid)
        if phone is not None and phone.present:
            each[uuid] = (await prepare.look(world, uuid, phone.generation))[2].fingerprint
    return rules.combined(each) if each else "", each


async def ask_for(world: World, ledger: Ledger, person: Person, *, kind: ApprovalKind, subject: str, uuids: tuple[str, ...], reason: str = "",
                  fingerprint: str | None = None, terms: Mapping[str, str] | None = None) -> Approval:  # fmt: skip
    """Record that something waits for another person. A plan that cannot be made now is told when somebody approves. What waits for the same subject stands,
    unless it names another thing than the `fingerprint` that is asked for now: then it is withdrawn."""
    now = world.clock.now()
    for other in await ledger.approvals.find():
        if (other.kind, other.subject) == (kind, subject) and fingerprint is not None and other.fingerprint != fingerprint:
            await ledger.approvals.settle(other.id, ApprovalState.WITHDRAWN, now, operator=person.name)
    if fingerprint is None:
        try:
            fingerprint = (await fingerprint_of(world, uuids))[0]
        except (RefusedError, HypervisorError, HelperError, StorageError) as error:
            _log.warning("no plan could be made of what is to be approved", uuids=list(uuids), code=error.code)
            fingerprint = ""
    asked = Approval(
        id=world.randomness.identifier(),
        kind=kind,
        subject=subject,
        uuids=uuids,
        fingerprint=fingerprint,
        asked_by=person.name,
        asked_uid=person.uid,
        asked_at=now,
        expires_at=rules.expires_at(now, world.safety),
        needed=rules.needed(person),
        terms=terms,
    )
    return await ledger.approvals.ask(asked, reason=reason)


def needs_another(world: World, asked: Approval, what: str) -> RefusedError:
    """The error that says so to whoever asked: `what` takes another person."""
    world.announcer.refused((RefusalCode.NEEDS_APPROVAL,))
    people = "a second, different person" if asked.needed == 1 else "two different people (root is nobody in particular)"
    codes = (RefusalCode.SUBSCRIPTION_ACTIVE, RefusalCode.NEEDS_APPROVAL) if asked.kind is ApprovalKind.WIPE else (RefusalCode.NEEDS_APPROVAL,)
    return RefusedError(f"{what} takes {people} with the approver's role: wipectl approvals approve {asked.id}", codes=codes, approval=asked.id)


async def look_again(world: World, uuid: str) -> None:
    """A phone was stopped for a request: what waits for another person shows the plan of the phone at rest, not the one of the phone while it ran.

    What somebody agreed to already is left as it is: they look again. A plan that cannot be made is told when somebody approves.
    """
    for item in await world.ledger.approvals.find():
        if item.kind is ApprovalKind.WIPE and uuid in item.uuids and not item.approvals:
            try:
                fresh, _ = await fingerprint_of(world, item.uuids)
            except (RefusedError, HypervisorError, HelperError, StorageError) as error:
                _log.warning("no plan could be made of what is to be approved", uuids=list(item.uuids), code=error.code)
                continue
            await world.ledger.approvals.settle(item.id, ApprovalState.PENDING, world.clock.now(), operator="daemon", fingerprint=fresh)


async def look_after(world: World, ledger: Ledger) -> None:
    """Once a sweep: approvals that nobody gave in time expire, those of closed requests are withdrawn, and what is unapproved on a running term is asked
    for anew. Raises LedgerError."""
    now = world.clock.now()
    pending = await ledger.approvals.find()
    for item in pending:
        if now >= item.expires_at:
            await ledger.approvals.settle(item.id, ApprovalState.EXPIRED, now, operator="daemon")
    waiting = {item.subject for item in pending if item.kind is ApprovalKind.WIPE and now < item.expires_at}
    open_ones = await ledger.requests.find()
    for item in pending:
        if item.kind is ApprovalKind.WIPE and item.subject not in {base_of(request.id) for _, request in open_ones}:
            await ledger.approvals.settle(item.id, ApprovalState.WITHDRAWN, now, operator="daemon")
    for item in pending:
        if now < item.expires_at and await _is_gone(world, item):
            await ledger.approvals.settle(item.id, ApprovalState.WITHDRAWN, now, operator="daemon")
    lacking: dict[str, list[tuple[str, WipeRequest]]] = {}
    for uuid, request in open_ones:
        base = base_of(request.id)
        if base in waiting or request.kind not in _ASKED_ANEW or rules.stands(request, now):
            continue
        term = await world.ledger.subscriptions.get(uuid)
        phone = await world.ledger.phones.get(uuid)
        if term is not None and now < term.expires_at and phone is not None and phone.present:
            lacking.setdefault(base, []).append((uuid, request))
    for base, found in lacking.items():
        asker = Person(found[0][1].operator)
        await ask_for(world, ledger, asker, kind=ApprovalKind.WIPE, subject=base, uuids=tuple(uuid for uuid, _ in found))


async def _is_gone(world: World, item: Approval) -> bool:
    """Whether what was asked for is done otherwise, or another thing by now."""
    if item.kind is ApprovalKind.BREAKER:
        breaker = await world.ledger.breaker.get()
        return not breaker.open or (str(breaker.id), breaker.fingerprint) != (item.subject, item.fingerprint)
    if item.kind is ApprovalKind.DISPOSE:
        wipe = await world.ledger.wipes.get(item.subject)
        return wipe is None or wipe.step is not WipeStep.QUARANTINED
    if item.kind is ApprovalKind.SHORTEN:
        term = await world.ledger.subscriptions.get(item.subject)
        return term is None or instant_text(term.expires_at) != (item.terms or {}).get("was") or world.clock.now() >= term.expires_at
    return False


#: Requests that are never forgotten: what expired unapproved is asked for again. An operator's own is asked for once.
_ASKED_ANEW = frozenset({RequestKind.DELETION, RequestKind.CANCELLATION, RequestKind.CONSENT_WITHDRAWN, RequestKind.GUARDIAN})


async def carry_out_wipe(world: World, ledger: Ledger, approval: Approval, approver: str, each: dict[str, str]) -> None:
    """What an approval of a wipe sets off: its requests are agreed to, each with its own phone's plan."""
    now = world.clock.now()
    until = (approval.decided_at or now) + timedelta(seconds=world.safety.approval_ttl)
    for uuid, request in await ledger.requests.find():
        if base_of(request.id) == approval.subject and uuid in approval.uuids:
            await world.ledger.requests.approve(request.id, now, approver=approver, until=until, fingerprint=each.get(uuid, ""))
