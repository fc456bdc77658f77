"""A service for the faces, one file a noun: it answers from values that a test sets, and remembers what it was asked. Implements
`wiped.ports.service.Service`."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.service.answers import FakeAnswers
from tests.fakes.service.approvals import FakeApprovals
from tests.fakes.service.audit import FakeAudit
from tests.fakes.service.breaker import FakeBreaker
from tests.fakes.service.certificates import FakeCertificates
from tests.fakes.service.clock import FakeClock
from tests.fakes.service.desk import Desk
from tests.fakes.service.drains import FakeDrains
from tests.fakes.service.holds import FakeHolds
from tests.fakes.service.images import FakeImages
from tests.fakes.service.phones import FakePhones
from tests.fakes.service.plans import FakePlans
from tests.fakes.service.quarantine import FakeQuarantine
from tests.fakes.service.reports import FakeReports
from tests.fakes.service.requests import FakeRequests
from tests.fakes.service.status import FakeStatus
from tests.fakes.service.subscriptions import FakeSubscriptions
from tests.fakes.service.values import (
    APPROVAL,
    APPROVAL_ID,
    CERTIFICATE_ID,
    DRAIN,
    DRAIN_ID,
    HOLD,
    HOLD_ID,
    HOSTILE_NAME,
    NOW,
    PSEUDONYM,
    QUARANTINED,
    REQUEST,
    REQUEST_ID,
    STEPPED,
    TRIPPED,
    UUID_ONE,
    UUID_TWIN,
    UUID_TWO,
    WIPE_ID,
    WORDS,
    make_audit,
    make_phone,
    make_plan,
    make_term,
    make_wipe,
)
from tests.fakes.service.wipes import FakeWipes


@dataclass
class FakeService(Desk):
    """What a test sets is an attribute of the whole; each noun answers from it."""

    def __post_init__(self) -> None:
        self.status = FakeStatus(self)
        self.phones = FakePhones(self)
        self.plans = FakePlans(self)
        self.subscriptions = FakeSubscriptions(self)
        self.wipes = FakeWipes(self)
        self.quarantine = FakeQuarantine(self)
        self.certificates = FakeCertificates(self)
        self.audit = FakeAudit(self)
        self.answers = FakeAnswers(self)
        self.breaker = FakeBreaker(self)
        self.clock = FakeClock(self)
        self.images = FakeImages(self)
        self.requests = FakeRequests(self)
        self.holds = FakeHolds(self)
        self.approvals = FakeApprovals(self)
        self.drains = FakeDrains(self)
        self.reports = FakeReports(self)


__all__ = [
    "APPROVAL",
    "APPROVAL_ID",
    "CERTIFICATE_ID",
    "DRAIN",
    "DRAIN_ID",
    "HOLD",
    "HOLD_ID",
    "HOSTILE_NAME",
    "NOW",
    "PSEUDONYM",
    "QUARANTINED",
    "REQUEST",
    "REQUEST_ID",
    "STEPPED",
    "TRIPPED",
    "UUID_ONE",
    "UUID_TWIN",
    "UUID_TWO",
    "WIPE_ID",
    "WORDS",
    "FakeService",
    "make_audit",
    "make_phone",
    "make_plan",
    "make_term",
    "make_wipe",
]
