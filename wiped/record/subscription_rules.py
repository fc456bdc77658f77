"""What one record does to one phone (docs/design.md, "The life of a phone").
`weigh` is pure:

    nobody's, or its last generation ended      -> begin the next generation
    the same account, the phone not yet erased  -> unchanged, renewed or corrected: same generation
    the same account, past the last word        -> refused: subscription-renewed
    by hand, the end of a running term earlier,
      its policy another, or made a minor's     -> refused: needs-approval
    another account, the phone not yet wiped    -> refused: generation-occupied, and the phone is marked (and so fenced)
    a feed's record older than one taken before,
      whatever has ended since; or of a term that
      began before the last one ended and is over -> refused: revision-old
    a new term while host or product is drained -> refused: draining (R7)
    the very term that ended with its wipe      -> nothing: a feed that repeats itself does not bring a wiped phone's term back
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wiped.errors import InputError, RefusedError
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Subscription, SubscriptionRecord

#: Sources behind which one person stands: they cannot bring the end of a running term forward alone, unless billing signed the record.
BY_HAND = frozenset({"local", "cli", "import", "file"})
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
#: How many phones an error or an audit entry names at most.
SHOWN = 5


class Change(StrEnum):
    """What a record does."""

    NOTHING = "nothing"
    BEGIN = "begin"
    RENEW = "renew"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class Standing:
    """One phone before a record: `last` is its newest term, `ended` when that generation is over; `committed`: a wipe spoke its last word; `drained`:
    products of announced drains, "" for the whole host."""

    uuid: str
    generation: int
    last: Subscription | None
    ended: bool
    committed: bool
    occupied: bool
    drained: frozenset[str] = frozenset()
    ended_at: datetime | None = None
    """When that generation ended."""


def check(records: Sequence[SubscriptionRecord]) -> None:
    """Raises InputError naming the record (from 1), never a value of a person."""
    seen: set[str] = set()
    for number, record in enumerate(records, start=1):
        where = f"record {number}"
        if not _UUID.fullmatch(record.uuid):
            raise InputError("the phone is not a UUID in lower case", where=where)
        if record.uuid in seen:
            raise InputError(f"phone {record.uuid} stands twice in one batch", where=where)
        seen.add(record.uuid)
        if record.starts_at.tzinfo is None or record.expires_at.tzinfo is None:
            raise InputError("an instant without a time zone", where=where)
        if record.expires_at <= record.starts_at:
            raise InputError("the term ends before it starts", where=where)
        if not record.account.value or not record.subscription_id or not record.policy:
            raise InputError("account, subscription and policy must not be empty", where=where)


def _same(term: Subscription, record: SubscriptionRecord) -> bool:
    return (term.subscription_id, term.starts_at, term.expires_at, term.policy, term.minor, term.product) == (
        record.subscription_id,
        record.starts_at,
        record.expires_at,
        record.policy,
        record.minor,
        record.product,
    )


def weigh(before: Standing, record: SubscriptionRecord, *, same_account: bool, source: str, now: datetime) -> Change | RefusalCode:
    """What `record` does to a phone that stands like `before`. Pure."""
    term = before.last
    begin: Change | RefusalCode = RefusalCode.DRAINING if before.drained & {"", record.product} else Change.BEGIN
    if term is None:
        return RefusalCode.GENERATION_OCCUPIED if before.committed else begin
    if before.ended:
        if same_account and record.subscription_id == term.subscription_id and record.expires_at <= term.expires_at:
            return Change.NOTHING
        return RefusalCode.REVISION_OLD if _is_of_the_past(before, term, record, now) else begin
    if not same_account:
        return RefusalCode.GENERATION_OCCUPIED
    newer = record.revision is not None and (term.feed_revision is None or record.revision > term.feed_revision)
    if _same(term, record):
        # Its revision is remembered all the same: what was taken before it may not come back.
        return Change.CORRECT if newer and not before.committed else Change.NOTHING
    if term.feed_revision is not None and record.revision is not None and not newer:
        return RefusalCode.REVISION_OLD
    if before.committed:
        return RefusalCode.SUBSCRIPTION_RENEWED
    if source in BY_HAND and not record.signed and _may_shorten(term, record, now):
        return RefusalCode.NEEDS_APPROVAL
    return Change.CORRECT if record.expires_at <= term.expires_at and record.subscription_id == term.subscription_id else Change.RENEW


def _is_of_the_past(before: Standing, term: Subscription, record: SubscriptionRecord, now: datetime) -> bool:
    """Whether a record that would begin a generation was overtaken by the one that ended (I14): an answer that was kept somewhere, or played again, would bind
    the next customer's phone to a term that is over. The account does not tell: it may be anonymised by now."""
    if record.revision is not None and term.feed_revision is not None and record.revision <= term.feed_revision:
        return True
    return before.ended_at is not None and record.starts_at < before.ended_at and record.expires_at <= now


def completed(before: Standing, record: SubscriptionRecord) -> SubscriptionRecord:
    """The record, with what its source left out as the term has it that goes on: silence brings no instant forward (I10)."""
    return record if before.last is None or before.ended or not record.left_out else record.completed(before.last)


def _may_shorten(term: Subscription, record: SubscriptionRecord, now: datetime) -> bool:
    """Whether a record may bring forward what a customer was told: the end, or the grace after it. Another policy counts as such whatever its grace: the
    configuration may be changed by one person too."""
    earlier = record.expires_at < term.expires_at and now < term.expires_at
    return earlier or record.policy != term.policy or (record.minor and not term.minor)


def begins(before: Standing, change: Change) -> bool:
    """Whether the record begins a generation."""
    return change is Change.BEGIN or before.last is None


@dataclass(frozen=True, slots=True)
class Move:
    """A record, what it does, and under which pseudonym. `owner`: the account's own pseudonym (generation 0), where it has one."""

    before: Standing
    record: SubscriptionRecord
    change: Change
    account: str
    owner: str = ""


_WORDS = {
    RefusalCode.GENERATION_OCCUPIED: "belongs to another account until it is wiped",
    RefusalCode.SUBSCRIPTION_RENEWED: "is past the last word of its wipe: nothing turns back",
    RefusalCode.NEEDS_APPROVAL: "has a term, and bringing its end forward, another policy or making it a minor's takes a second person",
    RefusalCode.REVISION_OLD: "has a newer record already",
    RefusalCode.DRAINING: "takes no new subscription: the host, or its product, stops operating",
}


def refusal(refused: Sequence[tuple[str, RefusalCode]]) -> RefusedError:
    """The error for a refused batch, naming at most five phones by UUID."""
    ordered = sorted(refused, key=lambda item: list(_WORDS).index(item[1]))
    told = "; ".join(f"phone {uuid} {_WORDS[code]}" for uuid, code in ordered[:SHOWN])
    more = f"; and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return RefusedError(f"nothing was recorded: {told}{more}", codes=tuple(dict.fromkeys(str(code) for _, code in ordered)))
