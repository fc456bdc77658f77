"""The breaker against mass mistakes (docs/design.md, "The order of a wipe", step 5): when so many phones fall due at once that it looks like an error, not an
end.

    newly due within `breaker_window`  >  max(breaker_max, breaker_ratio x bound phones)   opens it

*Newly due* is a phone that would be wiped, or stopped and fenced, now, and that an open breaker would hold back: by time, by a feed or by an import; not a
single manual wipe with its typed confirmation (docs/decisions/0008), nor one whose plan a second person approved, nor what a person asked to be stopped. While
it is open no wipe speaks its last word; one that has spoken it ends. A release lets exactly the counted phones go.
"""

from __future__ import annotations

from collections.abc import Iterable

from wiped.model.breaker import BreakerRecord
from wiped.model.canonical import digest
from wiped.model.policy import Safety
from wiped.model.subscription import Action, Decision

#: Triggers that a person sets off phone by phone, each with the phone's name typed.
ONE_BY_ONE = frozenset({"manual"})


def newly_due(decision: Decision, held_back: Decision) -> bool:
    """Whether a phone counts. `decision`: made as if the breaker were closed; `held_back`: as if it were open."""
    if decision.approved or decision.trigger in ONE_BY_ONE:
        return False
    return decision.action is not Action.NONE and decision.action is not held_back.action


def limit(bound: int, safety: Safety) -> int:
    """How many phones may fall due within the window on a host with `bound` bound phones (the ratio rounds down)."""
    return max(safety.breaker_max, max(0, bound) * safety.breaker_ratio_percent // 100)


def opens(count: int, bound: int, safety: Safety) -> bool:
    """Whether `count` newly due phones within the window are too many."""
    return count > limit(bound, safety)


def fingerprint(phones: Iterable[tuple[str, int]]) -> str:
    """The name of a set of (uuid, generation), whatever its order: hex SHA-256."""
    return digest(sorted([uuid, generation] for uuid, generation in phones))


def why(breaker: BreakerRecord) -> str:
    """One sentence for people: what happened, and what to do."""
    if not breaker.open:
        return ""
    return (
        f"{breaker.newly_due} phones fell due or would be stopped within {breaker.window} s, and at most {breaker.limit} of {breaker.bound} bound ones may. "
        "Nothing new is stopped or wiped. Look at them (wipectl breaker status), correct the feed if they are wrong, or let exactly these go: "
        "wipectl breaker release --reason TEXT"
    )
