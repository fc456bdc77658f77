"""Wipes and their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from wiped.model.plan import Plan
from wiped.model.records import ArtefactRecord, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Decision, LifecycleFacts


class WipeStore(Protocol):
    """Wipes and their steps."""

    async def begin(self, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
        """A new wipe at QUEUED; a second unfinished one for the same phone is never made: the existing one is returned, under this trigger as long as its last
        word was not spoken (I11: what it is done for is what its certificate says)."""

    async def record_intent(self, wipe_id: str, plan: Plan, snapshot: dict[str, Any], artefacts: Sequence[ArtefactRecord], *,
                            was_running: bool, was_autostart: bool, now: datetime) -> None:  # fmt: skip
        """Step INTENT (I1): plan, snapshot, seeds, rename targets. May be repeated before ERASING (a re-plan), never after."""

    async def note_standing(self, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
        """What the phone was before a refused plan fenced and stopped it, to be given back. What was once true stays true. Idempotent; before the last word."""

    async def advance(self, wipe_id: str, step: WipeStep, now: datetime, **detail: Any) -> None:
        """Record a step (audited). Never goes back past ERASING."""

    async def last_word(self, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
        """Step 5, I7: in one transaction re-read everything, call the pure `decide`, and write ERASING only if its action is WIPE. Repeated before a retry."""

    async def get(self, wipe_id: str) -> WipeRecord | None:
        """One wipe with its artefacts."""

    async def find(self, uuid: str = "", *, unfinished: bool = False) -> tuple[WipeRecord, ...]:
        """Wipes, newest first; all, one phone's, or the unfinished ones (oldest first)."""
