"""The bound of one look: what comes back in time, what does not, and who asks again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE
from wiped.errors import RefusedError, StorageError
from wiped.storage import time_limit
from wiped.storage.time_limit import TimeLimit


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a hanging look waits for."""
    monkeypatch.setattr(time_limit, "LOOK_SECONDS", 0.05)
    opened = threading.Event()
    yield opened
    opened.set()


def test_what_a_look_gives_or_raises_is_the_askers() -> None:
    """As if there were no thread."""

    def refused() -> str:
        raise RefusedError("no", codes=["unreadable"])

    limit = TimeLimit()
    assert limit.run("a", lambda: "found") == "found"
    with pytest.raises(RefusedError, match="no"):
        limit.run("a", refused)


def test_one_that_hangs_is_given_up_and_looked_at_again_once_it_is_back(gate: threading.Event) -> None:
    """Nobody else starts a second look beside it; other places are looked at meanwhile."""
    began: list[int] = []
    back = threading.Event()

    def hangs() -> int:
        began.append(1)
        gate.wait(PATIENCE)
        back.set()
        return len(began)

    with pytest.raises(StorageError, match="its storage hangs: a look"):
        TimeLimit().run("hung", hangs)
    with pytest.raises(StorageError, match="its storage hangs: an earlier look"):
        TimeLimit().run("hung", hangs)
    assert began == [1]
    assert TimeLimit().run("other", lambda: 3) == 3
    gate.set()
    assert back.wait(PATIENCE)
    for thread in threading.enumerate():
        if thread.name == "look":
            thread.join(PATIENCE)
    assert TimeLimit().run("hung", hangs) == 2


def test_many_that_hang_share_one_bound(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty images of one dead mount do not take fifty times as long; those that are not looked at say why."""
    monkeypatch.setattr(time_limit, "OVERALL_SECONDS", 0.12)
    limit = TimeLimit()
    told = []
    for number in range(50):
        with pytest.raises(StorageError) as error:
            limit.run(f"mount/{number}", lambda: gate.wait(PATIENCE))
        told.append(str(error.value))
    assert sum("has not come back for" in text for text in told) <= 4
    assert told[-1] == "it was not looked at: the storage of other images hangs"
