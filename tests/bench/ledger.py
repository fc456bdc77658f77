"""What a sweep costs the ledger: it must grow with what is due, not with the phones whose time has not come."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, insert

from tests.fakes.clock import FakeClock
from tests.unit.record.rig import Rig, rig_in, uuid_of
from wiped.model.subscription import Action, Decision, State
from wiped.record.phones import blank
from wiped.record.sql.schema import phones, subscriptions

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Figures:
    """Seconds. `look`: `due_for_decision` (median of 15) and `next_instant`; `idle_look`: the same with nothing due; `conclude`: facts and conclusion of
    every due phone, each a synced transaction."""

    phones: int
    due: int
    look: float
    idle_look: float
    next_instant: float
    conclude: float


def _fill(connection: Connection, count: int, due: int) -> None:
    rows, terms = [], []
    for number in range(count):
        next_at = NOW - timedelta(seconds=number + 1) if number < due else NOW + timedelta(days=1, seconds=number)
        decided = {"state": str(State.ACTIVE), "next_at": next_at, "touches": 1, "decided": 1, "generation": 1}
        rows.append({**blank(uuid_of(number), f"phone-{number}", NOW, present=True), **decided})
        term = {"uuid": uuid_of(number), "generation": 1, "subscription_id": "s", "account": f"acct-{number}", "policy": "default", "minor": False}
        terms.append({**term, "starts_at": NOW, "expires_at": next_at, "first_recorded_at": NOW, "revision": 1, "source": "bench"})
    connection.execute(insert(phones), rows)
    connection.execute(insert(subscriptions), terms)


async def _median(call: object, times: int = 15) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await call()  # type: ignore[operator]
        found.append(time.perf_counter() - began)
    return sorted(found)[times // 2]


async def _figures(rig: Rig, count: int, due: int) -> Figures:
    ledger = rig.ledger
    await ledger._db.write(lambda c: _fill(c, count, due))
    assert len(await ledger.decisions.due(NOW)) == due
    look = await _median(lambda: ledger.decisions.due(NOW))
    idle = await _median(lambda: ledger.decisions.due(NOW - timedelta(days=30)))
    instant = await _median(ledger.decisions.next_instant)
    decision = Decision(State.GRACE, (), Action.NONE, NOW + timedelta(days=9), State.DUE, ())
    began = time.perf_counter()
    for uuid in await ledger.decisions.due(NOW):
        await ledger.decisions.facts(uuid, NOW)
        await ledger.decisions.conclude(uuid, decision, NOW)
    conclude = time.perf_counter() - began
    assert await ledger.decisions.due(NOW) == ()
    return Figures(count, due, look, idle, instant, conclude)


def ledger_figures(count: int, due: int) -> Figures:
    """The figures for `count` phones of which `due` are due, on the filesystem of the temporary directory."""

    async def story(folder: Path) -> Figures:
        async with rig_in(folder, FakeClock(NOW)) as rig:
            return await _figures(rig, count, due)

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(story(Path(folder)))


def main() -> None:
    """Print the figures for 1,000 due of 10,000 and of 100,000, and for none due."""
    for count, due in ((10_000, 1_000), (100_000, 1_000), (100_000, 0)):
        found = ledger_figures(count, due)
        print(
            f"{found.phones:>7,} phones, {found.due:>5,} due: due_for_decision {found.look * 1000:6.2f} ms, nothing due {found.idle_look * 1000:5.2f} ms, "
            f"next_instant {found.next_instant * 1000:5.2f} ms, concluding the due {found.conclude:5.2f} s"
        )


if __name__ == "__main__":
    sys.exit(main())
