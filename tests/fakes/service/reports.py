"""The fake service's part about reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import UUID_ONE
from wiped.model.approvals import Person
from wiped.model.subscription import AccountReference


class FakeReports:
    """Implements `wiped.ports.service.ReportsService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def subject(self, account: AccountReference, person: Person) -> dict[str, Any]:
        self._desk.ask("subject_report", account.value, person)
        return {"kind": "subject", "phones": [{"uuid": UUID_ONE}]}

    async def period(self, since: datetime, until: datetime) -> dict[str, Any]:
        self._desk.ask("period_report", since, until)
        return {"kind": "period", "wipes": 3}
