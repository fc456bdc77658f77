"""The memory, one store a noun: `phones`, `decisions` about them, `subscriptions`; `requests`, `holds`, `approvals`, `drains` and the sealed `words` that
people wrote with them; `wipes`, their `artefacts`, `free_space`, `verdicts`, `quarantine` and `certificates`; `images` and `sightings` of files; the `breaker`
and the `clock` check; `notices`; the `audit` log; `answers` and `conditions` of the host; `retention`.

Each file has one narrow Protocol, and whoever needs one store takes that Protocol, not the `Ledger`. May not: do anything.
"""

from __future__ import annotations

from typing import Protocol

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


class Ledger(Protocol):
    """The memory of one host: one store a noun. There is one serial writer; every write is synced when the call returns and carries its audit entries in
    the same transaction.

    Every method of every store raises LedgerError (a full disk...), and then nothing of the call is recorded.
    """

    phones: PhoneStore
    decisions: DecisionStore
    subscriptions: SubscriptionStore
    requests: RequestStore
    words: WordStore
    holds: HoldStore
    approvals: ApprovalStore
    drains: DrainStore
    wipes: WipeStore
    artefacts: ArtefactStore
    free_space: FreeSpaceStore
    verdicts: VerdictStore
    quarantine: QuarantineStore
    images: ImageStore
    sightings: SightingStore
    breaker: BreakerStore
    clock: ClockStore
    notices: NoticeStore
    certificates: CertificateStore
    audit: AuditStore
    answers: AnswerStore
    conditions: ConditionStore
    retention: RetentionStore

    @property
    def fault(self) -> str:
        """Why the last write failed; "" once one succeeded again."""
