"""What takes more than one person, or more than one phone: requests on accounts, holds on accounts, approvals, drains. Functions run within a transaction
and take its connection; `AskingLedger` is mixed into `SqlLedger`. What people wrote is sealed before it gets here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text, update

from wiped.decide import approval as rules
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, Drain, is_kind
from wiped.model.instants import instant_text, parse_instant
from wiped.model.plan import RefusalCode
from wiped.model.subscription import AccountReference, Hold, Subscription, WipeRequest
from wiped.ports.machine import Clock
from wiped.ports.proofs import Pseudonyms
from wiped.record import asks, audit, outbox
from wiped.record.phones import known, touch
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, hold_of, request_of, subscription_of
from wiped.record.sql.schema import approvals, drains, hold_accounts, holds, host_notes, phones, requests, subscriptions

#: (kind of words, slot, sealed words).
Words = tuple[str, str, bytes]


def keep_words(connection: Connection, about: str, words: Sequence[Words]) -> None:
    """Sealed words about a thing."""
    for kind, slot, sealed in words:
        connection.execute(host_notes.insert().values(kind=kind, about=about, pseudonym=slot, sealed=sealed))


def words_about(connection: Connection, about: str) -> list[Words]:
    """All of them, oldest first."""
    rows = connection.execute(select(host_notes).where(host_notes.c.about == about).order_by(host_notes.c.id))
    return [(row.kind, row.pseudonym, row.sealed) for row in rows]


# -- accounts
def generations(connection: Connection) -> int:
    """The highest generation of any phone."""
    return int(connection.execute(select(func.max(subscriptions.c.generation))).scalar() or 0)


def living(connection: Connection, pseudonyms: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
    """(uuid, generation, account) of terms under these pseudonyms whose generation has not ended."""
    query = select(subscriptions.c.uuid, subscriptions.c.generation, subscriptions.c.account).where(
        subscriptions.c.account.in_(pseudonyms), subscriptions.c.ended_at.is_(None)
    )
    return tuple((row.uuid, row.generation, row.account) for row in connection.execute(query.order_by(subscriptions.c.uuid)))


# -- requests
def find_requests(connection: Connection, uuid: str, *, unfinished: bool) -> tuple[tuple[str, WipeRequest], ...]:
    """`Ledger.requests`."""
    query = select(requests).order_by(requests.c.requested_at, requests.c.id)
    if uuid:
        query = query.where(requests.c.uuid == uuid)
    if unfinished:
        query = query.where(requests.c.closed_at.is_(None))
    return tuple((row.uuid, request_of(row)) for row in connection.execute(query))


def _request(connection: Connection, request_id: str) -> AnyRow:
    row = connection.execute(select(requests).where(requests.c.id == request_id)).first()
    if row is None:
        raise NotFoundError(f"no request {request_id} is recorded", where="request")
    return row


def close_request(connection: Connection, request_id: str, now: datetime, *, code: str, operator: str) -> None:
    """`Ledger.close_request`."""
    row = _request(connection, request_id)
    if row.closed_at is not None:
        return
    connection.execute(update(requests).where(requests.c.id == request_id).values(closed_at=now))
    touch(connection, row.uuid)
    audit.append(connection, "request-closed", {"id": request_id, "uuid": row.uuid, "code": code, "operator": operator}, now)


def approve_request(connection: Connection, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
    """`Ledger.approve_request`; an empty `approver` takes an agreement back (its plan changed)."""
    row = _request(connection, request_id)
    if row.closed_at is not None:
        raise InputError("the request is closed", where="request")
    given = bool(approver)
    values = {
        "approved": given,
        "approver": approver,
        "approved_at": now if given else None,
        "approved_until": until if given else None,
        "fingerprint": fingerprint,
    }
    connection.execute(update(requests).where(requests.c.id == request_id).values(**values))
    touch(connection, row.uuid)
    told = {"id": request_id, "uuid": row.uuid, "approved": given, "approver": approver, "fingerprint": fingerprint, "operator": row.operator}
    audit.append(connection, "request-approved" if given else "request-unapproved", told, now)


# -- holds on accounts
def add_account_hold(connection: Connection, hold: Hold, pseudonyms: Sequence[str], now: datetime, operator: str) -> None:
    """A hold with all the pseudonyms that its account has now."""
    asks.add_hold(connection, hold, now, operator)
    for name in dict.fromkeys([hold.account, *pseudonyms]):
        connection.execute(hold_accounts.insert().prefix_with("OR IGNORE").values(hold_id=hold.id, account=name))
    for uuid in connection.execute(select(subscriptions.c.uuid).where(subscriptions.c.account.in_(pseudonyms))).scalars():
        touch(connection, uuid)


def link_holds(connection: Connection, owner: str, account: str, uuid: str, now: datetime) -> None:
    """A held account got a phone: what holds its other ones holds this one (R9). `owner`: the account's own pseudonym, of generation 0."""
    if not owner:
        return
    query = select(hold_accounts.c.hold_id).join(holds, holds.c.id == hold_accounts.c.hold_id).where(
        hold_accounts.c.account == owner, holds.c.released_at.is_(None)
    )  # fmt: skip
    for hold_id in connection.execute(query).scalars().all():
        connection.execute(hold_accounts.insert().prefix_with("OR IGNORE").values(hold_id=hold_id, account=account))
        audit.append(connection, "hold-reaches", {"id": hold_id, "uuid": uuid, "account": account}, now)


