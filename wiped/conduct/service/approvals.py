"""The second person (R14): what waits for one, agreeing to it, saying no. A part of `Service`.

What is agreed to is what stands at that moment, named by its fingerprint:

    wipe               the plans of its phones, made afresh
    shorten-term       the term and its new end
    dispose            the wipe, its frozen plan and why it could not be proven
    breaker-release    the phones that wait behind the breaker
    classify-private   the very file, and what it would be called
    hold-release, drain, drain-cancel    the hold, the drain

Of a wipe whose plan is another one by now the approval stays, under the new plan's fingerprint, for another look: the request behind it has not changed. Any
other thing that changed is not what the first person asked for: its approval is withdrawn, and it has to be asked for again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from wiped.conduct import massmistakes, second_person
from wiped.conduct.service import images, quarantine, shorten_term
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.world import World
from wiped.decide import approval as rules
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalKind, ApprovalState, Person, RequestKind
from wiped.model.plan import RefusalCode
from wiped.model.records import COMMITTED_STEPS


class Agreeing:
    """Mixed into `Service`, which owns the world."""

    _world: World
    _reconciler: Reconciler
    _nudge: Callable[[], None]

    async def approvals(self, every: bool = False, /) -> tuple[Approval, ...]:
        """What waits for another person, oldest first; or all."""
        return await self._world.ledger.approvals.find(unfinished=not every)

    async def approval(self, approval_id: str) -> Approval:
        """One. Raises NotFoundError."""
        found = await self._world.ledger.approvals.get(approval_id)
        if found is None:
            raise NotFoundError("no such approval", where="approval")
        return found

    async def approve(self, approval_id: str, *, fingerprint: str, person: Person) -> Approval:
        """Agree to exactly what has `fingerprint` ("" for what waits now), and carry it out once enough people did.

        Raises RefusedError: needs-approval (this person cannot), approval-expired, drift (it is another thing by now: look again), and what stands against
        the deed itself (a hold on a phone that was to be disposed of, an image that cannot be called private).
        """
        world, now = self._world, self._world.clock.now()
        waiting = await self.approval(approval_id)
        if rules.said_again(person, waiting, now):
            await self._carry_out(waiting, person)  # a crash may have come between the agreement and its deed
            return waiting
        no = rules.objection(person, waiting, now)
        if no is not None:
            world.announcer.refused((no.code,))
            await world.ledger.audit.note(
                "refused", {"operator": person.name, "what": "approvals approve", "approval": approval_id, "codes": [str(no.code)]}, now
            )
            raise RefusedError(no.detail, codes=(no.code,), approval=approval_id)
        fresh, each = await self._stands(waiting)
        if fresh != waiting.fingerprint or (fingerprint and fingerprint != waiting.fingerprint):
            await self._changed(waiting, fresh)
        agreed = await self._world.ledger.approvals.agree(approval_id, person.name, now, fingerprint=fresh)
        if agreed.state is ApprovalState.APPROVED:
            await self._carry_out(agreed, person, each)
            self._nudge()
        return agreed

    async def _changed(self, waiting: Approval, fresh: str) -> None:
        """Raises RefusedError(drift)."""
        now, same = self._world.clock.now(), fresh == waiting.fingerprint
        if waiting.kind is ApprovalKind.WIPE or same:
            await self._world.ledger.approvals.settle(waiting.id, ApprovalState.PENDING, now, operator="daemon", fingerprint=fresh)
            what = "the plan is not the one that was shown: look at it again (wipectl plan, wipectl approvals show)"
        else:
            await self._world.ledger.approvals.settle(waiting.id, ApprovalState.WITHDRAWN, now, operator="daemon")
            what = "it is not what was asked for any more: look at it, and ask for it again"
        raise RefusedError(what, codes=(RefusalCode.DRIFT,), approval=waiting.id)

    async def _stands(self, waiting: Approval) -> tuple[str, dict[str, str]]:
        """The fingerprint of what is asked for as it stands now, "" where it is gone; of a wipe each phone's too."""
        world = self._world
        if waiting.kind is ApprovalKind.WIPE:
            return await second_person.fingerprint_of(world, waiting.uuids)
        if waiting.kind is ApprovalKind.BREAKER:
            return await massmistakes.stands(world, waiting), {}
        if waiting.kind is ApprovalKind.CLASSIFY:
            return await images.stands(world, waiting), {}
        if waiting.kind is ApprovalKind.DISPOSE:
            self._not_now(waiting)
            return await quarantine.stands(world, waiting), {}
        if waiting.kind is ApprovalKind.SHORTEN:
            return await shorten_term.stands(world, waiting), {}
        return waiting.fingerprint, {}

    def _not_now(self, waiting: Approval) -> None:
        if any(self._reconciler.queue.busy_with(uuid) for uuid in waiting.uuids):
            raise InputError("the phone is being worked on right now: ask again when its attempt has ended", where="phone")

    async def _carry_out(self, approval: Approval, person: Person, each: dict[str, str] | None = None) -> None:
        """What was agreed to. After a crash the second person's own repetition does it (`each` None): each deed is idempotent, and is done only if it
        still is what was agreed to."""
        world, now = self._world, self._world.clock.now()
        if each is None:
            fresh, each = await self._stands(approval)
            if fresh != approval.fingerprint or await self._settled_since(approval):
                return  # it is done, or another thing by now
        kind = approval.kind
        if kind is ApprovalKind.WIPE:
            await second_person.carry_out_wipe(world, world.ledger, approval, person.name, each)
            for uuid in approval.uuids:
                await self._reconciler.decide_now(uuid)
        elif kind is ApprovalKind.HOLD_RELEASE:
            with contextlib.suppress(NotFoundError):  # it was released
                await world.ledger.holds.release(approval.subject, now, approval.asked_by)
        elif kind in (ApprovalKind.DRAIN, ApprovalKind.DRAIN_CANCEL):
            cancelled = kind is ApprovalKind.DRAIN_CANCEL
            await self._world.ledger.drains.change(approval.subject, now, approver=person.name, cancelled=cancelled, operator=approval.asked_by)
        elif kind is ApprovalKind.BREAKER:
            await massmistakes.release(world, approval, approver=person.name)
            # Wipes that had begun before it opened need not sit out their back-off.
            for wipe in await world.ledger.wipes.find(unfinished=True):
                if wipe.step not in COMMITTED_STEPS:
                    await self._reconciler.submit_again(wipe.id)
        elif kind is ApprovalKind.CLASSIFY:
            await images.call_private(world, approval, approver=person.name)
            await self._reconciler.image_settled()
        elif kind is ApprovalKind.DISPOSE:
            await quarantine.carry_out(world, approval, approver=person.name)
        elif kind is ApprovalKind.SHORTEN:
            await shorten_term.carry_out(world, approval, approver=person.name)
            await self._reconciler.decide_now(approval.subject)

    async def _settled_since(self, approval: Approval) -> bool:
        """Whether it was done, or somebody said otherwise, since enough people agreed: one of them alone does not do it a second time. What else is agreed
        to is named by an id that never comes again."""
        agreed = approval.decided_at or self._world.clock.now()
        if approval.kind is ApprovalKind.CLASSIFY:
            return any(image.path == approval.subject and image.at >= agreed for image in await self._world.ledger.images.classified())
        if approval.kind is ApprovalKind.SHORTEN:
            term = await self._world.ledger.subscriptions.get(approval.subject)
            return term is None or term.first_recorded_at >= agreed
        return False

    async def reject(self, approval_id: str, *, reason: str, person: Person) -> Approval:
        """Say no: what waited is off. A request that was rejected is closed, and what it had fenced is given back by the next decision.

        One who may approve may reject; so may whoever asked. Raises RefusedError(needs-approval), NotFoundError."""
        waiting = await self.approval(approval_id)
        now = self._world.clock.now()
        if not person.somebody or not (person.may_approve or person.name == waiting.asked_by):
            raise RefusedError("that takes the approver's role, or whoever asked", codes=(RefusalCode.NEEDS_APPROVAL,), approval=approval_id)
        if waiting.state is not ApprovalState.PENDING:
            raise InputError(f"it is {waiting.state} already", where="approval")
        second_person.why(reason)
        if waiting.kind is ApprovalKind.WIPE:
            for _, request in await self._world.ledger.requests.find():
                irrevocable = request.kind == RequestKind.CANCELLATION and not person.may_approve
                if second_person.base_of(request.id) == waiting.subject:
                    if irrevocable:
                        raise RefusedError("a cancellation cannot be taken back by whoever asked for it", codes=(RefusalCode.NEEDS_APPROVAL,))
                    await self._world.ledger.requests.close(request.id, now, code="rejected", operator=person.name)
        settled = await self._world.ledger.approvals.settle(approval_id, ApprovalState.REJECTED, now, operator=person.name)
        self._nudge()
        return settled
