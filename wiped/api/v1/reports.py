"""Reports on one account and on a span of time, as JSON or as a page for people."""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web

from wiped.api import report_page
from wiped.api.http.bodies import CALLER, MAX_BODY, bytes_of, check_key, parsed, person_of
from wiped.api.v1.fields import Account, StrictIn, instant_of_query
from wiped.errors import InputError
from wiped.model.subscription import AccountReference
from wiped.ports.service import ReportsService


class SubjectIn(StrictIn):
    """Body of `POST /v1/reports/subject`."""

    account: Account
    format: Literal["json", "html"] = "json"


def _report(kind: str, value: dict[str, Any], form: str) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if form == "html":
        return web.Response(text=report_page.page(kind, value), content_type="text/html", charset="utf-8", headers=headers)
    return web.json_response(value, headers=headers)


class ReportHandlers:
    """The routes of reports."""

    def __init__(self, reports: ReportsService) -> None:
        self._reports = reports

    async def subject(self, request: web.Request) -> web.Response:
        """Everything on one account. The method is POST so that the account is in no URL; the answer is never remembered by key."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        asked = parsed(SubjectIn, await bytes_of(request, MAX_BODY))
        value = await self._reports.subject(AccountReference(asked.account.get_secret_value()), person_of(request[CALLER]))
        return _report("subject", value, asked.format)

    async def period(self, request: web.Request) -> web.Response:
        """What happened in a span of time."""
        since, until = (instant_of_query(request.query.get(name, ""), name) for name in ("from", "to"))
        if until <= since:
            raise InputError("must lie after from", where="to")
        form = request.query.get("format", "json")
        if form not in ("json", "html"):
            raise InputError("must be json or html", where="format")
        return _report("period", await self._reports.period(since, until), form)
