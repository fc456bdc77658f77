"""Port Ledger in memory, one fake store a noun over one `state`: every call is one transaction, and what it recorded outlives a "power cut"."""

from __future__ import annotations

from tests.fakes.ledger.answers import FakeAnswers
from tests.fakes.ledger.approvals import FakeApprovals
from tests.fakes.ledger.artefacts import FakeArtefacts
from tests.fakes.ledger.audit import FakeAudit
from tests.fakes.ledger.breaker import FakeBreaker
from tests.fakes.ledger.certificates import FakeCertificates
from tests.fakes.ledger.clock import FakeClockStore
from tests.fakes.ledger.conditions import FakeConditions
from tests.fakes.ledger.decisions import FakeDecisions
from tests.fakes.ledger.drains import FakeDrains
from tests.fakes.ledger.free_space import FakeFreeSpace
from tests.fakes.ledger.holds import FakeHolds
from tests.fakes.ledger.images import FakeImages
from tests.fakes.ledger.notices import FakeNotices
from tests.fakes.ledger.phones import FakePhones
from tests.fakes.ledger.quarantine import FakeQuarantine
from tests.fakes.ledger.requests import FakeRequests
from tests.fakes.ledger.retention import FakeRetention
from tests.fakes.ledger.sightings import FakeSightings
from tests.fakes.ledger.state import Memo
from tests.fakes.ledger.subscriptions import FakeSubscriptions
from tests.fakes.ledger.verdicts import FakeVerdicts
from tests.fakes.ledger.wipes import FakeWipes
from tests.fakes.ledger.words import FakeWords
from wiped.ports.ledger.answers import AnswerStore
from wiped.ports.ledger.approvals import ApprovalStore
from wiped.ports.ledger.artefacts import ArtefactStore
from wiped.ports.ledger.audit import AuditStore
from wiped.ports.ledger.breaker import BreakerStore
from wiped.ports.ledger.certificates import CertificateStore
from wiped.ports.ledger.clock import ClockStore
from wiped.ports.ledger.conditions import ConditionStore
from wiped.ports.ledger.decisions import DecisionStore
from wiped.ports.ledger.drains import DrainStore
from wiped.ports.ledger.free_space import FreeSpaceStore
from wiped.ports.ledger.holds import HoldStore
from wiped.ports.ledger.images import ImageStore
from wiped.ports.ledger.notices import NoticeStore
from wiped.ports.ledger.phones import PhoneStore
from wiped.ports.ledger.quarantine import QuarantineStore
from wiped.ports.ledger.requests import RequestStore
from wiped.ports.ledger.retention import RetentionStore
from wiped.ports.ledger.sightings import SightingStore
from wiped.ports.ledger.subscriptions import SubscriptionStore
from wiped.ports.ledger.verdicts import VerdictStore
from wiped.ports.ledger.wipes import WipeStore
from wiped.ports.ledger.words import WordStore


class MemoryLedger:
    """Port Ledger. `full`: every write raises LedgerError, as on a full disk."""

    def __init__(self) -> None:
        state = self._state = Memo()
        decisions = FakeDecisions(state)
        self.phones: PhoneStore = FakePhones(state)
        self.decisions: DecisionStore = decisions
        self.subscriptions: SubscriptionStore = FakeSubscriptions(state)
        self.requests: RequestStore = FakeRequests(state)
        self.words: WordStore = FakeWords(state)
        self.holds: HoldStore = FakeHolds(state)
        self.approvals: ApprovalStore = FakeApprovals(state)
        self.drains: DrainStore = FakeDrains(state)
        self.wipes: WipeStore = FakeWipes(state, decisions)
        self.artefacts: ArtefactStore = FakeArtefacts(state)
        self.free_space: FreeSpaceStore = FakeFreeSpace(state)
        self.verdicts: VerdictStore = FakeVerdicts(state)
        self.quarantine: QuarantineStore = FakeQuarantine(state)
        self.images: ImageStore = FakeImages(state)
        self.sightings: SightingStore = FakeSightings(state)
        self.breaker: BreakerStore = FakeBreaker(state)
        self.clock: ClockStore = FakeClockStore(state)
        self.notices: NoticeStore = FakeNotices(state)
        self.certificates: CertificateStore = FakeCertificates(state)
        self.audit: AuditStore = FakeAudit(state)
        self.answers: AnswerStore = FakeAnswers(state)
        self.conditions: ConditionStore = FakeConditions(state)
        self.retention: RetentionStore = FakeRetention(state)

    @property
    def full(self) -> bool:
        """Whether every write fails."""
        return self._state.full

    @full.setter
    def full(self, full: bool) -> None:
        self._state.full = full

    @property
    def fault(self) -> str:
        """Never: memory is always there."""
        return ""
