"""Which notices a changed decision means (R8), and what a notice may carry (R19). Pure.

    notice instant reached      -> phone.expiring, once per instant and end of the term; of several reached at once the nearest to the end
    the term ended              -> phone.expired, once per end
    grace or settling began     -> phone.wipe-scheduled, again when the due instant or the trigger changes
    due, and held               -> phone.held, when the hold begins to keep a wipe from happening (a hold on a running term is told to nobody)
    a guard refused             -> phone.refused, for each new set of codes; the same set again at most once a day

Everything else is told in the transaction in which it happens (`record.outbox`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from wiped.model.instants import instant_text
from wiped.model.notices import Backlog, NoticeKind
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Decision, Flag, State

#: A receiver that has taken nothing for so long is a fault of the host.
SILENT = timedelta(hours=1)
#: The same refusal is told again after this.
REFUSED_AGAIN = timedelta(days=1)

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)
_CODE = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}", re.ASCII)
#: UUIDs, digests, `<uuid>:<n>`, and the labels that the provider gives its products.
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z:._-]{0,127}", re.ASCII)

#: All that `data` may hold, by key. No key is a name, a reference, a reason of a person's, a path or a member of staff.
SHAPES: Mapping[str, re.Pattern[str] | type] = {
    "expires_at": _INSTANT, "due_at": _INSTANT, "retry_at": _INSTANT, "at": _INSTANT, "until": _INSTANT, "started_at": _INSTANT,
    "notice_seconds": int, "attempt": int, "needed": int, "newly_due": int, "limit": int, "bound": int, "window": int, "breaker_id": int, "count": int,
    "trigger": _CODE, "ground": _CODE, "kind": _CODE, "cause": _CODE, "outcome": _CODE, "policy": _CODE, "state": _CODE, "scope": _CODE,
    "codes": _CODE, "reasons": _CODE, "residuals": _CODE,
    "wipe_id": _ID, "certificate_id": _ID, "approval_id": _ID, "request_id": _ID, "hold_id": _ID, "drain_id": _ID, "subject": _ID, "fingerprint": _ID,
    "uuid": _ID, "uuids": _ID, "product": _ID,
    "approved": bool,
}  # fmt: skip


def _fits(shape: re.Pattern[str] | type, value: Any) -> bool:
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    return type(value) is shape


def admitted(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` without whatever is not on the list: an unknown key, a value that has not its key's shape (a list's items each for themselves). Instants
    become text; empty texts and None are left out."""
    kept: dict[str, Any] = {}
    for key, value in data.items():
        shape = SHAPES.get(key)
        plain = instant_text(value) if isinstance(value, datetime) and value.tzinfo is not None else value
        if shape is None or plain is None or plain == "":
            continue
        if isinstance(plain, list | tuple):
            kept[key] = [str(item) if isinstance(item, str) else item for item in plain if _fits(shape, item)]
        elif _fits(shape, plain):
            kept[key] = str(plain) if isinstance(plain, str) else plain
    return kept


@dataclass(frozen=True, slots=True)
class Before:
    """What was recorded of a phone before a decision. `codes`: what guards refuse it for now; `expires_at`: the end of its term (None: it has none)."""

    state: State
    flags: tuple[str, ...]
    due_at: datetime | None
    reached: tuple[int, ...]
    expires_at: datetime | None
    codes: tuple[str, ...] = ()
    occupied: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One notice that a decision means. `fresh`: its condition has just begun, rather than goes on."""

    kind: NoticeKind
    data: dict[str, Any] = field(default_factory=dict)
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Last:
    """The newest notice of one kind about the same phone and generation."""

    data: Mapping[str, Any]
    at: datetime


def of_decision(before: Before, decision: Decision, now: datetime) -> tuple[Told, ...]:
    """What `decision` may mean for the outside, in the order in which it is told; `is_news` then says what was told already."""
    if before.expires_at is None:
        return _refused(before, decision)
    if decision.quiet:  # told when it can be: nothing of it is recorded as told
        return _refused(before, decision)
    told: list[Told] = []
    waiting = {State.GRACE, State.DUE}
    changed = before.state is not decision.state or before.due_at != decision.due_at
    if decision.state is State.NOTICE and decision.notices and (changed or set(before.reached) != set(decision.notices)):
        told.append(Told(NoticeKind.EXPIRING, {"expires_at": instant_text(before.expires_at), "notice_seconds": min(decision.notices)}))
    if decision.state in waiting and changed:
        if now >= before.expires_at:
            told.append(Told(NoticeKind.EXPIRED, {"expires_at": instant_text(before.expires_at)}))
        if decision.due_at is not None and (decision.state is State.GRACE or before.state not in waiting):
            scheduled = {"due_at": instant_text(decision.due_at), "trigger": decision.trigger or "expiry", "ground": decision.ground or "service-ended"}
            told.append(Told(NoticeKind.WIPE_SCHEDULED, scheduled))
    if decision.state is State.DUE and Flag.HELD in decision.flags and (before.state is not State.DUE or Flag.HELD not in before.flags):
        told.append(Told(NoticeKind.HELD, {"due_at": instant_text(decision.due_at)} if decision.due_at else {}))
    return (*told, *_refused(before, decision))


def _refused(before: Before, decision: Decision) -> tuple[Told, ...]:
    if Flag.REFUSED not in decision.flags:
        return ()
    codes = sorted({str(code) for code in before.codes} | ({str(RefusalCode.GENERATION_OCCUPIED)} if before.occupied else set()))
    return (Told(NoticeKind.REFUSED, {"codes": codes}, fresh=Flag.REFUSED not in before.flags),) if codes else ()


def is_news(told: Told, last: Last | None, now: datetime) -> bool:
    """Whether `told` says what `last` (None: nothing) did not."""
    if last is None:
        return True
    if told.kind is NoticeKind.EXPIRING:
        nearer: int = last.data.get("notice_seconds", 0)
        return bool(last.data.get("expires_at") != told.data["expires_at"] or told.data["notice_seconds"] < nearer)
    if told.kind is NoticeKind.REFUSED:
        return bool(last.data.get("codes") != told.data["codes"]) or (told.fresh and now - last.at >= REFUSED_AGAIN)
    if told.kind is NoticeKind.HELD:
        return told.fresh
    return dict(last.data) != dict(told.data)


def fault(backlog: Backlog, now: datetime) -> str:
    """What is wrong with the delivery of notices, for people; "" when nothing is."""
    if backlog.dead:
        return f"{backlog.dead} notices were given up (dead letters): see that the receiver takes them, then restart wiped, which tries them again"
    if backlog.oldest_at is not None and now - backlog.oldest_at >= SILENT:
        return f"{backlog.pending} notices wait for the receiver, the oldest since {instant_text(backlog.oldest_at)}; they are tried again"
    return ""
