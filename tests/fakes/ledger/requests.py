"""Requests, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Asked, Memo
from wiped.errors import InputError, NotFoundError
from wiped.model.subscription import AccountReference, WipeRequest


class FakeRequests:
    """`ports.ledger.RequestStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    def _known(self, request_id: str) -> Asked:
        for item in self._state.requests:
            if item.request.id == request_id:
                return item
        raise NotFoundError("no such request", where="request")

    async def add(self, uuid: str, request: WipeRequest, *, reference: str, reason: str, operator: str) -> None:
        self._state.write()
        self._state.requests.append(Asked(uuid, replace(request, reference=request.id), self._state.phones[uuid].generation))
        self._state.keep_words(request.id, reference=reference, reason=reason)
        self._state.touched.add(uuid)
        self._state.log("request", {"uuid": uuid, "id": request.id, "kind": request.kind, "operator": operator}, request.requested_at)

    async def add_for_account(self, account: AccountReference, requests: Sequence[tuple[str, WipeRequest]], *, reference: str, reason: str,
                              operator: str) -> None:  # fmt: skip
        for uuid, request in requests:
            await self.add(uuid, request, reference=reference, reason=reason, operator=operator)

    async def find(self, *, uuid: str = "", unfinished: bool = True) -> tuple[tuple[str, WipeRequest], ...]:
        return tuple((item.uuid, item.request) for item in self._state.requests if uuid in ("", item.uuid) and not (unfinished and item.closed))

    async def close(self, request_id: str, now: datetime, *, code: str, operator: str) -> None:
        self._state.write()
        item = self._known(request_id)
        if not item.closed:
            item.closed = True
            self._state.touched.add(item.uuid)
            self._state.log("request-closed", {"id": request_id, "uuid": item.uuid, "code": code, "operator": operator}, now)

    async def approve(self, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
        self._state.write()
        item = self._known(request_id)
        if item.closed:
            raise InputError("the request is closed", where="request")
        given = {"approved_at": now, "approved_until": until} if approver else {"approved_at": None, "approved_until": None}
        item.request = replace(item.request, approved=bool(approver), approver=approver, fingerprint=fingerprint, **given)
        self._state.touched.add(item.uuid)
        self._state.log("request-approved" if approver else "request-unapproved", {"id": request_id, "uuid": item.uuid, "approver": approver}, now)

    async def generation_of(self, request_id: str) -> int:
        return self._known(request_id).generation
