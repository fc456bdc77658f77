"""The room as a whole: how many floors it has, and that nothing in it goes round in a circle."""

from __future__ import annotations

from functools import cache

import grimp

from wiped.conduct.deeds.table import DEEDS

ROOM = "wiped.conduct"
FLOORS = 6


def test_at_most_six_floors_and_no_circle() -> None:
    """A module's floor is one above the highest module of this room that it imports; the table of deeds imports every deed, though at run time."""
    graph = grimp.build_graph("wiped")
    deeds = {f"{ROOM}.deeds.{kind.replace('-', '_')}" for kind in DEEDS}
    below = {
        module: {item for item in graph.find_modules_directly_imported_by(module) if item.startswith(f"{ROOM}.")}
        for module in graph.modules
        if module.startswith(f"{ROOM}.")
    }
    assert deeds <= below.keys()
    below[f"{ROOM}.deeds.table"] |= deeds
    climbing: set[str] = set()

    @cache
    def floor(module: str) -> int:
        assert module not in climbing, f"a circle through {module}"
        climbing.add(module)
        found = 1 + max((floor(item) for item in below[module]), default=0)
        climbing.discard(module)
        return found

    floors = {module: floor(module) for module in below}
    assert max(floors.values()) <= FLOORS, sorted(floors.items(), key=lambda item: -item[1])[:5]
