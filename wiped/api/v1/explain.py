"""`explain` as the document of docs/contract.md, and the same in sentences: why a phone was, or was not, wiped, and what happens next and when. Pure.

The sentences say what the decision returned and what it was made from; they conclude nothing of their own.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import CALLER, as_json, may_read, uuid_of
from wiped.api.v1.approvals import ApprovalOut, approval_out
from wiped.api.v1.drains import DrainOut, drain_out
from wiped.api.v1.fields import Change, Instant, PhoneName, ReasonOut, change_out, reasons_out
from wiped.api.v1.holds import HoldOut, hold_out
from wiped.api.v1.phones import flags_out
from wiped.api.v1.requests import RequestOut, request_out
from wiped.api.v1.subscriptions import SubscriptionOut, subscription_out
from wiped.model.instants import NEVER, rfc3339_text
from wiped.model.records import WipeStep
from wiped.model.status import Explanation
from wiped.model.subscription import Action, Flag, Hold
from wiped.ports.service import PhonesService

#: So many characters of a refusal are shown; `plan` shows all of it.
_LONGEST = 600

_MARKED = {
    ("suspended", True): "Suspended",
    ("suspended", False): "Resumed",
    ("protected", True): "Protected",
    ("protected", False): "Protection ended",
}


class MarkOut(BaseModel):
    """What an operator last did to the phone by hand. `kind`: `suspended` or `protected`; `on`: whether that was set or ended. `reason` only for operators,
    approvers, auditors."""

    kind: str
    on: bool
    operator: str
    at: Instant
    reason: str


class ExplainOut(BaseModel):
    """State, next change, and every reason. `story`: the same in sentences, in order."""

    phone: PhoneName
    state: str
    flags: list[str]
    since: Instant
    due_at: Instant | None
    overdue_at: Instant | None
    next: Change | None
    action: str
    trigger: str
    ground: str
    reasons: list[ReasonOut]
    refusals: list[str]
    holds: list[HoldOut]
    requests: list[RequestOut]
    approvals: list[ApprovalOut]
    drains: list[DrainOut]
    marks: list[MarkOut]
    subscription: SubscriptionOut | None
    wipes: list[str]
    story: list[str]


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def story(told: Explanation) -> list[str]:
    """Write sentences: the phone's state and why, what forbids a wipe, who has to act, what comes next."""
    decision, said = told.decision, []
    term = told.subscription
    said.append(f"The phone is {decision.state} since {rfc3339_text(told.phone.since)}.")
    if term is None:
        said.append("It has no subscription here, so nothing is concluded about it.")
    else:
        end = ("has no end" if term.expires_at >= NEVER
               else f"{'ends' if told.phone.since < term.expires_at else 'ended'} at {rfc3339_text(term.expires_at)}")  # fmt: skip
        said.append(f"Subscription {term.subscription_id} {end} (policy {term.policy}{', a minor' if term.minor else ''}).")  # fmt: skip
    said += [_sentence(reason.detail or reason.code) for reason in decision.reasons]
    said += [
        f"Legal hold {hold.id} ({hold.ground}) forbids erasing it until {rfc3339_text(hold.until) if hold.until else 'it is released by two people'}."
        for hold in told.holds
    ]
    said += [f"{_MARKED[mark.kind, mark.on]} by {mark.operator or 'the daemon'} at {rfc3339_text(mark.at)}." for mark in told.marks]
    for item in told.requests:
        agreed = "billing's signature agreed to it" if item.signed else f"{item.approver or 'a second person'} agreed to it" if item.approved else ""
        said.append(f"Request {item.id}: {item.kind} ({item.ground}), asked by {item.operator or 'the daemon'} at {rfc3339_text(item.requested_at)}"
                    + (f", not before {rfc3339_text(item.effective_at)}" if item.effective_at else "") + (f"; {agreed}" if agreed else "") + ".")  # fmt: skip
    for approval in told.approvals:
        missing = max(0, approval.needed - len(approval.approvals))
        people = "one other person" if missing == 1 else f"{missing} other people"
        said.append(
            f"Approval {approval.id} ({approval.kind}) waits for {people} until {rfc3339_text(approval.expires_at)}: wipectl approvals approve {approval.id}."
        )
    for drain in told.drains:
        whose = f"product {drain.product}" if drain.product else "this host"
        agreed = "running terms included" if drain.approved else "running terms only once a second person approves"
        said.append(f"Drain {drain.id}: {whose} ends at {rfc3339_text(drain.at)}, {agreed}.")
    if told.phone.refusals:
        why = told.refused[:_LONGEST] or ", ".join(told.phone.refusals)
        said.append(f"A guard refused the wipe: {why.removesuffix('.')}. It is tried again; see wipectl plan.")
    said += [_ended(wipe.step, wipe.id, wipe.outcome) for wipe in told.wipes[:1]]
    if decision.action is Action.WIPE:
        said.append(f"Now: it is wiped, because of {decision.trigger} ({decision.ground}).")
    elif decision.action is Action.FENCE:
        said.append("Now: it is stopped and fenced, its data is kept.")
    if decision.next_at is not None:
        said.append(f"Next: {f'it becomes {decision.next_state}' if decision.next_state else 'it is looked at again'} at {rfc3339_text(decision.next_at)}.")
    else:
        said.append("Next: nothing by time alone.")
    if decision.overdue_at is not None:
        said.append(f"The promise: its data is gone by {rfc3339_text(decision.overdue_at)}.")
    return said


