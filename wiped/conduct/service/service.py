"""What the faces may ask of the daemon. Every method answers with model records or raises one of `wiped.errors`; identity and roles are the faces' business:
`operator` is the authenticated name of a member of staff.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from wiped.attest.audit_chain import HEAD_TYPE
from wiped.attest.signing import seal
from wiped.conduct import decisions
from wiped.conduct.asking import Asking
from wiped.conduct.progress import Hub
from wiped.conduct.results import GoneError
from wiped.conduct.service import shorten_term
from wiped.conduct.service.approvals import Agreeing
from wiped.conduct.service.breaker_and_clock import Guards
from wiped.conduct.service.reports import Reporting
from wiped.conduct.settling import Settling
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.wipe import prepare
from wiped.conduct.world import World
from wiped.decide import breaker, notices, refusal
from wiped.errors import InputError, LedgerError, NotFoundError, RefusedError
from wiped.model.approvals import Person
from wiped.model.instants import instant_text
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import (
    COMMITTED_STEPS,
    FINAL_STEPS,
    AuditEntry,
    CertificateRecord,
    PhoneRecord,
    WipeRecord,
    WipeStep,
)
from wiped.model.status import Explanation, HostStatus, WipeAsked, WipeNews, WipeProgress
from wiped.model.subscription import Action, Decision, Flag, Hold, State, Subscription, SubscriptionRecord, WipeRequest

#: Phones whose time has come: few, so their flags may be counted for each scrape.
_COUNTED = (State.DUE, State.ERASING, State.VERIFYING, State.QUARANTINED)
_ENDED = frozenset({State.WIPED, State.RELEASED, State.RECYCLED, State.DISPOSED})
#: Reasons of a decision that are not refusal codes by name, as the code that a caller can act on.
_CODES = {"no-such-domain": RefusalCode.MISSING, "protected": RefusalCode.LEGAL_HOLD, "unknown-policy": RefusalCode.NEEDS_APPROVAL}


#: A wipe of a phone whose term runs is not refused for good: a second person is asked.
_ASKED_OF_TWO = frozenset({RefusalCode.SUBSCRIPTION_ACTIVE, RefusalCode.NEEDS_APPROVAL})


class Service(Asking, Agreeing, Guards, Reporting, Settling):
    """The daemon's one counter. `nudge`: asks for a sweep soon."""

    def __init__(self, world: World, reconciler: Reconciler, hub: Hub, nudge: Callable[[], None]) -> None:
        self._world = world
        self._reconciler = reconciler
        self._hub = hub
        self._nudge = nudge

    # -- looking
    async def status(self) -> HostStatus:
        """The host at a glance."""
        world, conditions = self._world, self._world.conditions
        now = world.clock.now()
        late = await world.ledger.phones.find(_COUNTED)
        overdue = [phone for phone in late if Flag.OVERDUE in phone.flags]
        answered = conditions.feed.complete_at
        counts = await world.ledger.phones.counts()
        backlog = await world.ledger.notices.backlog()
        faults = {**await self.readiness(), "notices": notices.fault(backlog, now)}
        return HostStatus(
            host=world.issuer.host,
            version=world.issuer.version,
            at=now,
            phones=counts,
            flags=dict(Counter(flag for phone in late for flag in phone.flags)),
            overdue=len(overdue),
            oldest_overdue_seconds=max((int((now - phone.due_at).total_seconds()) for phone in overdue if phone.due_at is not None), default=0),
            running=await self._progress(),
            queued=self._reconciler.queue.queued,
            quarantined=counts.get(State.QUARANTINED, 0),
            holds=len(await world.ledger.holds.in_force()),
            feed_kind=conditions.feed.kind,
            feed_age_seconds=None if answered is None else max(0, int((now - answered).total_seconds())),
            libvirt_up=world.hypervisor.connected,
            hook_fault=await world.fences.hook_fault(),
            breaker_open=(await world.ledger.breaker.get()).open,
            clock_suspect=bool(conditions.clock_suspect),
            last_sweep_at=conditions.last_sweep_at,
            orphan_images=conditions.orphan_images,
            notices_pending=backlog.pending,
            notices_dead=backlog.dead,
            notices_oldest_seconds=0 if backlog.oldest_at is None else max(0, int((now - backlog.oldest_at).total_seconds())),
            faults={name: fault for name, fault in faults.items() if fault},
        )

    async def _progress(self) -> tuple[WipeProgress, ...]:
        found = []
        for work in self._reconciler.queue.running:
            wipe = await self._world.ledger.wipes.get(work.wipe_id) if work.wipe_id else None
            if wipe is not None:
                found.append(self._progress_of(wipe))
        return tuple(found)

    def _progress_of(self, wipe: WipeRecord) -> WipeProgress:
        moving = self._hub.movement(wipe.id)
        if moving is None:
            return WipeProgress(wipe.id, wipe.uuid, wipe.name, wipe.step)
        planned = sum(step.extents.bytes for step in wipe.plan.steps) if wipe.plan else 0
        total = max(moving.total, planned)
        eta = int((total - moving.done) / moving.rate) if moving.rate else None
        return WipeProgress(wipe.id, wipe.uuid, wipe.name, wipe.step, moving.phase, moving.artefact_id, moving.done, total, moving.rate, eta)

    async def phones(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """All phones, or those in `states`. Raises InputError for a state that does not exist."""
        if set(states) - {str(state) for state in State}:
            raise InputError(f"no such state; states are {', '.join(State)}", where="state")
        return await self._world.ledger.phones.find(states)

    async def resolve(self, name: str) -> PhoneRecord:
        """A phone by UUID (in any spelling) or exact name. Raises NotFoundError; for an ambiguous name with the candidates."""
        try:
            uuid = str(UUID(name))
        except ValueError:
            pass
        else:
            found = await self._world.ledger.phones.get(uuid)
            if found is not None:
                return found
        named = await self._world.ledger.phones.named(name)
        present = [item for item in named if item.present] or list(named)
        if not present:
            raise NotFoundError("no such phone; give its UUID or its exact name", where="phone")
        if len(present) > 1:
            candidates = ", ".join(f"{item.uuid} ({item.state})" for item in present)
            raise NotFoundError(f"several phones have this name; give the UUID of one: {candidates}", where="phone")
        return present[0]

    async def explain(self, uuid: str) -> Explanation:
        """A phone with a decision made now. Changes nothing."""
        phone = await self._phone(uuid)
        found = await decisions.fresh(self._world, uuid)
        if found is None:
            raise NotFoundError("no such phone", where="phone")
        facts, decision = found
        wipes = await self._world.ledger.wipes.find(uuid)
        ledger = self._world.ledger
        refused = self._world.conditions.refused.get(uuid, "") if phone.refusals else ""
        ids = [*(hold.id for hold in facts.holds), *(request.id for request in facts.requests)]
        words = {item: await ledger.words.about(item) for item in ids}
        approvals = tuple(item for item in await ledger.approvals.find() if uuid in item.uuids or item.subject in words)
        product = facts.subscription.product if facts.subscription else None
        drains = tuple(drain for drain in await ledger.drains.in_force() if drain.product in ("", product))
        return Explanation(phone, decision, facts.subscription, facts.holds, facts.requests, wipes, approvals, drains, words, refused)

    async def plan(self, uuid: str) -> Plan:
        """What would be destroyed, kept and refused, of a fresh survey. Changes nothing. Raises RefusedError (missing, unsupported-artefact)."""
        phone = await self._phone(uuid)
        try:
            _, _, plan = await prepare.look(self._world, uuid, phone.generation)
        except GoneError as error:
            raise RefusedError("libvirt knows no domain with this UUID", codes=(RefusalCode.MISSING,)) from error
        return plan

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All current terms."""
        return await self._world.ledger.subscriptions.current()

    async def subscription(self, uuid: str) -> Subscription | None:
        """The current term of one phone."""
        return await self._world.ledger.subscriptions.get(uuid)

    async def holds(self) -> tuple[Hold, ...]:
        """All holds in force, with authority and reference unsealed."""
        found = await self._world.ledger.holds.in_force()
        words = [await self._world.ledger.words.about(hold.id) for hold in found]
        return tuple(replace(hold, authority=w.get("authority", ""), reference=w.get("reference", "")) for hold, w in zip(found, words, strict=True))

    async def wipes(self, uuid: str = "") -> tuple[WipeRecord, ...]:
        """Wipes, newest first: all, or one phone's."""
        return await self._world.ledger.wipes.find(uuid)

    async def wipe(self, wipe_id: str) -> WipeRecord:
        """One wipe. Raises NotFoundError."""
        found = await self._world.ledger.wipes.get(wipe_id)
        if found is None:
            raise NotFoundError("no such wipe", where="wipe")
        return found

    async def events(self, wipe_id: str) -> AsyncIterator[WipeNews]:
        """News of a wipe: first the step that it is at, then what happens, until it ends or waits in quarantine."""
        with self._hub.watching(wipe_id) as news:
            wipe = await self.wipe(wipe_id)
            at_rest = wipe.step in FINAL_STEPS or (wipe.step is WipeStep.QUARANTINED and not self._reconciler.queue.busy_with(wipe.uuid))
            yield WipeNews("end" if at_rest else "step", wipe_id, step=wipe.step)
            if at_rest:
                return
            async for item in news:
                yield item

    async def quarantine(self) -> tuple[WipeRecord, ...]:
        """Wipes that wait in quarantine, oldest first."""
        return tuple(wipe for wipe in await self._world.ledger.wipes.find(unfinished=True) if wipe.step is WipeStep.QUARANTINED)

    async def certificate(self, certificate_id: str) -> CertificateRecord:
        """A certificate or incident record by its id, or the newest of a wipe by the wipe's. Raises NotFoundError."""
        found = await self._world.ledger.certificates.get(certificate_id)
        if found is None:
            raise NotFoundError("no such certificate", where="certificate")
        return found

    async def audit(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Audit entries with seq > `after`."""
        return await self._world.ledger.audit.entries(after=after, limit=limit)

    async def audit_head(self, seq: int) -> bytes:
        """A signed head (DSSE) over the log up to entry `seq`, for an export of that length. Raises NotFoundError where there is no such entry."""
        found = await self._world.ledger.audit.entries(after=seq - 1, limit=1) if seq > 0 else ()
        if not found:
            raise NotFoundError("no such audit entry", where="seq")
        told = {"seq": found[0].seq, "hash": found[0].hash, "at": found[0].at, "exported_at": instant_text(self._world.clock.now())}
        return seal(told, self._world.signer, payload_type=HEAD_TYPE)

    def public_key(self) -> bytes:
        """The public key that verifies this host's certificates, PEM."""
        return self._world.signer.public_pem

    async def readiness(self) -> dict[str, str]:
        """What the daemon needs, and what is wrong with it ("" when nothing is): libvirt, ledger, feed, helpers, hook, clock, breaker."""
        conditions, world = self._world.conditions, self._world
        answered = conditions.feed.complete_at
        stale = answered is None or (world.clock.now() - answered).total_seconds() > world.safety.feed_max_age
        faults = {
            "libvirt": "" if world.hypervisor.connected else "no connection to libvirt; it is tried again",
            "ledger": world.ledger.fault,
            "feed": "the feed has given no complete answer within its maximum age" if stale else "",
            "helpers": conditions.helper_fault,
            "hook": await world.fences.hook_fault(),
            "clock": conditions.clock_suspect,
        }
        try:
            faults["breaker"] = breaker.why(await world.ledger.breaker.get())
        except LedgerError as error:
            faults["ledger"] = str(error)
        return faults

    # -- changing
    async def set_subscription(self, record: SubscriptionRecord, person: Person) -> Subscription:
        """Record one term. Raises InputError, RefusedError(generation-occupied | subscription-renewed | needs-approval: an earlier end of a running term
        was recorded as a wish, and takes a second person)."""
        try:
            recorded = await self._record((record,), person.name, "local")
        except RefusedError as error:
            if error.codes != (RefusalCode.NEEDS_APPROVAL,):
                raise
            raise await shorten_term.ask(self._world, record, person) from error
        return recorded[0]

    async def import_subscriptions(self, records: Sequence[SubscriptionRecord], operator: str) -> tuple[Subscription, ...]:
        """Record many terms, all or none. Raises as `set_subscription`."""
        return await self._record(records, operator, "import")

    async def _record(self, records: Sequence[SubscriptionRecord], operator: str, source: str) -> tuple[Subscription, ...]:
        if {record.policy for record in records} - set(self._world.policies):
            raise InputError(f"no such policy; the configuration has {', '.join(sorted(self._world.policies))}", where="policy")
        try:
            recorded = await self._world.ledger.subscriptions.record(records, self._world.clock.now(), source=source, operator=operator)
        except RefusedError as error:
            self._hub.refused(error.codes)
            self._nudge()
            raise
        if len(recorded) == 1:
            await self._reconciler.decide_now(recorded[0].uuid)
        self._nudge()
        return recorded

    async def request_wipe(self, uuid: str, *, reason: str, ticket: str, confirm: str, person: Person) -> WipeAsked:
        """A manual wipe. Raises RefusedError: wrong-confirmation, subscription-active (the term runs), unbound, missing, legal-hold...

        A phone in grace becomes due after `settle`; one that is due begins at once; a wipe that waits in quarantine is tried again; an ended one is shown.
        """
        phone, operator = await self._phone(uuid), person.name
        wrong = refusal.confirmation(phone.name, confirm)
        if wrong is not None:
            raise await self._refuse(uuid, operator, "the typed name is not the phone's; nothing was changed", (wrong.code,))
        found = await decisions.fresh(self._world, uuid)
        if found is None:
            raise NotFoundError("no such phone", where="phone")
        _, decision = found
        known = (await self._world.ledger.wipes.find(uuid))[:1]
        if decision.state in _ENDED and known:
            return WipeAsked("", known[0], decision)
        if known and known[0].step in COMMITTED_STEPS and known[0].step not in FINAL_STEPS:
            if known[0].step is WipeStep.QUARANTINED:
                return WipeAsked("", await self.retry(uuid, operator), decision)
            return WipeAsked("", known[0], decision)
        codes = _refusals(decision)
        if codes and set(codes) <= _ASKED_OF_TWO:
            raise await self.ask_active_wipe(uuid, reason=reason, ticket=ticket, person=person)
        if codes:
            raise await self._refuse(uuid, operator, decision.reasons[-1].detail, codes)
        request = WipeRequest(self._world.randomness.identifier(), "manual", "service-ended", self._world.clock.now(), reference=ticket, operator=operator)
        await self._world.ledger.requests.add(uuid, request, reference=ticket, reason=reason, operator=operator)
        await self._world.ledger.decisions.touch(uuid)
        await self._reconciler.decide_now(uuid)
        self._nudge()
        after = await self.explain(uuid)
        running = next((wipe for wipe in after.wipes if wipe.step not in FINAL_STEPS), None)
        if running is not None:
            await self._reconciler.submit_again(running.id)  # one that was refused before does not wait for its back-off
        return WipeAsked(request.id, running, after.decision)

    async def retry(self, uuid: str, operator: str) -> WipeRecord:
        """Try a quarantined wipe again now. Raises InputError where none waits."""
        waiting = next((wipe for wipe in await self._world.ledger.wipes.find(uuid, unfinished=True) if wipe.step is WipeStep.QUARANTINED), None)
        if waiting is None:
            raise InputError("no wipe of this phone waits in quarantine", where="phone")
        await self._world.ledger.quarantine.retry_now(waiting.id, self._world.clock.now(), operator)
        await self._reconciler.submit_again(waiting.id)
        return await self.wipe(waiting.id)

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """The remembered answer for an Idempotency-Key."""
        return await self._world.ledger.answers.replay(key, digest)

    async def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        """Remember an answer for an Idempotency-Key."""
        await self._world.ledger.answers.remember(key, digest, answer, self._world.clock.now())

    # -- small parts
    async def _phone(self, uuid: str) -> PhoneRecord:
        phone = await self._world.ledger.phones.get(uuid)
        if phone is None:
            raise NotFoundError("no such phone", where="phone")
        return phone

    async def _refuse(self, uuid: str, operator: str, why: str, codes: Sequence[str]) -> RefusedError:
        self._hub.refused(codes)
        await self._world.ledger.audit.note("refused", {"uuid": uuid, "operator": operator, "codes": [str(code) for code in codes]}, self._world.clock.now())
        return RefusedError(why, codes=tuple(codes))


def _refusals(decision: Decision) -> tuple[str, ...]:
    """Why a manual request cannot be taken for a phone in this state; () if it can."""
    known = {str(code) for code in RefusalCode}
    codes = [str(_CODES.get(reason.code, reason.code)) for reason in decision.reasons]
    said = tuple(dict.fromkeys(code for code in codes if code in known))
    if decision.state in {State.ACTIVE, State.NOTICE}:
        return tuple(dict.fromkeys((str(RefusalCode.SUBSCRIPTION_ACTIVE), *said)))
    if decision.action is Action.FENCE or decision.state in {State.UNBOUND, State.VANISHED}:
        return said or (str(RefusalCode.UNBOUND),)
    return ()
