"""What the faces ask of the daemon for the rules of the promise (R3 to R14, R17): implemented by `conduct.service.Service`, faked in tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from wiped.model.asks import Approval, Drain, Person
from wiped.model.records import PhoneRecord
from wiped.model.status import RequestsAsked
from wiped.model.subscription import AccountReference, Hold, WipeRequest


class PromisePort(Protocol):
    """Every method raises errors of `wiped.errors` only. `person` is who asks, as the face authenticated them; `reason`, `reference` and `authority` are
    sealed at rest. Where a second person is needed: RefusedError(needs-approval) with the approval's id, after the wish was recorded."""

    async def suspend(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Stop and fence now; reversible (R17). Idempotent."""

    async def resume(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Take a suspension back. Idempotent."""

    async def protect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """An operator's own hold, apart from legal ones. Idempotent."""

    async def unprotect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Take a protection back. Idempotent."""

    async def add_request(self, kind: str, ground: str, *, uuid: str = "", account: AccountReference | None = None, reference: str, reason: str, confirm: str,
                          person: Person) -> RequestsAsked:  # fmt: skip
        """A trigger on one phone or on every phone of an account. RefusedError(wrong-confirmation, ...), InputError, NotFoundError."""

    async def requests(self, uuid: str = "") -> tuple[tuple[str, WipeRequest, dict[str, str]], ...]:
        """Open ones, oldest first: (uuid, request, the words that came with it)."""

    async def add_hold(self, *, uuid: str = "", account: AccountReference | None = None, authority: str, reference: str, ground: str, until: datetime | None,
                       disclose: bool, reason: str, person: Person) -> Hold:  # fmt: skip
        """A legal hold on a phone, or on an account's phones, present and future (R9)."""

    async def release_hold(self, hold_id: str, *, reason: str, person: Person) -> Hold:
        """Takes two people."""

    async def holds(self) -> tuple[Hold, ...]:
        """Those in force, with authority and reference unsealed."""

    async def approvals(self, every: bool = False, /) -> tuple[Approval, ...]:
        """What waits for another person, oldest first; with `every` what was decided too."""

    async def approval(self, approval_id: str) -> Approval:
        """One. NotFoundError."""

    async def approve(self, approval_id: str, *, fingerprint: str, person: Person) -> Approval:
        """Agree to what `fingerprint` names. RefusedError: needs-approval (who asked, or root), drift (it changed meanwhile: look again), expired."""

    async def reject(self, approval_id: str, *, reason: str, person: Person) -> Approval:
        """Say no: its requests are closed."""

    async def start_drain(self, at: datetime, *, product: str, reason: str, person: Person) -> Drain:
        """Announce the end of this host, or of one product on it (R7)."""

    async def drains(self) -> tuple[Drain, ...]:
        """Those in force."""

    async def cancel_drain(self, drain_id: str, *, reason: str, person: Person) -> Drain:
        """Takes two people; until its date."""

    async def subject_report(self, account: AccountReference, person: Person) -> dict[str, Any]:
        """Everything that the host holds on one account (R13), as a JSON value."""

    async def period_report(self, since: datetime, until: datetime) -> dict[str, Any]:
        """What was asked, held, wiped and could not be proven from `since` until `until`, as a JSON value."""

    def report_html(self, kind: str, value: dict[str, Any]) -> str:
        """A report (`subject` or `period`) as a page for people."""