def _ended(step: str, wipe_id: str, outcome: str) -> str:
    how = {
        WipeStep.RELEASED: f"was wiped ({outcome})",
        WipeStep.CANCELLED: "was called off before anything was overwritten",
        WipeStep.QUARANTINED: "could not be proven: the phone stays fenced, and it is tried again",
        WipeStep.DISPOSED: "could not be proven, and two people accepted that",
    }
    return f"Wipe {wipe_id} {how.get(WipeStep(step), f'stands at {step}')}."


def _worded(hold: Hold, words: dict[str, str]) -> Hold:
    return replace(hold, authority=hold.authority or words.get("authority", ""), reference=hold.reference or words.get("reference", ""))


def explain_out(told: Explanation, *, words: bool) -> ExplainOut:
    """The document of a phone, decided now; it holds what people wrote only with `words`."""
    phone, decision = told.phone, told.decision
    flags = {str(flag) for flag in decision.flags} | set(flags_out(phone))
    return ExplainOut(
        phone=PhoneName(uuid=phone.uuid, name=phone.name, generation=phone.generation),
        state=str(decision.state),
        flags=[str(flag) for flag in Flag if flag in flags],
        since=phone.since,
        due_at=decision.due_at,
        overdue_at=decision.overdue_at,
        next=change_out(decision.next_state, decision.next_at),
        action=str(decision.action),
        trigger=decision.trigger,
        ground=decision.ground,
        reasons=reasons_out(decision.reasons),
        refusals=list(phone.refusals),
        holds=[hold_out(_worded(hold, told.words.get(hold.id, {})), words=words) for hold in told.holds],
        requests=[request_out(phone.uuid, item, told.words.get(item.id, {}) if words else {}) for item in told.requests],
        approvals=[approval_out(item, words=words) for item in told.approvals],
        drains=[drain_out(item) for item in told.drains],
        marks=[MarkOut(kind=mark.kind, on=mark.on, operator=mark.operator, at=mark.at, reason=mark.reason if words else "") for mark in told.marks],
        subscription=None if told.subscription is None else subscription_out(told.subscription),
        wipes=[wipe.id for wipe in told.wipes],
        story=story(told),
    )


class ExplainHandlers:
    """The route that explains a phone."""

    def __init__(self, phones: PhonesService) -> None:
        self._phones = phones

    async def get(self, request: web.Request) -> web.Response:
        """A phone's state, next change and every reason."""
        return as_json(explain_out(await self._phones.explain(uuid_of(request)), words=may_read(request[CALLER])))