def of_account(connection: Connection, account: str) -> tuple[Hold, ...]:
    """Holds in force on a pseudonym."""
    query = select(holds).where(
        text("released_at IS NULL"), holds.c.id.in_(select(hold_accounts.c.hold_id).where(hold_accounts.c.account == account))
    )  # fmt: skip
    return tuple(map(hold_of, connection.execute(query)))


def reached(connection: Connection, hold: AnyRow) -> list[str]:
    """The phones that a hold reaches."""
    accounts = select(hold_accounts.c.account).where(hold_accounts.c.hold_id == hold.id)
    found = set(connection.execute(select(subscriptions.c.uuid).where(subscriptions.c.account.in_(accounts))).scalars())
    return sorted(found | ({hold.uuid} - {""}))


def lengthen_approvals(connection: Connection, uuids: Sequence[str], now: datetime) -> None:
    """What was agreed to before a hold was released may be used for as long again as it could when it was given: the hold kept it from being used."""
    rows = connection.execute(
        select(requests).where(requests.c.uuid.in_(uuids), requests.c.closed_at.is_(None), requests.c.approved, requests.c.approved_until.is_not(None))
    ).all()
    for row in rows:
        if row.approved_until > row.approved_at:
            until = max(row.approved_until, now + (row.approved_until - row.approved_at))
            connection.execute(update(requests).where(requests.c.id == row.id).values(approved_until=until))


# -- approvals
def approval_of(row: AnyRow) -> Approval:
    """A row of `approvals`."""
    return Approval(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        uuids=tuple(row.uuids),
        fingerprint=row.fingerprint,
        asked_by=row.asked_by,
        asked_uid=row.asked_uid,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        state=ApprovalState(row.state),
        approvals=tuple(row.agreed),
        needed=row.needed,
        decided_at=row.decided_at,
        terms=row.terms,
    )


def approval(connection: Connection, approval_id: str) -> Approval:
    """One approval. Raises NotFoundError."""
    row = connection.execute(select(approvals).where(approvals.c.id == approval_id)).first()
    if row is None:
        raise NotFoundError("no such approval", where="approval")
    return approval_of(row)


def find_approvals(connection: Connection, *, unfinished: bool) -> tuple[Approval, ...]:
    """`Ledger.approvals`."""
    query = select(approvals).order_by(approvals.c.asked_at, approvals.c.id)
    if unfinished:
        query = query.where(text("state = 'pending'"))
    return tuple(map(approval_of, connection.execute(query)))


def ask(connection: Connection, asked: Approval, words: Sequence[Words], now: datetime) -> Approval:
    """`Ledger.ask_approval`. Raises InputError for a kind that has not the form of one."""
    if not is_kind(asked.kind):
        raise InputError(f"{asked.kind!r} is no kind of approval", where="kind")
    same = (approvals.c.kind == str(asked.kind), approvals.c.subject == asked.subject, text("state = 'pending'"))
    standing = connection.execute(select(approvals).where(*same)).first()
    if standing is not None:
        return approval_of(standing)
    connection.execute(
        approvals.insert().values(
            id=asked.id,
            kind=str(asked.kind),
            subject=asked.subject,
            uuids=list(asked.uuids),
            fingerprint=asked.fingerprint,
            asked_by=asked.asked_by,
            asked_uid=asked.asked_uid,
            asked_at=asked.asked_at,
            expires_at=asked.expires_at,
            state=str(asked.state),
            agreed=list(asked.approvals),
            needed=asked.needed,
            terms=None if asked.terms is None else dict(asked.terms),
        )
    )
    keep_words(connection, asked.id, words)
    audit.append(connection, "approval-asked", _told(asked), now)
    outbox.approval_asked(connection, asked, now)
    return asked


