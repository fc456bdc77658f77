"""Which phones exist, and what is recorded of each. Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from wiped.errors import NotFoundError
from wiped.model.instants import instant_text
from wiped.model.inventory import DomainFacts
from wiped.model.records import PhoneRecord
from wiped.model.subscription import ENDED_STATES, Action, State
from wiped.ports.machine import Clock
from wiped.record import audit, notices
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, phone_of
from wiped.record.words import Sealed, Sealer, keep_note, keep_words


def row_of(connection: Connection, uuid: str) -> AnyRow | None:
    """The row of one phone."""
    return connection.execute(select(tables.phones).where(tables.phones.c.uuid == uuid)).first()


def known(connection: Connection, uuid: str) -> AnyRow:
    """The row of one phone; raises NotFoundError."""
    row = row_of(connection, uuid)
    if row is None:
        raise NotFoundError(f"no phone {uuid} is recorded", where="phone")
    return row


def all_phones(connection: Connection, states: Sequence[str]) -> tuple[PhoneRecord, ...]:
    """Phones in `states` (all when empty), by name."""
    query = select(tables.phones).order_by(tables.phones.c.name, tables.phones.c.uuid)
    if states:
        query = query.where(tables.phones.c.state.in_([str(state) for state in states]))
    return tuple(phone_of(row) for row in connection.execute(query))


def named(connection: Connection, name: str) -> tuple[PhoneRecord, ...]:
    """Phones of exactly that name, present ones first."""
    return tuple(
        phone_of(row)
        for row in connection.execute(select(tables.phones).where(tables.phones.c.name == name).order_by(tables.phones.c.present.desc(), tables.phones.c.uuid))
    )


def blank(uuid: str, name: str, now: datetime, *, present: bool) -> dict[str, Any]:
    """The values of a phone of which nothing is known yet; it waits for its first decision."""
    return {
        "uuid": uuid,
        "name": name,
        "present": present,
        "generation": 0,
        "state": str(State.UNBOUND),
        "since": now,
        "action": str(Action.NONE),
        "flags": [],
        "protected": False,
        "suspended": False,
        "fenced": False,
        "stopped": False,
        "occupied": False,
        "refusals": [],
        "reasons": [],
        "next_at": None,
        "next_state": None,
        "due_at": None,
        "notices_sent": [],
        "touches": 1,
        "decided": 0,
    }


def touch(connection: Connection, uuid: str) -> None:
    """Decide this phone again in the next sweep."""
    connection.execute(update(tables.phones).where(tables.phones.c.uuid == uuid).values(touches=tables.phones.c.touches + 1))


def touch_due(connection: Connection) -> None:
    """Decide every due phone again in the next sweep."""
    connection.execute(update(tables.phones).where(tables.phones.c.state == str(State.DUE)).values(touches=tables.phones.c.touches + 1))


def touch_all(connection: Connection) -> None:
    """Decide every phone again in the next sweep."""
    connection.execute(update(tables.phones).values(touches=tables.phones.c.touches + 1))


def see(connection: Connection, domains: Sequence[DomainFacts], now: datetime) -> None:
    """`PhoneStore.see`. A host on which nothing changed costs one query and no write."""
    seen = {domain.uuid: domain.name for domain in domains}
    rows = {
        row.uuid: row
        for row in connection.execute(select(tables.phones.c.uuid, tables.phones.c.name, tables.phones.c.present, tables.phones.c.state, tables.phones.c.since))
    }
    new = [uuid for uuid in seen if uuid not in rows]
    if new:
        connection.execute(tables.phones.insert(), [blank(uuid, seen[uuid], now, present=True) for uuid in new])
        for uuid in new:
            audit.append(connection, "phone-seen", {"uuid": uuid}, now)
    changed: list[dict[str, Any]] = []
    for uuid, row in rows.items():
        here = uuid in seen
        if here == row.present and (not here or seen[uuid] == row.name):
            continue
        state = row.state
        if here and not row.present:
            # A domain defined anew under the UUID of one that was released starts as nobody's: its old term does not bind it.
            # One that was disposed of stays so: what could not be proven may come back with it.
            state = str(State.UNBOUND) if row.state in ENDED_STATES and row.state != State.DISPOSED else row.state
            audit.append(connection, "phone-back", {"uuid": uuid, "state": state}, now)
        elif not here and row.state != State.WIPED and row.state not in ENDED_STATES:  # a wiped phone's domain was undefined by us
            audit.append(connection, "vanished", {"uuid": uuid, "state": row.state}, now)
        if here and seen[uuid] != row.name:
            audit.append(connection, "phone-renamed", {"uuid": uuid}, now)
        changed.append({"key": uuid, "new_present": here, "new_name": seen.get(uuid, row.name), "new_state": state,
                        "new_since": row.since if state == row.state else now})  # fmt: skip
    if changed:
        connection.execute(
            update(tables.phones)
            .where(tables.phones.c.uuid == bindparam("key"))
            .values(
                present=bindparam("new_present"),
                name=bindparam("new_name"),
                state=bindparam("new_state"),
                since=bindparam("new_since"),
                touches=tables.phones.c.touches + 1,
            ),
            changed,
        )


def mark(connection: Connection, uuid: str, values: Mapping[str, Any], now: datetime, *, sealed: Sealed | None, cause: str, operator: str) -> frozenset[str]:
    """`PhoneStore.mark`; `cause` is a code of the daemon's, "" for a person's. Returns the names of the values that changed."""
    phone = known(connection, uuid)
    news = {key: value for key, value in values.items() if getattr(phone, key) != value}
    if not news:
        return frozenset()
    connection.execute(update(tables.phones).where(tables.phones.c.uuid == uuid).values(**news, touches=tables.phones.c.touches + 1))
    keep_note(connection, uuid, "marked", "", sealed)
    audit.append(connection, "marked", {"uuid": uuid, **news, "cause": cause, "operator": operator}, now)
    if news.get("fenced"):
        notices.fenced(connection, uuid, cause, now)
    return frozenset(news)


def set_state(connection: Connection, uuid: str, state: State, now: datetime) -> None:
    """A state that a wipe's step determines."""
    phone = known(connection, uuid)
    if phone.state != state:
        connection.execute(update(tables.phones).where(tables.phones.c.uuid == uuid).values(state=str(state), since=now, touches=tables.phones.c.touches + 1))


