"""The documents of what people ask, hold and approve, and their shaping from the model's values. Pure.

Account references live in the `...In` documents until they are wrapped, and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from wiped.api.documents import Instant, InstantIn, Text, _account, _In, _uuid
from wiped.errors import InputError
from wiped.model.approvals import GROUNDS, Approval, Drain, HoldGround
from wiped.model.status import RequestsAsked
from wiped.model.subscription import AccountReference, Hold, WipeRequest

Reason = Annotated[str, Field(min_length=1, max_length=2000, description="for people; sealed in the ledger, never in a log")]
#: What another house calls the thing: sealed as a reason is.
Reference = Annotated[Text, Field(description="the asker's own; sealed in the ledger")]
_Account = Annotated[SecretStr, Field(min_length=1, max_length=256, description="becomes a pseudonym at once, is never stored"), AfterValidator(_account)]
_Phone = Annotated[str, AfterValidator(_uuid)]


class ReasonIn(_In):
    """Body of what needs a reason and nothing else: suspend, resume, protect, unprotect, a hold's release, a drain's cancelling."""

    reason: Reason


class _AboutIn(_In):
    """A phone or an account: exactly one of them."""

    phone: _Phone | None = None
    account: _Account | None = None

    def target(self) -> tuple[str, AccountReference | None]:
        """(uuid, account). Raises InputError unless exactly one is there."""
        if (self.phone is None) == (self.account is None):
            raise InputError("name a phone or an account, and not both", where="phone")
        return self.phone or "", None if self.account is None else AccountReference(self.account.get_secret_value())

    @property
    def account_text(self) -> str:
        """For telling one request from another, blinded."""
        return "" if self.account is None else self.account.get_secret_value()


class RequestIn(_AboutIn):
    """Body of `POST /v1/requests`. `confirm`: the phone's name, or the account reference, typed. `ground` may be left out where the kind has only one."""

    kind: Literal["deletion", "cancellation", "consent-withdrawn", "guardian", "leak"]
    ground: Annotated[str, Field(max_length=64)] = ""
    reference: Annotated[Reference, Field(min_length=1)]
    reason: Annotated[str, Field(max_length=2000)] = ""
    confirm: Annotated[SecretStr, Field(max_length=1024)]

    def checked_ground(self) -> str:
        """The ground. Raises InputError for one that the kind does not have."""
        grounds = GROUNDS[self.kind]
        ground = self.ground or (grounds[0] if len(grounds) == 1 else "")
        if ground not in grounds:
            raise InputError(f"of kind {self.kind} must be one of {', '.join(grounds)}", where="ground")
        return ground


class HoldIn(_AboutIn):
    """Body of `POST /v1/holds`. `until`: it lifts by itself then; `disclose` null: as the ground says (`model.asks.UNDISCLOSED`)."""

    authority: Annotated[Reference, Field(min_length=1)]
    reference: Annotated[Reference, Field(min_length=1)]
    ground: HoldGround
    until: InstantIn | None = None
    disclose: Annotated[bool, Field(strict=True)] | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class DecideIn(_In):
    """Body of `POST /v1/approvals/{id}`. To approve, `fingerprint` of what was looked at; to reject, a `reason`."""

    decision: Literal["approve", "reject"]
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    reason: Annotated[str, Field(max_length=2000)] = ""


class DrainIn(_In):
    """Body of `POST /v1/drain`. `product` "": the whole host."""

    at: InstantIn
    product: Text = ""
    reason: Reason


class SubjectIn(_In):
    """Body of `POST /v1/reports/subject`."""

    account: _Account
    format: Literal["json", "html"] = "json"


class HoldOut(BaseModel):
    """A legal hold. `phone` "": on an account. `authority` and `reference` only in lists and explanations, and only for operators, approvers, auditors."""

    id: str
    phone: str
    account_pseudonym: str
    ground: str
    until: Instant | None
    authority: str
    reference: str
    disclose: bool
    added_at: Instant | None
    operator: str


