"""Legal holds (R9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from wiped.conduct import checks
from wiped.conduct.deeds import hold_release
from wiped.conduct.world import World
from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import UNDISCLOSED, HoldGround, Person
from wiped.model.records import COMMITTED_STEPS, ArtefactState
from wiped.model.subscription import AccountReference, Hold


class Holds:
    """What the faces may ask about legal holds."""

    def __init__(self, world: World, nudge: Callable[[], None]) -> None:
        self._world = world
        self._nudge = nudge

    async def add(self, *, uuid: str = "", account: AccountReference | None = None, authority: str, reference: str, ground: str,
                       until: datetime | None, disclose: bool | None = None, reason: str = "", person: Person) -> Hold:  # fmt: skip
        """A legal hold on a phone, or on every phone that an account has and will have. Raises InputError, NotFoundError."""
        if ground not in set(HoldGround):
            raise InputError(f"must be one of {', '.join(HoldGround)}", where="ground")
        for name, value in (("authority", authority), ("reference", reference)):
            if not value.strip():
                raise InputError("required", where=name)
        if (account is None) == (not uuid):
            raise InputError("a phone or an account is required, and only one of them", where="phone")
        now = self._world.clock.now()
        if until is not None and until <= now:
            raise InputError("is in the past", where="until", hint="give a later instant, or none for a hold without an end")
        told = ground not in UNDISCLOSED if disclose is None else disclose
        hold = Hold(self._world.randomness.identifier(), uuid, "", ground, until, authority, reference, told, now, person.name)
        if account is not None:
            hold = await self._world.ledger.holds.add_for_account(hold, account, now, person.name, reason=reason)
        else:
            await checks.known_phone(self._world, uuid)
            await self._world.ledger.holds.add(hold, now, person.name, reason=reason)
        self._nudge()
        return replace(hold, note=await self._too_late(hold))

    async def _too_late(self, hold: Hold) -> str:
        """In words, which of the hold's phones are past the last word of their wipes, and what is left of them; "" for none. The bytes that go now go: a hold
        stops the hands before every retry."""
        told = []
        for wipe in await self._world.ledger.wipes.find(unfinished=True):
            facts = await self._world.ledger.decisions.facts(wipe.uuid, self._world.clock.now())
            if wipe.step not in COMMITTED_STEPS or facts is None or all(other.id != hold.id for other in facts.holds):
                continue
            left = sum(1 for item in wipe.artefacts if item.state in (ArtefactState.PENDING, ArtefactState.LEFT) and item.result is None)
            told.append(f"{wipe.name} ({wipe.uuid}): erasing has begun, {left} of {len(wipe.artefacts)} artefacts are untouched as yet")
        if not told:
            return ""
        return f"too late for {'; '.join(told)}. What is being overwritten is gone; the hold keeps what a retry would need, fenced"

    async def release(self, hold_id: str, *, reason: str, person: Person) -> Hold:
        """Takes two people: records the first one's request and raises RefusedError(needs-approval). Raises NotFoundError."""
        hold = next((item for item in await self._world.ledger.holds.in_force() if item.id == hold_id), None)
        if hold is None:
            raise NotFoundError("no such hold is in force", where="hold", hint="wipectl holds list shows those in force")
        deed, phones = hold_release.DEED, (hold.uuid,) if hold.uuid else ()
        asked = await deed.ask(self._world, person, subject=hold_id, uuids=phones, fingerprint=hold_release.fingerprint_of(hold_id),
                               reason=checks.given_reason(reason))  # fmt: skip
        raise deed.needs_another(self._world, asked)

    async def in_force(self) -> tuple[Hold, ...]:
        """All holds in force, with authority and reference unsealed."""
        found = await self._world.ledger.holds.in_force()
        words = [await self._world.ledger.words.about(hold.id) for hold in found]
        return tuple(replace(hold, authority=w.get("authority", ""), reference=w.get("reference", "")) for hold, w in zip(found, words, strict=True))
