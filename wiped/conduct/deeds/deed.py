"""A deed: an action that takes two people, as the functions that asking for it, agreeing to it and carrying it out need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from wiped.conduct.world import World
from wiped.decide import approval as rules
from wiped.errors import RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person, is_kind
from wiped.model.plan import RefusalCode


class Work(Protocol):
    """The work on phones, as far as a deed may set it off (`sweep.Reconciler`)."""

    def busy_with(self, uuid: str) -> bool:
        """Whether work on this phone is in progress."""

    async def decide_now(self, uuid: str) -> None:
        """Decide one phone out of turn."""

    async def submit_again(self, wipe_id: str) -> None:
        """Run an unfinished wipe now, whatever its back-off says."""

    async def image_settled(self) -> None:
        """Run the wipes that waited for a person to classify an image."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is to agree to right now. `fingerprint`: "" where it is gone; `parts`: phone -> its own fingerprint, where several make up the whole."""

    fingerprint: str
    parts: Mapping[str, str] = field(default_factory=dict)


async def _never(_world: World, _approval: Approval) -> bool:
    return False


async def _nothing_to_undo(_world: World, _approval: Approval, _person: Person) -> None:
    """Nothing was done by asking."""


async def _nothing_to_ask(_world: World, _waiting: frozenset[str]) -> None:
    """The requester asks again."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One kind of action that takes two people.

    kind        the published word for it
    name        the action in words, as in "NAME needs approval"
    standing    what there is to agree to now; RefusedError where it may not be done at all any more
    carry_out   do exactly what was agreed to, by (world, work, approval, approver, standing); idempotent
    shown       the sentence that a person reads before agreeing
    is_gone     whether there is nothing to agree to any more: the approval is withdrawn
    is_done     whether it was done, or replaced, since enough people agreed: said again after a crash, nothing happens twice
    on_reject   what is undone when somebody says no; RefusedError where this person may not say no
    ask_anew    once a sweep, given the subjects that wait already: ask again for what must not be forgotten
    looks_again whether a changed thing waits, under its new fingerprint, for another look; else the approval is withdrawn
    codes       the refusal codes that asking for it answers with
    """

    kind: str
    name: str
    standing: Callable[[World, Work, Approval], Awaitable[Standing]]
    carry_out: Callable[[World, Work, Approval, str, Standing], Awaitable[None]]
    shown: Callable[[Approval], str]
    is_gone: Callable[[World, Approval], Awaitable[bool]] = _never
    is_done: Callable[[World, Approval], Awaitable[bool]] = _never
    on_reject: Callable[[World, Approval, Person], Awaitable[None]] = _nothing_to_undo
    ask_anew: Callable[[World, frozenset[str]], Awaitable[None]] = _nothing_to_ask
    looks_again: bool = False
    codes: tuple[RefusalCode, ...] = (RefusalCode.NEEDS_APPROVAL,)

    def __post_init__(self) -> None:
        if not is_kind(self.kind):
            raise ValueError(f"{self.kind!r} cannot be the kind of a deed: small letters, digits and hyphens, at most 40")

    async def ask(self, world: World, person: Person, *, subject: str, uuids: tuple[str, ...], fingerprint: str, reason: str = "",
                  terms: Mapping[str, str] | None = None) -> Approval:  # fmt: skip
        """Record that this waits for another person. What waits already for the same subject is returned instead; where that is another thing by its
        fingerprint, it is withdrawn first, unless the deed looks again."""
        now = world.clock.now()
        for other in () if self.looks_again else await world.ledger.approvals.find():
            if (other.kind, other.subject) == (self.kind, subject) and other.fingerprint != fingerprint:
                await world.ledger.approvals.settle(other.id, ApprovalState.WITHDRAWN, now, operator=person.name)
        asked = Approval(
            id=world.randomness.identifier(),
            kind=self.kind,
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
        return await world.ledger.approvals.ask(asked, reason=reason)

    def needs_another(self, world: World, asked: Approval) -> RefusedError:
        """Count the refusal of one person alone; the error to raise to the requester."""
        world.announcer.refused((RefusalCode.NEEDS_APPROVAL,))
        people = "a second, different person" if asked.needed == 1 else "two different people (root is a shared account and does not count)"
        return RefusedError(f"{self.name} needs approval by {people} with the approver's role", codes=self.codes, approval=asked.id,
                            hint=f"wipectl approvals approve {asked.id}")  # fmt: skip
