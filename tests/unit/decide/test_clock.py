"""When the clock is suspect, and what clears it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.decide import clock
from wiped.model.clock import ClockMemory, ClockReading
from wiped.model.policy import Safety

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAFETY = Safety(max_clock_step=300)
DAY = 86_400


def reading(spent: float = 0, step: float = 0, *, boot: str = "b1", sync: bool | None = None, until: datetime | None = None) -> ClockReading:
    """`spent` seconds after START with realtime stepped by `step`; in a later boot boottime counts from its own start."""
    boottime = 1_000.0 + spent if boot == "b1" else 20.0 + spent % 10
    return ClockReading(START + timedelta(seconds=spent + step), boottime, boot, sync, until)


def after(*readings: ClockReading) -> ClockMemory:
    """What is remembered after these looks."""
    memory = None
    for item in readings:
        memory = clock.look(memory, item, SAFETY)
    assert memory is not None
    return memory


@pytest.mark.parametrize(
    ("looks", "suspect"),
    [
        ([reading()], ""),
        ([reading(), reading(3_600)], ""),
        ([reading(), reading(60, 300)], ""),
        ([reading(), reading(60, 301)], "stepped"),
        ([reading(), reading(60, -301)], "stepped"),
        ([reading(), reading(60, 400 * DAY)], "stepped"),
        ([reading(), reading(30, 200), reading(60, 400)], "stepped"),
        ([reading(), reading(60, 400), reading(120)], "stepped"),
        ([reading(sync=False), reading(60, 400, sync=True)], ""),
        ([reading(sync=False), reading(60, 400, sync=False), reading(90, 400, sync=True)], ""),
        ([reading(), reading(60, 400), reading(90, 400, sync=True)], ""),
        ([reading(sync=True), reading(60, 400 * DAY, sync=True), reading(90, 400 * DAY, sync=True)], "stepped"),
        ([reading(sync=True), reading(60, 400, sync=True), reading(90, 400, sync=False), reading(120, 0, sync=True)], ""),
        ([reading(sync=False), reading(60, sync=False)], ""),
        ([reading(sync=None), reading(60, sync=False)], ""),
        ([reading(sync=True), reading(60, sync=None)], ""),
        ([reading(sync=True), reading(60, sync=False)], "lost"),
        ([reading(sync=True), reading(60, sync=None), reading(90, sync=False)], "lost"),
        ([reading(sync=True), reading(60, sync=False), reading(90, sync=True)], ""),
        ([reading(sync=True), reading(60, sync=False), reading(90, boot="b2", sync=False)], "lost"),
        ([reading(sync=True), reading(60, boot="b2", sync=False)], ""),
        ([reading(), reading(600, boot="b2")], ""),
        ([reading(), reading(DAY - 1, boot="b2")], ""),
        ([reading(), reading(400 * DAY, boot="b2")], "away"),
        ([reading(), reading(400 * DAY, boot="b2", sync=False)], "away"),
        ([reading(), reading(400 * DAY, boot="b2", sync=True)], ""),
        ([reading(), reading(400 * DAY, boot="b2"), reading(400 * DAY + 5, boot="b2", sync=True)], ""),
        ([reading(), reading(-DAY, boot="b2")], "behind"),
        ([reading(until=START + timedelta(days=1))], "behind"),
        ([reading(until=START + timedelta(days=1)), reading(DAY + 60, until=START + timedelta(days=1))], "behind"),
        ([reading(until=START + timedelta(seconds=100))], "behind"),
        ([reading(until=START + timedelta(seconds=100)), reading(101, until=START + timedelta(seconds=100))], ""),
        ([reading(until=START + timedelta(seconds=100)), reading(10, 400, until=START + timedelta(seconds=100))], "behind"),
        ([reading(until=START + timedelta(days=1), sync=True)], ""),
        ([reading(until=START - timedelta(seconds=1))], ""),
    ],
)
def test_each_story_of_a_clock(looks: list[ClockReading], suspect: str) -> None:
    """Look after look; only the last one's suspicion is asked for."""
    assert after(*looks).suspect == suspect


@given(st.lists(st.tuples(st.floats(0, 10_000), st.sampled_from([None, False])), min_size=1, max_size=30), st.floats(301, 1e9))
def test_without_synchronisation_only_an_operator_clears_a_jump(walk: list[tuple[float, bool | None]], jump: float) -> None:
    """However often it is looked at, in whatever order, over a reboot too."""
    spent = 60.0
    memory = after(reading(), reading(spent, jump))
    assert memory.suspect == clock.STEPPED
    for seconds, sync in walk:
        spent += seconds
        memory = clock.look(memory, reading(spent, jump, sync=sync), SAFETY)
        assert memory.suspect
    memory = clock.look(memory, reading(spent + 60, jump, boot="b2"), SAFETY)
    assert memory.suspect
    assert not clock.trusted(memory, reading(spent + 70, jump, boot="b2")).suspect


@given(st.lists(st.floats(0, 100_000), min_size=1, max_size=20), st.lists(st.floats(-300, 300), min_size=1, max_size=20))
def test_a_clock_that_walks_with_boottime_is_never_suspect(spans: list[float], steps: list[float]) -> None:
    """Small steps about the true time, never synchronised, the daemon down for any of it."""
    memory, spent = clock.look(None, reading(), SAFETY), 0.0
    for seconds, step in zip(spans, steps, strict=False):
        spent += seconds
        memory = clock.look(memory, reading(spent, step * 0.99), SAFETY)
        assert not memory.suspect


def test_what_an_operator_trusted_is_trusted_as_it_stands() -> None:
    """A lost synchronisation is not told again before it was seen again; a jump counts from the new time."""
    lost = after(reading(sync=True), reading(60, sync=False))
    trusted = clock.trusted(lost, reading(70, sync=False))
    again = clock.look(trusted, reading(80, sync=False), SAFETY)
    assert again.suspect == ""
    found = clock.look(clock.look(again, reading(90, sync=True), SAFETY), reading(100, sync=False), SAFETY)
    assert found.suspect == clock.LOST
    jumped = clock.trusted(after(reading(), reading(60, 9_000)), reading(70, 9_000))
    assert clock.look(jumped, reading(80, 9_000), SAFETY).suspect == ""
    assert clock.look(jumped, reading(80), SAFETY).suspect == clock.STEPPED


def test_a_step_between_two_looks_is_seen() -> None:
    """By whoever asks: the last word does."""
    memory = after(reading())
    assert clock.stepped(memory, START + timedelta(seconds=60), 1_060.0, SAFETY) == 0
    assert clock.stepped(memory, START + timedelta(days=400), 1_060.0, SAFETY) == pytest.approx(400 * DAY - 60)


def test_a_suspicion_says_what_to_do() -> None:
    """And a trusted clock says nothing."""
    assert "wipectl clock trust --reason" in clock.sentence(after(reading(), reading(60, 400)))
    assert clock.sentence(after(reading())) == ""
    assert clock.sentence(None) == ""


def test_a_boot_whose_name_cannot_be_read_is_told_by_its_boottime() -> None:
    """Boottime that went back is another boot."""
    memory = after(replace(reading(), boot_id=""))
    assert clock.same_boot(memory, replace(reading(60), boot_id=""))
    assert not clock.same_boot(memory, replace(reading(60), boot_id="", boottime=5.0))
