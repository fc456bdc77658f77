"""Wipes and their steps, in the fake ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.fakes.ledger.decisions import FakeDecisions
from tests.fakes.ledger.state import Memo
from wiped.errors import InputError, InvariantError
from wiped.model.canonical import digest
from wiped.model.plan import Plan
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, ArtefactRecord, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Action, Decision, LifecycleFacts, State

_PHONE_STATE = {WipeStep.ERASING: State.ERASING, WipeStep.VERIFYING: State.VERIFYING, WipeStep.REMOVING: State.VERIFYING}


class FakeWipes:
    """`ports.ledger.WipeStore` in memory."""

    def __init__(self, state: Memo, decisions: FakeDecisions) -> None:
        self._state = state
        self._decisions = decisions

    async def begin(self, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
        self._state.write()
        for wipe in self._state.wipes.values():
            if wipe.uuid == uuid and wipe.step not in FINAL_STEPS:
                if wipe.step not in COMMITTED_STEPS:
                    self._state.wipes[wipe.id] = replace(wipe, trigger=trigger)
                return self._state.wipes[wipe.id]
        phone = self._state.phones[uuid]
        self._state.wipes[wipe_id] = WipeRecord(wipe_id, uuid, phone.name, phone.generation, WipeStep.QUEUED, trigger, now)
        self._state.log("wipe-begun", {"wipe_id": wipe_id}, now)
        return self._state.wipes[wipe_id]

    async def record_intent(
        self,
        wipe_id: str,
        plan: Plan,
        snapshot: dict[str, Any],
        artefacts: Sequence[ArtefactRecord],
        *,
        was_running: bool,
        was_autostart: bool,
        now: datetime,
    ) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        if wipe.step in COMMITTED_STEPS:
            raise InputError("an intent after the last word")
        self._state.wipes[wipe_id] = replace(
            wipe,
            step=WipeStep.INTENT,
            plan=plan,
            snapshot=snapshot,
            snapshot_digest=digest(snapshot),
            artefacts=tuple(artefacts),
            was_running=was_running,
            was_autostart=was_autostart,
        )
        self._state.log("intent", {"wipe_id": wipe_id}, now)

    async def note_standing(self, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        if wipe.step in COMMITTED_STEPS or wipe.step in FINAL_STEPS:
            raise InvariantError("I7", "nothing is given back after the last word")
        self._state.wipes[wipe_id] = replace(wipe, was_running=wipe.was_running or was_running, was_autostart=wipe.was_autostart or was_autostart)

    async def advance(self, wipe_id: str, step: WipeStep, now: datetime, **detail: Any) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        if wipe.step in COMMITTED_STEPS and step not in COMMITTED_STEPS:
            raise InputError("back past the last word")
        self._state.wipes[wipe_id] = replace(wipe, step=step)
        if step in _PHONE_STATE:
            self._state.phones[wipe.uuid] = replace(self._state.phones[wipe.uuid], state=_PHONE_STATE[step])
        self._state.log(str(step), {"wipe_id": wipe_id}, now)

    async def last_word(self, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        facts = await self._decisions.facts(wipe.uuid, now)
        if facts is None:
            raise InputError("no such phone")
        decision = decide(facts)
        if decision.action is Action.WIPE:
            attempt = wipe.attempt + 1 if wipe.step is WipeStep.QUARANTINED else wipe.attempt
            self._state.wipes[wipe_id] = replace(wipe, step=WipeStep.ERASING, attempt=attempt, retry_at=None)
            self._state.phones[wipe.uuid] = replace(self._state.phones[wipe.uuid], state=State.ERASING)
            self._state.log("erasing", {"wipe_id": wipe_id}, now)
        return decision

    async def get(self, wipe_id: str) -> WipeRecord | None:
        return self._state.wipes.get(wipe_id)

    async def find(self, uuid: str = "", *, unfinished: bool = False) -> tuple[WipeRecord, ...]:
        found = [w for w in self._state.wipes.values() if (not uuid or w.uuid == uuid) and not (unfinished and w.step in FINAL_STEPS)]
        return tuple(found if unfinished else reversed(found))
