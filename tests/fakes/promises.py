"""The promise's part of the fake service: answers from values that a test sets, and remembers what it was asked. Implements `api.promiseport.PromisePort`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wiped.errors import NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalKind, ApprovalState, Drain, Person
from wiped.model.records import PhoneRecord
from wiped.model.status import RequestsAsked
from wiped.model.subscription import AccountReference, Hold, WipeRequest

_NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
_ONE = "11111111-1111-4111-8111-111111111111"
REQUEST_ID = "019cafe0-0000-7000-8000-00000000e001"
HOLD_ID = "019cafe0-0000-7000-8000-00000000a001"
APPROVAL_ID = "019cafe0-0000-7000-8000-00000000b001"
DRAIN_ID = "019cafe0-0000-7000-8000-00000000d001"
PSEUDONYM = "f0" * 16

REQUEST = WipeRequest(REQUEST_ID, "deletion", "no-consent", _NOW, operator="ann", account=PSEUDONYM)
HOLD = Hold(HOLD_ID, _ONE, "", "litigation", _NOW + timedelta(days=30), "District Court", "AZ-7", True, _NOW, "ann")
APPROVAL = Approval(APPROVAL_ID, ApprovalKind.WIPE, REQUEST_ID, (_ONE,), "cd" * 32, "ann", 1000, _NOW, _NOW + timedelta(days=3))
DRAIN = Drain(DRAIN_ID, _NOW + timedelta(days=60), "basic", _NOW, "ann")
WORDS = {"reference": "CASE-7", "reason": "wrote a letter"}


@dataclass(slots=True)
class FakePromises:
    """`pending`: what waits for another person; `draining`: the drains in force. Every call stands in `asked` of the whole fake."""

    pending: list[Approval] = field(default_factory=lambda: [APPROVAL])
    draining: list[Drain] = field(default_factory=lambda: [DRAIN])
    alone: bool = False
    """Nobody else is needed for a request."""

    def _ask(self, method: str, *arguments: Any) -> None:
        raise NotImplementedError

    def _phone(self, uuid: str) -> PhoneRecord:
        raise NotImplementedError

    def _marked(self, method: str, uuid: str, reason: str, person: Person, **values: bool) -> PhoneRecord:
        self._ask(method, uuid, reason, person)
        return replace(self._phone(uuid), **values)

    async def suspend(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("suspend", uuid, reason, person, suspended=True, fenced=True)

    async def resume(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("resume", uuid, reason, person, suspended=False)

    async def protect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("protect", uuid, reason, person, protected=True)

    async def unprotect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("unprotect", uuid, reason, person, protected=False)

    async def add_request(self, kind: str, ground: str, *, uuid: str = "", account: AccountReference | None = None, reference: str, reason: str, confirm: str,
                          person: Person) -> RequestsAsked:  # fmt: skip
        self._ask("add_request", kind, ground, uuid, account.value if account else None, reference, reason, confirm, person)
        asked = replace(REQUEST, id=f"{REQUEST_ID}:1" if account else REQUEST_ID, kind=kind, ground=ground)
        return RequestsAsked(((uuid or _ONE, asked),), None if self.alone else APPROVAL)

    async def requests(self, uuid: str = "") -> tuple[tuple[str, WipeRequest, dict[str, str]], ...]:
        self._ask("requests", uuid)
        return ((_ONE, REQUEST, WORDS),)

    async def add_hold(self, *, uuid: str = "", account: AccountReference | None = None, authority: str, reference: str, ground: str, until: datetime | None,
                       disclose: bool, reason: str, person: Person) -> Hold:  # fmt: skip
        self._ask("add_hold", uuid, account.value if account else None, authority, reference, ground, until, disclose, reason, person)
        return Hold(HOLD_ID, uuid, PSEUDONYM if account else "", ground, until, authority, reference, disclose, _NOW, person.name)

    async def release_hold(self, hold_id: str, *, reason: str, person: Person) -> Hold:
        self._ask("release_hold", hold_id, reason, person)
        raise RefusedError("releasing a legal hold takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)

    async def holds(self) -> tuple[Hold, ...]:
        self._ask("holds")
        return (HOLD,)

    async def approvals(self, every: bool = False) -> tuple[Approval, ...]:
        self._ask("approvals", every)
        return tuple(item for item in self.pending if every or item.state is ApprovalState.PENDING)

    async def approval(self, approval_id: str) -> Approval:
        self._ask("approval", approval_id)
        for item in self.pending:
            if item.id == approval_id:
                return item
        raise NotFoundError("no such approval", where="approval")

    async def approve(self, approval_id: str, *, fingerprint: str, person: Person) -> Approval:
        self._ask("approve", approval_id, fingerprint, person)
        if fingerprint != APPROVAL.fingerprint:
            raise RefusedError("the plan changed: look again", codes=("drift",))
        return replace(APPROVAL, state=ApprovalState.APPROVED, approvals=(person.name,), decided_at=_NOW)

    async def reject(self, approval_id: str, *, reason: str, person: Person) -> Approval:
        self._ask("reject", approval_id, reason, person)
        return replace(APPROVAL, state=ApprovalState.REJECTED, decided_at=_NOW)

    async def start_drain(self, at: datetime, *, product: str, reason: str, person: Person) -> Drain:
        self._ask("start_drain", at, product, reason, person)
        return Drain(DRAIN_ID, at, product, _NOW, person.name)

    async def drains(self) -> tuple[Drain, ...]:
        self._ask("drains")
        return tuple(self.draining)

    async def cancel_drain(self, drain_id: str, *, reason: str, person: Person) -> Drain:
        self._ask("cancel_drain", drain_id, reason, person)
        return replace(DRAIN, cancelled_at=_NOW)

    async def subject_report(self, account: AccountReference, person: Person) -> dict[str, Any]:
        self._ask("subject_report", account.value, person)
        return {"kind": "subject", "phones": [{"uuid": _ONE}]}

    async def period_report(self, since: datetime, until: datetime) -> dict[str, Any]:
        self._ask("period_report", since, until)
        return {"kind": "period", "wipes": 3}