def counts(connection: Connection) -> dict[str, int]:
    """Phones by state, all states present."""
    found = {row.state: row.number for row in connection.execute(select(tables.phones.c.state, func.count().label("number")).group_by(tables.phones.c.state))}
    return {str(state): found.get(str(state), 0) for state in State}


class SqlPhones:
    """`ports.ledger.PhoneStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._db = database
        self._sealer = sealer
        self._clock = clock

    async def see(self, domains: Sequence[DomainFacts], now: datetime) -> None:
        """See the port."""
        await self._db.write(lambda c: see(c, domains, now))

    async def find(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """See the port."""
        return await self._db.read(lambda c: all_phones(c, states))

    async def get(self, uuid: str) -> PhoneRecord | None:
        """See the port."""
        row = await self._db.read(lambda c: row_of(c, uuid))
        return None if row is None else phone_of(row)

    async def named(self, name: str) -> tuple[PhoneRecord, ...]:
        """See the port."""
        return await self._db.read(lambda c: named(c, name))

    async def mark(self, uuid: str, *, fenced: bool | None = None, suspended: bool | None = None, protected: bool | None = None, stopped: bool | None = None,
                   refusals: Sequence[str] | None = None, reason: str = "", operator: str = "daemon") -> None:  # fmt: skip
        """See the port. The daemon's `reason` is a code and goes into the audit log; a person's words are sealed."""
        now = self._clock.now()
        wanted: dict[str, Any] = {"fenced": fenced, "suspended": suspended, "protected": protected, "stopped": stopped}
        values = {key: value for key, value in wanted.items() if value is not None}
        if refusals is not None:
            values["refusals"] = list(dict.fromkeys(str(code) for code in refusals))
        row = await self._db.read(lambda c: known(c, uuid))
        person = operator != "daemon"
        sealed = await self._sealer.note(uuid, row.generation, reason) if person else None
        cause = "" if person else reason
        marked = {key: value for key, value in values.items() if key in ("suspended", "protected")} if person else {}
        told = {"reason": reason, "operator": operator, "at": instant_text(now)}
        slot = await self._sealer.slot(uuid, row.generation) if marked else ""
        words = {key: await self._sealer.sealed(slot, {**told, "set": "true" if on else "false"}) for key, on in marked.items()}

        def write(connection: Connection) -> None:
            changed = mark(connection, uuid, values, now, sealed=sealed, cause=cause, operator=operator)
            for key in marked.keys() & changed:
                keep_words(connection, f"mark:{key}:{uuid}:{row.generation}", words[key])

        await self._db.write(write)

    async def counts(self) -> dict[str, int]:
        """See the port."""
        return await self._db.read(counts)
