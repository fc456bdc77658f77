"""A request on phones whose terms still run: agreeing to it lets them be wiped by the plans that were shown. Subject: the request's id."""

from __future__ import annotations

from datetime import timedelta

import structlog

from wiped.conduct import survey
from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.decide import approval as rules
from wiped.errors import HelperError, HypervisorError, RefusedError, StorageError
from wiped.model.approvals import Approval, Person, RequestKind
from wiped.model.plan import RefusalCode
from wiped.model.subscription import WipeRequest

_log = structlog.get_logger(__name__)

#: Requests that are never forgotten: what expired unapproved is asked for again. An operator's own is asked for once.
_ASKED_ANEW = frozenset({RequestKind.DELETION, RequestKind.CANCELLATION, RequestKind.CONSENT_WITHDRAWN, RequestKind.GUARDIAN})


def _base_of(request_id: str) -> str:
    """The id that all requests of one ask share: an account's have `BASE:NUMBER`."""
    return request_id.partition(":")[0]


async def _fingerprints(world: World, uuids: tuple[str, ...]) -> Standing:
    """The combined fingerprint of fresh plans, and each phone's own. Raises RefusedError, HypervisorError, HelperError, StorageError."""
    each = {}
    for uuid in uuids:
        phone = await world.ledger.phones.get(uuid)
        if phone is not None and phone.present:
            each[uuid] = (await survey.look(world, uuid, phone.generation))[2].fingerprint
    return Standing(rules.combined(each) if each else "", each)


async def ask(world: World, person: Person, *, request_id: str, uuids: tuple[str, ...], reason: str = "") -> Approval:
    """Record that a request on these phones waits for another person. A plan that cannot be made now is reported when somebody approves."""
    try:
        fingerprint = (await _fingerprints(world, uuids)).fingerprint
    except (RefusedError, HypervisorError, HelperError, StorageError) as error:
        _log.warning("no plan could be made of what is to be approved", uuids=list(uuids), code=error.code)
        fingerprint = ""
    return await DEED.ask(world, person, subject=request_id, uuids=uuids, fingerprint=fingerprint, reason=reason)


async def _standing(world: World, _work: Work, approval: Approval) -> Standing:
    return await _fingerprints(world, approval.uuids)


async def _carry_out(world: World, work: Work, approval: Approval, approver: str, standing: Standing) -> None:
    """Its requests are agreed to, each with its own phone's plan; then the phones are decided anew."""
    now = world.clock.now()
    until = (approval.decided_at or now) + timedelta(seconds=world.safety.approval_ttl)
    for uuid, request in await world.ledger.requests.find():
        if _base_of(request.id) == approval.subject and uuid in approval.uuids:
            await world.ledger.requests.approve(request.id, now, approver=approver, until=until, fingerprint=standing.parts.get(uuid, ""))
    for uuid in approval.uuids:
        await work.decide_now(uuid)


def _shown(approval: Approval) -> str:
    return f"wipe {', '.join(approval.uuids)} by request {approval.subject}, though the term still runs: wipectl plan shows what would be destroyed"


async def _is_gone(world: World, approval: Approval) -> bool:
    """Whether every request of this ask was closed."""
    return approval.subject not in {_base_of(request.id) for _, request in await world.ledger.requests.find()}


async def _on_reject(world: World, approval: Approval, person: Person) -> None:
    """Its requests are closed, and what they had fenced is restored by the next decision. Raises RefusedError: a cancellation is final for its requester."""
    own = [request for _, request in await world.ledger.requests.find() if _base_of(request.id) == approval.subject]
    if not person.may_approve and any(request.kind == RequestKind.CANCELLATION for request in own):
        raise RefusedError("the requester cannot take a cancellation back", codes=(RefusalCode.NEEDS_APPROVAL,),
                           hint="a person with the approver's role may reject it")  # fmt: skip
    for request in own:
        await world.ledger.requests.close(request.id, world.clock.now(), code="rejected", operator=person.name)


async def _ask_anew(world: World, waiting: frozenset[str]) -> None:
    """What is unapproved on a running term and waits for nobody any more is asked for anew."""
    now = world.clock.now()
    lacking: dict[str, list[tuple[str, WipeRequest]]] = {}
    for uuid, request in await world.ledger.requests.find():
        base = _base_of(request.id)
        if base in waiting or request.kind not in _ASKED_ANEW or rules.stands(request, now):
            continue
        term = await world.ledger.subscriptions.get(uuid)
        phone = await world.ledger.phones.get(uuid)
        if term is not None and now < term.expires_at and phone is not None and phone.present:
            lacking.setdefault(base, []).append((uuid, request))
    for base, found in lacking.items():
        await ask(world, Person(found[0][1].operator), request_id=base, uuids=tuple(uuid for uuid, _ in found))


DEED = Deed(
    "wipe",
    "wiping a phone whose term still runs",
    _standing,
    _carry_out,
    _shown,
    is_gone=_is_gone,
    on_reject=_on_reject,
    ask_anew=_ask_anew,
    looks_again=True,
    codes=(RefusalCode.SUBSCRIPTION_ACTIVE, RefusalCode.NEEDS_APPROVAL),
)
