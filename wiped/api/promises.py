"""The routes of the promise's rules: suspension, requests, holds, approvals, drains, reports. As `handlers`: read, ask the service, shape."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel

from wiped.api import asks, report_page, shaping
from wiped.api.documents import instant_in
from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, as_json, bytes_of, may_read, parsed, person_of, uuid_of
from wiped.api.http.idempotency import Remembering
from wiped.api.http.identity import Role
from wiped.errors import InputError
from wiped.model.approvals import UNDISCLOSED
from wiped.model.subscription import AccountReference


class PromiseHandlers(Remembering):
    """The routes over one service."""

    # -- one phone
    async def _mark(self, request: web.Request, verb: str) -> web.Response:
        uuid = uuid_of(request)
        asked = parsed(asks.ReasonIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])
        doing = {"suspend": self._service.suspend, "resume": self._service.resume, "protect": self._service.protect, "unprotect": self._service.unprotect}

        async def act() -> BaseModel:
            return shaping.phone_out(await doing[verb](uuid, reason=asked.reason, person=person))

        return await self._remembered(request, {}, act, 200)

    async def suspend(self, request: web.Request) -> web.Response:
        """Stop and fence now."""
        return await self._mark(request, "suspend")

    async def resume(self, request: web.Request) -> web.Response:
        """Take that back."""
        return await self._mark(request, "resume")

    async def protect(self, request: web.Request) -> web.Response:
        """An operator's own hold."""
        return await self._mark(request, "protect")

    async def unprotect(self, request: web.Request) -> web.Response:
        """Take that back."""
        return await self._mark(request, "unprotect")

    # -- requests
    async def add_request(self, request: web.Request) -> web.Response:
        """A trigger on a phone or on an account's phones."""
        asked = parsed(asks.RequestIn, await bytes_of(request, MAX_BODY))
        uuid, account = asked.target()
        ground = asked.checked_ground()
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            found = await self._service.add_request(
                asked.kind,
                ground,
                uuid=uuid,
                account=account,
                reference=asked.reference,
                reason=asked.reason,
                confirm=asked.confirm.get_secret_value(),
                person=person,
            )
            return asks.asked_for_out(found)

        facts = {"phone": uuid, "account": self._blinded(asked.account_text), "kind": asked.kind, "ground": ground}
        return await self._remembered(request, facts, act, 201)

    async def requests(self, request: web.Request) -> web.Response:
        """Open requests, with their words for those who may read them."""
        words = may_read(request[CALLER])
        found = await self._service.requests(await self._named(request))
        return as_items([asks.request_out(uuid, item, said if words else {}) for uuid, item, said in found])

    async def _named(self, request: web.Request) -> str:
        phone = request.query.get("phone", "")
        return (await self._service.resolve(phone)).uuid if phone else ""

    # -- holds
    async def add_hold(self, request: web.Request) -> web.Response:
        """A legal hold; the answer repeats none of its words."""
        asked = parsed(asks.HoldIn, await bytes_of(request, MAX_BODY))
        uuid, account = asked.target()
        person = person_of(request[CALLER])
        disclose = asked.ground not in UNDISCLOSED if asked.disclose is None else asked.disclose

        async def act() -> BaseModel:
            hold = await self._service.add_hold(
                uuid=uuid,
                account=account,
                authority=asked.authority,
                reference=asked.reference,
                ground=asked.ground,
                until=asked.until,
                disclose=disclose,
                reason=asked.reason,
                person=person,
            )
            return asks.hold_out(hold, words=False)

        facts = {"phone": uuid, "account": self._blinded(asked.account_text), "ground": asked.ground, "until": str(asked.until), "disclose": disclose}
        return await self._remembered(request, facts, act, 201)

    async def holds(self, request: web.Request) -> web.Response:
        """Holds in force."""
        words = may_read(request[CALLER])
        return as_items([asks.hold_out(hold, words=words) for hold in await self._service.holds()])

    async def release_hold(self, request: web.Request) -> web.Response:
        """Takes two people."""
        asked = parsed(asks.ReasonIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return asks.hold_out(await self._service.release_hold(request.match_info["id"], reason=asked.reason, person=person), words=False)

        return await self._remembered(request, {}, act, 200)

    # -- approvals
    async def approvals(self, request: web.Request) -> web.Response:
        """What waits for another person."""
        words, every = may_read(request[CALLER]), request.query.get("all", "") == "true"
        return as_items([asks.approval_out(item, words=words) for item in await self._service.approvals(every)])

    async def approval(self, request: web.Request) -> web.Response:
        """One of them."""
        return as_json(asks.approval_out(await self._service.approval(request.match_info["id"]), words=may_read(request[CALLER])))

    async def decide(self, request: web.Request) -> web.Response:
        """Approve or reject. Root may ask and never approves, so it is told so before anything else."""
        asked = parsed(asks.DecideIn, await bytes_of(request, MAX_BODY))
        caller = request[CALLER]
        person = person_of(caller)
        approval_id = request.match_info["id"]
        if asked.decision == "approve":
            caller.require(Role.APPROVER)
        elif not asked.reason:
            raise InputError("a rejection needs a reason", where="reason")

        async def act() -> BaseModel:
            if asked.decision == "approve":
                return asks.approval_out(await self._service.approve(approval_id, fingerprint=asked.fingerprint, person=person))
            return asks.approval_out(await self._service.reject(approval_id, reason=asked.reason, person=person))

        return await self._remembered(request, {"decision": asked.decision, "fingerprint": asked.fingerprint}, act, 200)

    # -- drains
    async def start_drain(self, request: web.Request) -> web.Response:
        """Announce an end."""
        asked = parsed(asks.DrainIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return asks.drain_out(await self._service.start_drain(asked.at, product=asked.product, reason=asked.reason, person=person))

        return await self._remembered(request, {"at": asked.at.isoformat(), "product": asked.product}, act, 201)

    async def drains(self, _request: web.Request) -> web.Response:
        """Drains in force."""
        return as_items([asks.drain_out(item) for item in await self._service.drains()])

    async def cancel_drain(self, request: web.Request) -> web.Response:
        """Takes two people."""
        asked = parsed(asks.ReasonIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return asks.drain_out(await self._service.cancel_drain(request.match_info["id"], reason=asked.reason, person=person))

        return await self._remembered(request, {}, act, 200)

    # -- reports
    async def subject_report(self, request: web.Request) -> web.Response:
        """Everything on one account. Asked with POST so that the account stands in no URL; never remembered by key."""
        asked = parsed(asks.SubjectIn, await bytes_of(request, MAX_BODY))
        value = await self._service.subject_report(AccountReference(asked.account.get_secret_value()), person_of(request[CALLER]))
        return self._report("subject", value, asked.format)

    async def period_report(self, request: web.Request) -> web.Response:
        """What happened in a span of time."""
        since, until = (instant_in(request.query.get(name, ""), name) for name in ("from", "to"))
        if until <= since:
            raise InputError("must lie after from", where="to")
        form = request.query.get("format", "json")
        if form not in ("json", "html"):
            raise InputError("must be json or html", where="format")
        return self._report("period", await self._service.period_report(since, until), form)

    def _report(self, kind: str, value: dict[str, Any], form: str) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        if form == "html":
            return web.Response(text=report_page.page(kind, value), content_type="text/html", charset="utf-8", headers=headers)
        return web.json_response(value, headers=headers)
