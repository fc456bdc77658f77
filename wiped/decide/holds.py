"""Legal holds (R9) in a decision: which holds are in force at an instant, which end soon, and when the phone is decided again because of them. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from wiped.model.instants import second_text
from wiped.model.policy import Safety
from wiped.model.subscription import Decision, Hold, Reason


def active_holds(holds: tuple[Hold, ...], now: datetime) -> tuple[Hold, ...]:
    """The holds in force at `now`."""
    return tuple(hold for hold in holds if hold.until is None or now < hold.until)


def ending_holds(holds: tuple[Hold, ...], safety: Safety, now: datetime) -> tuple[Hold, ...]:
    """Those of `holds` that lift by themselves soon: told before they do (R9)."""
    return tuple(hold for hold in holds if hold.until is not None and hold.until - timedelta(seconds=safety.hold_warning) <= now < hold.until)


def with_holds(decision: Decision, holds: tuple[Hold, ...], safety: Safety, now: datetime) -> Decision:
    """`decision`, with a reason for each hold that ends soon, and made again at the latest when a hold's warning begins and when the hold ends."""
    ending = ending_holds(holds, safety, now)
    told = tuple(
        Reason("hold-ends-soon", f"hold {hold.id} lifts by itself at {second_text(hold.until)}", hold.until) for hold in ending if hold.until is not None
    )
    instants = [at for hold in holds if hold.until is not None for at in (hold.until - timedelta(seconds=safety.hold_warning), hold.until) if at > now]
    next_at = min([*instants, *([decision.next_at] if decision.next_at else [])], default=None)
    if next_at == decision.next_at and not told:
        return decision
    moved = decision.next_at is None or (next_at is not None and next_at < decision.next_at)
    return replace(decision, reasons=(*decision.reasons, *told), next_at=next_at, next_state=decision.state if moved else decision.next_state)
