"""`explain` as the document of docs/contract.md, and the same in sentences: why a phone was, or was not, wiped, and what happens next and when. Pure.

The sentences say what the decision returned and what it was made from; they conclude nothing of their own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import BaseModel

from wiped.api.asks import ApprovalOut, DrainOut, HoldOut, RequestOut, approval_out, drain_out, hold_out, request_out
from wiped.api.documents import Change, Instant, PhoneName, ReasonOut, SubscriptionOut, instant
from wiped.api.shaping import change_out, flags_out, reasons_out, subscription_out
from wiped.model.records import WipeStep
from wiped.model.status import Explanation
from wiped.model.subscription import Action, Flag, Hold

#: So much is told of a refusal; `plan` tells all of it.
_LONGEST = 600


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
    subscription: SubscriptionOut | None
    wipes: list[str]
    story: list[str]


def _at(moment: datetime) -> str:
    return instant(moment)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def story(told: Explanation) -> list[str]:
    """Sentences: where it stands, why, what stands against a wipe, who has to act, what comes next."""
    decision, said = told.decision, []
    term = told.subscription
    said.append(f"The phone is {decision.state} since {_at(told.phone.since)}.")
    if term is None:
        said.append("It has no subscription here, so nothing is concluded about it.")
    else:
        said.append(f"Subscription {term.subscription_id} {'ends' if told.phone.since < term.expires_at else 'ended'} at {_at(term.expires_at)}"
                    f" (policy {term.policy}{', a minor' if term.minor else ''}).")  # fmt: skip
    said += [_sentence(reason.detail or reason.code) for reason in decision.reasons]
    said += [
        f"Legal hold {hold.id} ({hold.ground}) forbids erasing it {'until ' + _at(hold.until) if hold.until else 'until it is released by two people'}."
        for hold in told.holds
    ]
    for item in told.requests:
        agreed = "billing's signature agreed to it" if item.signed else f"{item.approver or 'a second person'} agreed to it" if item.approved else ""
        said.append(f"Request {item.id}: {item.kind} ({item.ground}), asked by {item.operator or 'the daemon'} at {_at(item.requested_at)}"
                    + (f", not before {_at(item.effective_at)}" if item.effective_at else "") + (f"; {agreed}" if agreed else "") + ".")  # fmt: skip
    for approval in told.approvals:
        missing = max(0, approval.needed - len(approval.approvals))
        people = "one other person" if missing == 1 else f"{missing} other people"
        said.append(f"Approval {approval.id} ({approval.kind}) waits for {people} until {_at(approval.expires_at)}: wipectl approvals approve {approval.id}.")
    for drain in told.drains:
        whose = f"product {drain.product}" if drain.product else "this host"
        agreed = "running terms included" if drain.approved else "running terms only once a second person approves"
        said.append(f"Drain {drain.id}: {whose} ends at {_at(drain.at)}, {agreed}.")
    if told.phone.refusals:
        why = told.refused[:_LONGEST] or ", ".join(told.phone.refusals)
        said.append(f"A guard refused the wipe: {why.removesuffix('.')}. It is tried again; see wipectl plan.")
    said += [_ended(wipe.step, wipe.id, wipe.outcome) for wipe in told.wipes[:1]]
    if decision.action is Action.WIPE:
        said.append(f"Now: it is wiped, because of {decision.trigger} ({decision.ground}).")
    elif decision.action is Action.FENCE:
        said.append("Now: it is stopped and fenced, its data is kept.")
    if decision.next_at is not None:
        said.append(f"Next: {f'it becomes {decision.next_state}' if decision.next_state else 'it is looked at again'} at {_at(decision.next_at)}.")
    else:
        said.append("Next: nothing by time alone.")
    if decision.overdue_at is not None:
        said.append(f"The promise: its data is gone by {_at(decision.overdue_at)}.")
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
    """One phone, decided now; what people wrote only with `words`."""
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
        subscription=None if told.subscription is None else subscription_out(told.subscription),
        wipes=[wipe.id for wipe in told.wipes],
        story=story(told),
    )
