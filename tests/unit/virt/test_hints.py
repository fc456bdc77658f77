"""Hints that something happened to a domain."""

from __future__ import annotations

from wiped.virt.hints import LIMIT, Bell


async def test_hints_are_bounded_and_each_once() -> None:
    """The same UUID waits once; too many, or a resync, become one "look at everything"."""
    bell = Bell()
    hints = bell.listen()
    for uuid in ("a", "b", "a"):
        bell.ring(uuid)
    assert [await anext(hints), await anext(hints)] == ["a", "b"]
    for number in range(LIMIT + 10):
        bell.ring(str(number))
    assert await anext(hints) == ""
    bell.ring("after")
    assert await anext(hints) == "after"


async def test_every_listener_hears() -> None:
    """Two listeners each get the hint; one that has gone is forgotten."""
    bell = Bell()
    first, second = bell.listen(), bell.listen()
    bell.ring("a")
    assert (await anext(first), await anext(second)) == ("a", "a")
    del first
    assert len(bell._listeners) == 1
