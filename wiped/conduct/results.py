"""How one run of a wipe may end before its end, as values and as the signals that unwind it; and what an attempt leaves to judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wiped.errors import RefusedError
from wiped.model.inventory import DomainFacts
from wiped.model.plan import Plan, Refusal
from wiped.model.subscription import Decision


class Ending(StrEnum):
    """How one run of the executor ended. Everything else is an error that was raised, and the wipe is run again."""

    RELEASED = "released"
    """Proven, certified, released."""
    CANCELLED = "cancelled"
    """Called off before the first byte, and undone."""
    REFUSED = "refused"
    """A guard said no before the first byte; the wipe stays, is planned again later, and what was fenced stays fenced."""
    WAITING = "waiting"
    """Time, feed or breaker do not confirm it right now (past the last word: the clock cannot tell whether a hold has ended); what was fenced stays fenced."""
    QUARANTINED = "quarantined"
    """Judged without proof: fenced and in place."""


class CalledOffError(Exception):
    """The decision is not WIPE any more. Internal to `conduct`: never leaves the executor."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(", ".join(reason.code for reason in decision.reasons))
        self.decision = decision


class GoneError(Exception):
    """The domain is not there any more. Internal to `conduct`: never leaves the executor."""


class RefusedPlanError(RefusedError):
    """A plan that guards refused, with what it knew: the phone's own files are fenced all the same. Internal to `conduct`; to others it is a RefusedError."""

    def __init__(self, domain: DomainFacts, plan: Plan, refusals: tuple[Refusal, ...]) -> None:
        told = "; ".join(f"{item.code}: {item.location} {item.detail}" for item in refusals)
        super().__init__(told, codes=tuple(dict.fromkeys(item.code for item in refusals)))
        self.domain = domain
        self.plan = plan


@dataclass(frozen=True, slots=True)
class Proof:
    """What one attempt leaves for the judge. `plan`: the frozen one, filesystem facts refreshed for what was never overwritten."""

    plan: Plan
    vanished: frozenset[str]
    spoken_at: datetime
