"""Simulated hosts: a few seeds each time, more in `make test-long`; the stories that found a fault; and guards taken out, which the books must notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.sim.stories import told
from wiped.conduct import decisions
from wiped.conduct.sweep import breaker, sweep
from wiped.conduct.wipe import fence
from wiped.decide import fences, lifecycle
from wiped.decide.gate import Act, Answer, Verdict
from wiped.record import subscription_rules

#: (seed, events) -> what the story found when it was new.
FOUND = {
    (6, 40): "I10: while the clock was suspect, a record whose end had passed let every later decision go by that clock",
    (1030, 60): "I12: a second step within one suspicion left the next look at a phone two years ahead",
    (19, 60): "I12: what was agreed to lapsed, and a protected phone stayed due in lists, but not by explain",
}


@pytest.mark.parametrize(("seed", "events"), [(1, 40), (2, 40), *FOUND])
def test_the_promise_is_kept_in_this_story(seed: int, events: int) -> None:
    """Whatever moves at once."""
    assert asyncio.run(told(seed, events))[1] == ""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(1_000, 1_040, 10))
def test_the_promise_is_kept_in_many(first: int) -> None:
    """Other ones, sixty events each."""
    assert [why for seed in range(first, first + 10) if (why := asyncio.run(told(seed, 60))[1])] == []


def _go(_act: Act, _conditions: object) -> Verdict:
    return Verdict(Answer.GO)


def _without(**nothing: object) -> Callable[[pytest.MonkeyPatch], None]:
    """These facts are not seen."""
    real = decisions.complete
    return lambda patch: patch.setattr(decisions, "complete", lambda world, facts: replace(real(world, facts), **nothing))  # type: ignore[arg-type]


async def _never_started(world: object, uuid: str, *, reason: str) -> None:
    await fence.lift(world, uuid, reason=reason)  # type: ignore[arg-type]


#: What is taken out, what the books say then, and the events that its stories are about (all, where none is named).
TAKEN_OUT: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, tuple[str, ...]]] = {
    "holds": (_without(holds=()), "a hold is in force", ("time", "hold", "renewal")),
    "protection": (_without(protected=False), "it is protected", ("time", "protect", "renewal")),
    "the clock's suspicion": (lambda patch: patch.setattr(decisions, "clock_suspect", lambda _: False), "clock", ()),
    "frozen states": (lambda patch: patch.setattr(lifecycle, "_not_by_time", lambda _facts, decision, _now: decision), "", ()),
    "the grace that was promised": (
        lambda patch: patch.setattr(decisions, "as_promised", lambda policy, *_: policy),
        "its time has not come",
        ("time", "configuration", "renewal"),
    ),
    "the second person for an earlier end": (lambda patch: patch.setattr(subscription_rules, "_may_shorten", lambda *_: False), "its time has not come", ()),
    "the breaker before stopping": (lambda patch: patch.setattr(fences.gate, "ask", _go), "", ()),
    "starting what was stopped": (lambda patch: patch.setattr(sweep.fence, "give_back", _never_started), "is paid for and off", ()),
    "the breaker's count": (lambda patch: patch.setattr(breaker, "is_newly_due", lambda *_: False), "stopped at once", ()),
    "giving back": (lambda patch: patch.setattr(sweep.Reconciler, "_may_lift", lambda *_: False), "is paid for and off", ()),
}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("guard", TAKEN_OUT)
def test_a_guard_that_is_taken_out_is_missed(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within forty hosts."""
    take, said, often = TAKEN_OUT[guard]
    take(monkeypatch)
    whys = (asyncio.run(told(seed, 60, often))[1] for seed in range(1, 40))
    found = next((why for why in whys if why), "")
    assert found
    assert said in found
