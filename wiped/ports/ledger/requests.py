"""Requests to wipe a phone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.subscription import AccountReference, WipeRequest


class RequestStore(Protocol):
    """Requests to wipe a phone."""

    async def add(self, uuid: str, request: WipeRequest, *, reference: str, reason: str, operator: str) -> None:
        """A manual (later: any other) trigger. `reason` is sealed under the account's slot key; never in the audit log."""

    async def add_for_account(self, account: AccountReference, requests: Sequence[tuple[str, WipeRequest]], *, reference: str, reason: str,
                                  operator: str) -> None:  # fmt: skip
        """One request for each (uuid, request) of an account, all or none; `WipeRequest.account` names each phone's pseudonym. `reference` and
        `reason` are sealed."""

    async def find(self, *, uuid: str = "", unfinished: bool = True) -> tuple[tuple[str, WipeRequest], ...]:
        """(uuid, request), oldest first."""

    async def close(self, request_id: str, now: datetime, *, code: str, operator: str) -> None:
        """A request that was rejected, answered or came to nothing (audited). Idempotent."""

    async def approve(self, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
        """A second person agreed to the plan with `fingerprint` (audited, I7: honoured from the return on)."""

    async def generation_of(self, request_id: str) -> int:
        """The generation that a request was about."""
