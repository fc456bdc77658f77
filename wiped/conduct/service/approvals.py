"""The second person (R14): what waits for one, agreeing to it, saying no.

What is agreed to is what is there at that moment, named by its fingerprint; each deed says what that is (`conduct/deeds/`). Of a deed that looks again (a
wipe, whose plan may change while the request stays) the approval stays under the new fingerprint, for another look. Any other thing that changed is not what
the first person asked for: its approval is withdrawn, and it has to be asked for again.
"""

from __future__ import annotations

from collections.abc import Callable

from wiped.conduct import checks
from wiped.conduct.deeds import table
from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.decide import approval as rules
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person
from wiped.model.plan import RefusalCode


class Approvals:
    """What the faces may ask about approvals."""

    def __init__(self, world: World, work: Work, nudge: Callable[[], None]) -> None:
        self._world = world
        self._work = work
        self._nudge = nudge

    async def find(self, every: bool = False, /) -> tuple[Approval, ...]:
        """What waits for another person, oldest first; or all."""
        return tuple(table.shown(item) for item in await self._world.ledger.approvals.find(unfinished=not every))

    async def get(self, approval_id: str) -> Approval:
        """One approval. Raises NotFoundError."""
        return table.shown(await self._known(approval_id))

    async def _known(self, approval_id: str) -> Approval:
        found = await self._world.ledger.approvals.get(approval_id)
        if found is None:
            raise NotFoundError("no such approval", where="approval", hint="wipectl approvals list shows what waits")
        return found

    async def approve(self, approval_id: str, *, fingerprint: str, person: Person) -> Approval:
        """Agree to exactly what has `fingerprint` ("" for what waits now), and carry it out once enough people did.

        Raises RefusedError: needs-approval (this person cannot), approval-expired, drift (it is another thing by now: look again), and what is against the
        deed itself (a hold on a phone that was to be disposed of, an image that cannot be classified as private).
        """
        world, now = self._world, self._world.clock.now()
        waiting = await self._known(approval_id)
        deed = table.deed_of(waiting)
        if rules.said_again(person, waiting, now):
            await self._carry_out_again(deed, waiting, person)
            return table.shown(waiting)
        no = rules.objection(person, waiting, now)
        if no is not None:
            raise await checks.refused(world, no.detail, (no.code,), operator=person.name, what="approvals approve", approval=approval_id)
        fresh = await deed.standing(world, self._work, waiting)
        if fresh.fingerprint != waiting.fingerprint or (fingerprint and fingerprint != waiting.fingerprint):
            raise await self._changed(deed, waiting, fresh)
        agreed = await world.ledger.approvals.agree(approval_id, person.name, now, fingerprint=fresh.fingerprint)
        if agreed.state is ApprovalState.APPROVED:
            await deed.carry_out(world, self._work, agreed, person.name, fresh)
            self._nudge()
        return table.shown(agreed)

    async def _carry_out_again(self, deed: Deed, agreed: Approval, person: Person) -> None:
        """A crash may have come between the agreement and its deed: the second person's own repetition carries it out. Each deed is idempotent, and is done
        only if it still is what was agreed to and nobody decided otherwise since: one of two people alone does not do it a second time."""
        fresh = await deed.standing(self._world, self._work, agreed)
        if fresh.fingerprint == agreed.fingerprint and not await deed.is_done(self._world, agreed):
            await deed.carry_out(self._world, self._work, agreed, person.name, fresh)

    async def _changed(self, deed: Deed, waiting: Approval, fresh: Standing) -> RefusedError:
        """What is there now is not what was shown, or not what was asked for; the error to raise."""
        now, codes = self._world.clock.now(), (RefusalCode.DRIFT,)
        if deed.looks_again or fresh.fingerprint == waiting.fingerprint:
            await self._world.ledger.approvals.settle(waiting.id, ApprovalState.PENDING, now, operator="daemon", fingerprint=fresh.fingerprint)
            return RefusedError("it is not what was shown: look at it again", codes=codes, approval=waiting.id,
                                hint=f"wipectl approvals show {waiting.id}, and for a wipe wipectl plan; then approve what they show")  # fmt: skip
        await self._world.ledger.approvals.settle(waiting.id, ApprovalState.WITHDRAWN, now, operator="daemon")
        return RefusedError("it is not what was asked for any more: the approval is withdrawn", codes=codes, approval=waiting.id,
                            hint="look at it as it is now, and ask for it again")  # fmt: skip

    async def reject(self, approval_id: str, *, reason: str, person: Person) -> Approval:
        """Say no: what waited is off. A request that was rejected is closed, and what it had fenced is restored by the next decision.

        One who may approve may reject; so may the requester. Raises RefusedError(needs-approval), NotFoundError."""
        waiting = await self._known(approval_id)
        deed = table.deed_of(waiting)
        if not person.somebody or not (person.may_approve or person.name == waiting.asked_by):
            raise RefusedError("rejecting takes the approver's role, or the requester", codes=(RefusalCode.NEEDS_APPROVAL,), approval=approval_id)
        if waiting.state is not ApprovalState.PENDING:
            raise InputError(f"approval {approval_id} is already {waiting.state}", where="approval")
        checks.given_reason(reason)
        await deed.on_reject(self._world, waiting, person)
        settled = await self._world.ledger.approvals.settle(approval_id, ApprovalState.REJECTED, self._world.clock.now(), operator=person.name)
        self._nudge()
        return table.shown(settled)
