"""Approvals: what waits for another person, and that person's decision."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, as_json, bytes_of, may_read, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.http.identity import Role
from wiped.api.v1.fields import Instant, StrictIn
from wiped.errors import InputError
from wiped.model.approvals import Approval
from wiped.ports.service import ApprovalsService


class DecideIn(StrictIn):
    """Body of `POST /v1/approvals/{id}`. To approve: the `fingerprint` of what the approver looked at; to reject: a `reason`."""

    decision: Literal["approve", "reject"]
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    reason: Annotated[str, Field(max_length=2000)] = ""


class ApprovalOut(BaseModel):
    """What waits for another person. `needed`: how many people must agree; `approvals`: who has agreed; `command`: what the next person types; `what`: what
    that person agrees to, in one sentence, only for operators, approvers, auditors."""

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
    what: str


def approval_out(approval: Approval, *, words: bool = True) -> ApprovalOut:
    """The document of an approval; without `words` it holds neither a path nor a reference that a person gave."""
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
        what=approval.what if words else "",
    )


class ApprovalHandlers:
    """The routes of approvals."""

    def __init__(self, approvals: ApprovalsService, idempotency: Idempotency) -> None:
        self._approvals = approvals
        self._idempotency = idempotency

    async def find(self, request: web.Request) -> web.Response:
        """List the approvals that wait for another person; with `all=true` the decided ones too."""
        words, every = may_read(request[CALLER]), request.query.get("all", "") == "true"
        return as_items([approval_out(item, words=words) for item in await self._approvals.find(every)])

    async def get(self, request: web.Request) -> web.Response:
        """One approval."""
        return as_json(approval_out(await self._approvals.get(request.match_info["id"]), words=may_read(request[CALLER])))

    async def decide(self, request: web.Request) -> web.Response:
        """Approve or reject. Root may ask and never approves, so root is refused before anything else."""
        asked = parsed(DecideIn, await bytes_of(request, MAX_BODY))
        caller = request[CALLER]
        person = person_of(caller)
        approval_id = request.match_info["id"]
        if asked.decision == "approve":
            caller.require(Role.APPROVER)
        elif not asked.reason:
            raise InputError("a rejection needs a reason", where="reason")

        async def act() -> BaseModel:
            if asked.decision == "approve":
                return approval_out(await self._approvals.approve(approval_id, fingerprint=asked.fingerprint, person=person))
            return approval_out(await self._approvals.reject(approval_id, reason=asked.reason, person=person))

        return await self._idempotency.once(request, {"decision": asked.decision, "fingerprint": asked.fingerprint}, act, 200)
