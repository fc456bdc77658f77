"""What the stores of the fake ledger share: the values of all nouns, as the tables of the real one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from wiped.attest.audit_chain import GENESIS, entry_hash
from wiped.decide import notices as rules
from wiped.errors import LedgerError
from wiped.model.approvals import Approval, Drain
from wiped.model.breaker import BreakerRecord
from wiped.model.clock import ClockMemory
from wiped.model.images import ClassifiedImage
from wiped.model.instants import instant_text
from wiped.model.inventory import FileIdentity
from wiped.model.notices import Notice, NoticeKind, NoticeState
from wiped.model.records import AuditEntry, CertificateRecord, PhoneRecord, WipeRecord
from wiped.model.sightings import Memory, RememberedFile
from wiped.model.subscription import Hold, State, Subscription, WipeRequest

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
#: A phone in one of these is beyond the breaker.
BEYOND = {State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, State.RELEASED, State.RECYCLED, State.DISPOSED}


def pseudonym(account: str, generation: int) -> str:
    """What an account is called in one generation of a phone; its own is of generation 0."""
    return hashlib.sha256(f"{account}/{generation}".encode()).hexdigest()[:16]


@dataclass
class Asked:
    """A request, and whose."""

    uuid: str
    request: WipeRequest
    generation: int
    closed: bool = False


@dataclass
class Counted:
    """A phone that was counted as newly due."""

    uuid: str
    generation: int
    at: datetime
    ended: bool = False
    released: bool = False
    settled: bool = False


@dataclass
class Memo:
    """`full`: every write raises LedgerError, as on a full disk."""

    full: bool = False
    phones: dict[str, PhoneRecord] = field(default_factory=dict)
    terms: dict[str, Subscription] = field(default_factory=dict)
    ended: list[tuple[Subscription, datetime]] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    held_accounts: dict[str, set[str]] = field(default_factory=dict)
    approvals: dict[str, Approval] = field(default_factory=dict)
    drains: dict[str, Drain] = field(default_factory=dict)
    wipes: dict[str, WipeRecord] = field(default_factory=dict)
    ranges: dict[tuple[str, str], tuple[bytes, ...]] = field(default_factory=dict)
    trims: dict[tuple[str, int], str] = field(default_factory=dict)
    certificates: list[CertificateRecord] = field(default_factory=list)
    images: dict[str, ClassifiedImage] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    files: dict[str, dict[FileIdentity, RememberedFile]] = field(default_factory=dict)
    counted: list[Counted] = field(default_factory=list)
    breaker: BreakerRecord = field(default_factory=BreakerRecord)
    clock: ClockMemory | None = None
    notices: list[Notice] = field(default_factory=list)
    received: frozenset[str] = frozenset()
    audit: list[AuditEntry] = field(default_factory=list)
    answers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    def write(self) -> None:
        """What every write begins with. Raises LedgerError."""
        if self.full:
            raise LedgerError("no space left on device")

    def log(self, kind: str, body: dict[str, Any], now: datetime | None = None) -> AuditEntry:
        """An audit entry."""
        seq, previous = len(self.audit) + 1, self.audit[-1].hash if self.audit else GENESIS
        at = instant_text(now or BEGINNING)
        entry = AuditEntry(seq, at, kind, body, previous, entry_hash(previous, seq, at, kind, body))
        self.audit.append(entry)
        return entry

    def keep_words(self, about: str, **words: str) -> None:
        """What people wrote about a thing, where they wrote anything."""
        self.words.setdefault(about, {}).update({kind: text for kind, text in words.items() if text})

    def touch_due(self) -> None:
        """Every due phone is decided again."""
        self.touched |= {uuid for uuid, phone in self.phones.items() if phone.state is State.DUE}

    def tell(self, kind: NoticeKind, phone: PhoneRecord | None, data: Mapping[str, Any], now: datetime) -> None:
        """A notice."""
        seq = len(self.notices) + 1
        term = self.terms.get(phone.uuid) if phone else None
        pending = str(kind) in self.received
        self.notices.append(
            Notice(
                id=f"notice-{seq}",
                seq=seq,
                kind=kind,
                subject=phone.uuid if phone else "",
                generation=phone.generation if phone else 0,
                account=term.account if term else "",
                at=now,
                data=rules.admitted(data),
                state=NoticeState.PENDING if pending else NoticeState.KEPT,
                next_at=now if pending else None,
            )
        )

    def forget(self, uuid: str) -> None:
        """A phone's files, at the end of its generation."""
        self.memories.pop(uuid, None)
        self.files.pop(uuid, None)

    def pseudonyms(self, account: str) -> set[str]:
        """All that an account may have."""
        highest = max((phone.generation for phone in self.phones.values()), default=0)
        return {pseudonym(account, generation) for generation in range(highest + 2)}