class RequestOut(BaseModel):
    """A trigger other than expiry. `reference` and `reason` only for operators, approvers, auditors."""

    id: str
    phone: str
    kind: str
    ground: str
    requested_at: Instant
    effective_at: Instant | None
    approved: bool
    approved_until: Instant | None
    operator: str
    approver: str
    reference: str
    reason: str


class ApprovalOut(BaseModel):
    """What waits for another person. `needed`: how many must agree; `approvals`: who did; `command`: what the next one types."""

    id: str
    kind: str
    subject: str
    phones: list[str]
    fingerprint: str
    asked_by: str
    asked_at: Instant
    expires_at: Instant
    state: str
    approvals: list[str]
    needed: int
    decided_at: Instant | None
    terms: dict[str, str]
    command: str


class AskedForOut(BaseModel):
    """The answer to a request. `id`: what all its requests share; `approval` null: nobody else is needed."""

    model_config = ConfigDict(extra="forbid")

    id: str
    items: list[RequestOut]
    approval: ApprovalOut | None


class DrainOut(BaseModel):
    """An announced end. `product` "": of the whole host; `approved`: phones whose terms still run at `at` are wiped too."""

    id: str
    at: Instant
    product: str
    announced_at: Instant | None
    operator: str
    approved: bool
    approver: str
    cancelled_at: Instant | None


def hold_out(hold: Hold, *, words: bool) -> HoldOut:
    """One hold; without `words` nothing that somebody wrote."""
    return HoldOut(
        id=hold.id,
        phone=hold.uuid,
        account_pseudonym=hold.account,
        ground=hold.ground,
        until=hold.until,
        authority=hold.authority if words else "",
        reference=hold.reference if words else "",
        disclose=hold.disclose,
        added_at=hold.added_at,
        operator=hold.operator,
    )


def request_out(uuid: str, request: WipeRequest, words: dict[str, str]) -> RequestOut:
    """One request with the words that may be shown."""
    return RequestOut(
        id=request.id,
        phone=uuid,
        kind=request.kind,
        ground=request.ground,
        requested_at=request.requested_at,
        effective_at=request.effective_at,
        approved=request.approved or request.signed,
        approved_until=request.approved_until,
        operator=request.operator,
        approver=request.approver,
        reference=words.get("reference", ""),
        reason=words.get("reason", ""),
    )


def approval_out(approval: Approval, *, words: bool = True) -> ApprovalOut:
    """One approval; without `words` neither a path nor a reference that somebody gave."""
    return ApprovalOut(
        id=approval.id,
        kind=approval.kind,
        subject=approval.subject if words else approval.public_subject,
        phones=list(approval.uuids),
        fingerprint=approval.fingerprint,
        asked_by=approval.asked_by,
        asked_at=approval.asked_at,
        expires_at=approval.expires_at,
        state=approval.state,
        approvals=list(approval.approvals),
        needed=approval.needed,
        decided_at=approval.decided_at,
        terms=dict(approval.terms or {}) if words else {},
        command=f"wipectl approvals approve {approval.id}" if approval.state == "pending" else "",
    )


def asked_for_out(asked: RequestsAsked) -> AskedForOut:
    """What was recorded; without the words that came with it, which the asker knows."""
    first = asked.requests[0][1].id if asked.requests else ""
    return AskedForOut(
        id=first.partition(":")[0],
        items=[request_out(uuid, request, {}) for uuid, request in asked.requests],
        approval=None if asked.approval is None else approval_out(asked.approval),
    )


def drain_out(drain: Drain) -> DrainOut:
    """One drain."""
    return DrainOut(
        id=drain.id,
        at=drain.at,
        product=drain.product,
        announced_at=drain.announced_at,
        operator=drain.operator,
        approved=drain.approved,
        approver=drain.approver,
        cancelled_at=drain.cancelled_at,
    )