def _told(asked: Approval) -> dict[str, Any]:
    return {"id": asked.id, "kind": str(asked.kind), "subject": asked.public_subject, "phones": list(asked.uuids), "fingerprint": asked.fingerprint,
            "operator": asked.asked_by, "needed": asked.needed}  # fmt: skip


def agree(connection: Connection, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
    """`Ledger.agree`."""
    found = approval(connection, approval_id)
    if found.state is ApprovalState.APPROVED and name in found.approvals:
        return found
    if found.state is not ApprovalState.PENDING:
        raise InputError(f"it is {found.state} already", where="approval")
    if now >= found.expires_at:
        raise RefusedError("nobody approved in time: ask again", codes=(RefusalCode.EXPIRED_APPROVAL,))
    if name == found.asked_by:
        raise RefusedError("whoever asked cannot approve it", codes=(RefusalCode.NEEDS_APPROVAL,))
    if fingerprint != found.fingerprint:
        raise RefusedError("another plan is waiting for approval by now: look again", codes=(RefusalCode.DRIFT,))
    if name in found.approvals:
        return found
    after = replace(found, approvals=(*found.approvals, name))
    enough = rules.enough(after)
    after = replace(after, state=ApprovalState.APPROVED if enough else ApprovalState.PENDING, decided_at=now if enough else None)
    values = {"agreed": list(after.approvals), "state": str(after.state), "decided_at": after.decided_at}
    connection.execute(update(approvals).where(approvals.c.id == approval_id).values(**values))
    audit.append(connection, "approval-given", {**_told(found), "approver": name, "enough": enough}, now)
    for uuid in after.uuids:
        touch(connection, uuid)
    return after


def settle(connection: Connection, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str) -> Approval:
    """`Ledger.settle_approval`."""
    found = approval(connection, approval_id)
    if state is ApprovalState.PENDING:
        if found.state is not ApprovalState.PENDING or found.fingerprint == fingerprint:
            return found
        connection.execute(update(approvals).where(approvals.c.id == approval_id).values(fingerprint=fingerprint, agreed=[]))
        audit.append(connection, "approval-changed", {**_told(found), "fingerprint": fingerprint, "was": found.fingerprint}, now)
        return replace(found, fingerprint=fingerprint, approvals=())
    if found.state is not ApprovalState.PENDING:
        return found
    connection.execute(update(approvals).where(approvals.c.id == approval_id).values(state=str(state), decided_at=now))
    audit.append(connection, "approval-settled", {**_told(found), "state": str(state), "approver": operator}, now)
    for uuid in found.uuids:
        touch(connection, uuid)
    return replace(found, state=state, decided_at=now)


def shorten(connection: Connection, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
    """`Ledger.shorten_term`. `terms`: `was` (the end that was asked to be brought forward) and `expires`, as `instant_text`."""
    own = (subscriptions.c.uuid == uuid, subscriptions.c.generation == generation, subscriptions.c.ended_at.is_(None))
    row = connection.execute(select(subscriptions).where(*own)).first()
    if row is None or known(connection, uuid).generation != generation or instant_text(row.expires_at) != terms["was"]:
        raise RefusedError("the term is another one by now: ask again", codes=(RefusalCode.DRIFT,))
    expires = parse_instant(terms["expires"])
    connection.execute(update(subscriptions).where(*own).values(expires_at=expires, first_recorded_at=now, revision=row.revision + 1))
    touch(connection, uuid)
    told = {"uuid": uuid, "generation": generation, "was": terms["was"], "expires_at": terms["expires"], "operator": operator, "approver": approver}
    audit.append(connection, "term-shortened", told, now)
    return subscription_of(connection.execute(select(subscriptions).where(*own)).one())


# -- drains
def drain_of(row: AnyRow) -> Drain:
    """A row of `drains`."""
    return Drain(
        id=row.id,
        at=row.at,
        product=row.product,
        announced_at=row.announced_at,
        operator=row.operator,
        approved=row.approved,
        approver=row.approver,
        cancelled_at=row.cancelled_at,
    )


def drains_in_force(connection: Connection) -> tuple[Drain, ...]:
    """`Ledger.drains`."""
    return tuple(drain_of(row) for row in connection.execute(select(drains).where(text("cancelled_at IS NULL")).order_by(drains.c.at, drains.c.id)))


def _touch_all(connection: Connection) -> None:
    connection.execute(update(phones).values(touches=phones.c.touches + 1))


def announce(connection: Connection, drain: Drain, words: Sequence[Words], now: datetime) -> Drain:
    """`Ledger.announce_drain`."""
    if any(other.product == drain.product for other in drains_in_force(connection)):
        raise InputError("one is in force already: wipectl drain status", where="drain")
    announced = replace(drain, announced_at=now)
    connection.execute(
        drains.insert().values(id=drain.id, product=drain.product, at=drain.at, announced_at=now, operator=drain.operator, approved=False, approver="")
    )
    keep_words(connection, drain.id, words)
    told = {"id": drain.id, "product": drain.product, "at": instant_text(drain.at), "operator": drain.operator}
    audit.append(connection, "drain-announced", told, now)
    outbox.drain_told(connection, announced, now)
    _touch_all(connection)
    return announced


def change(connection: Connection, drain_id: str, now: datetime, *, approver: str, cancelled: bool, operator: str) -> Drain:
    """`Ledger.change_drain`."""
    row = connection.execute(select(drains).where(drains.c.id == drain_id)).first()
    if row is None:
        raise NotFoundError("no such drain", where="drain")
    if row.cancelled_at is not None:
        return drain_of(row)
    if cancelled:
        if now >= row.at:
            raise InputError("it has begun: it can be cancelled until its date only", where="drain")
        connection.execute(update(drains).where(drains.c.id == drain_id).values(cancelled_at=now))
        audit.append(connection, "drain-cancelled", {"id": drain_id, "operator": operator, "approver": approver}, now)
    elif approver and not row.approved:
        connection.execute(update(drains).where(drains.c.id == drain_id).values(approved=True, approver=approver))
        audit.append(connection, "drain-approved", {"id": drain_id, "operator": row.operator, "approver": approver}, now)
    found = drain_of(connection.execute(select(drains).where(drains.c.id == drain_id)).one())
    if cancelled:
        outbox.drain_told(connection, found, now)
    _touch_all(connection)
    return found


class AskingLedger:
    """Mixed into `SqlLedger`, which owns the database, the vault and the clock."""

    _db: Database
    _vault: Pseudonyms
    _clock: Clock

    # -- of `SqlLedger`
    async def _sealed(self, slot: str, words: Mapping[str, str]) -> list[Words]:
        raise NotImplementedError

    async def _slot(self, uuid: str) -> str:
        raise NotImplementedError

    async def _own_slot(self, about: str) -> str:
        raise NotImplementedError

    async def _opened(self, words: Sequence[Words]) -> dict[str, str]:
        raise NotImplementedError

    # -- accounts
    async def _pseudonyms(self, account: AccountReference) -> tuple[str, ...]:
        highest = await self._db.read(generations)
        return await self._vault.find(account, range(highest + 2))

    async def accounts_of(self, account: AccountReference) -> tuple[tuple[str, int, str], ...]:
        """See `ports.PromiseLedger`."""
        names = await self._pseudonyms(account)
        return await self._db.read(lambda c: living(c, names))

    async def terms_of(self, account: AccountReference) -> tuple[tuple[Subscription, datetime | None], ...]:
        """See `ports.PromiseLedger`."""
        names = await self._pseudonyms(account)
        query = select(subscriptions).where(subscriptions.c.account.in_(names)).order_by(subscriptions.c.uuid, subscriptions.c.generation)
        return await self._db.read(lambda c: tuple((subscription_of(row), row.ended_at) for row in c.execute(query)))

    async def holds_on(self, account: AccountReference, uuids: Sequence[str]) -> tuple[Hold, ...]:
        """See `ports.PromiseLedger`."""
        names = await self._pseudonyms(account)
        of_names = select(hold_accounts.c.hold_id).where(hold_accounts.c.account.in_(names))
        query = select(holds).where(text("released_at IS NULL"), holds.c.id.in_(of_names) | holds.c.uuid.in_(uuids)).order_by(holds.c.added_at, holds.c.id)
        now = self._clock.now()
        return await self._db.read(lambda c: tuple(hold for hold in map(hold_of, c.execute(query)) if hold.until is None or now < hold.until))

    async def generation_of(self, request_id: str) -> int:
        """See `ports.PromiseLedger`."""
        return await self._db.read(lambda c: int(_request(c, request_id).generation))

    async def add_account_request(self, account: AccountReference, found: Sequence[tuple[str, WipeRequest]], *, reference: str, reason: str,
                                  operator: str) -> None:  # fmt: skip
        """See `ports.PromiseLedger`."""
        now = self._clock.now()
        sealed = [await self._sealed(request.account, {"reference": reference, "reason": reason}) for _, request in found]

        def write(connection: Connection) -> None:
            for (uuid, request), words in zip(found, sealed, strict=True):
                asks.add_request(connection, uuid, request, now, reference=request.id, sealed=None, operator=operator)
                keep_words(connection, request.id, words)

        await self._db.write(write)

    async def add_account_hold(self, hold: Hold, account: AccountReference, now: datetime, operator: str, *, reason: str) -> Hold:
        """See `ports.PromiseLedger`."""
        owner = await self._vault.pseudonym(account, 0)
        names = await self._pseudonyms(account)
        words = await self._sealed(owner, {"authority": hold.authority, "reference": hold.reference, "reason": reason})
        recorded = replace(hold, uuid="", account=owner)

        def write(connection: Connection) -> None:
            add_account_hold(connection, recorded, names, now, operator)
            keep_words(connection, hold.id, words)

        await self._db.write(write)
        return recorded

    # -- requests
    async def requests(self, *, uuid: str = "", unfinished: bool = True) -> tuple[tuple[str, WipeRequest], ...]:
        """See `ports.PromiseLedger`."""
        return await self._db.read(lambda c: find_requests(c, uuid, unfinished=unfinished))

    async def close_request(self, request_id: str, now: datetime, *, code: str, operator: str) -> None:
        """See `ports.PromiseLedger`."""
        await self._db.write(lambda c: close_request(c, request_id, now, code=code, operator=operator))

    async def approve_request(self, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
        """See `ports.PromiseLedger`."""
        await self._db.write(lambda c: approve_request(c, request_id, now, approver=approver, until=until, fingerprint=fingerprint))

    async def words(self, about: str) -> dict[str, str]:
        """See `ports.PromiseLedger`."""
        return await self._opened(await self._db.read(lambda c: words_about(c, about)))

    # -- approvals
    async def ask_approval(self, asked: Approval, *, reason: str) -> Approval:
        """See `ports.PromiseLedger`."""
        slot = await self._slot(asked.uuids[0]) if len(asked.uuids) == 1 else await self._own_slot("host")
        words = await self._sealed(slot, {"reason": reason})
        return await self._db.write(lambda c: ask(c, asked, words, asked.asked_at))

    async def approvals(self, *, unfinished: bool = True) -> tuple[Approval, ...]:
        """See `ports.PromiseLedger`."""
        return await self._db.read(lambda c: find_approvals(c, unfinished=unfinished))

    async def approval(self, approval_id: str) -> Approval | None:
        """See `ports.PromiseLedger`."""
        try:
            return await self._db.read(lambda c: approval(c, approval_id))
        except NotFoundError:
            return None

    async def agree(self, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
        """See `ports.PromiseLedger`."""
        return await self._db.write(lambda c: agree(c, approval_id, name, now, fingerprint=fingerprint))

    async def settle_approval(self, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str = "") -> Approval:
        """See `ports.PromiseLedger`."""
        return await self._db.write(lambda c: settle(c, approval_id, state, now, operator=operator, fingerprint=fingerprint))

    async def shorten_term(self, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
        """See `ports.PromiseLedger`."""
        return await self._db.write(lambda c: shorten(c, uuid, generation, terms, now, operator=operator, approver=approver))

    # -- drains
    async def announce_drain(self, drain: Drain, *, reason: str) -> Drain:
        """See `ports.PromiseLedger`."""
        now = self._clock.now()
        words = await self._sealed(await self._own_slot("host"), {"reason": reason})
        return await self._db.write(lambda c: announce(c, drain, words, now))

    async def drains(self) -> tuple[Drain, ...]:
        """See `ports.PromiseLedger`."""
        return await self._db.read(drains_in_force)

    async def change_drain(self, drain_id: str, now: datetime, *, approver: str = "", cancelled: bool = False, operator: str = "") -> Drain:
        """See `ports.PromiseLedger`."""
        return await self._db.write(lambda c: change(c, drain_id, now, approver=approver, cancelled=cancelled, operator=operator))
