"""What a test sets and what the fake service was asked: shared by all its nouns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.fakes.service.values import APPROVAL, DRAIN, HOSTILE_NAME, NOW, STEPPED, TRIPPED, UUID_TWO, WIPE_ID, make_audit, make_phone, make_wipe
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.errors import NotFoundError
from wiped.model.approvals import Approval, Drain
from wiped.model.breaker import BreakerRecord
from wiped.model.clock import ClockMemory
from wiped.model.records import AuditEntry, PhoneRecord, WipeRecord
from wiped.model.status import HostStatus, WipeNews
from wiped.model.subscription import Action, Decision, Flag, Reason, State, Subscription


@dataclass
class Desk:
    """`fails`: operation -> error to raise. `asked`: (operation, arguments) in order; operations are named as the API's routes are. `pending`: what waits for
    another person; `draining`: the drains in force."""

    known: list[PhoneRecord] = field(default_factory=lambda: [make_phone(), make_phone(UUID_TWO, HOSTILE_NAME, State.QUARANTINED)])
    terms: list[Subscription] = field(default_factory=list)
    made: list[WipeRecord] = field(default_factory=lambda: [make_wipe()])
    news: list[WipeNews] = field(default_factory=lambda: [WipeNews("step", WIPE_ID, step="erasing"), WipeNews("end", WIPE_ID, step="released")])
    entries: tuple[AuditEntry, ...] = field(default_factory=lambda: make_audit(25))
    envelope: bytes = b'{"payload":""}'
    pem: bytes = b"-----BEGIN PUBLIC KEY-----\n"
    signer: Ed25519Signer = field(default_factory=lambda: Ed25519Signer(generate_key()))
    checks: dict[str, str] = field(default_factory=lambda: {"libvirt": "", "ledger": "", "feed": ""})
    begins: bool = True
    later: list[WipeRecord] = field(default_factory=list)
    """Wipes that begin when the phone is explained the second time from now."""
    explained: int = 0
    fails: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    remembered: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    shown: HostStatus | None = None
    tripped: BreakerRecord = field(default_factory=lambda: TRIPPED)
    clocks: ClockMemory = field(default_factory=lambda: STEPPED)
    pending: list[Approval] = field(default_factory=lambda: [APPROVAL])
    draining: list[Drain] = field(default_factory=lambda: [DRAIN])
    alone: bool = False
    """Nobody else is needed for a request."""

    def ask(self, operation: str, *arguments: Any) -> None:
        """Note what was asked. Raises what a test wants raised."""
        self.asked.append((operation, arguments))
        if operation in self.fails:
            raise self.fails[operation]

    def phone(self, uuid: str) -> PhoneRecord:
        """One phone. Raises NotFoundError."""
        for phone in self.known:
            if phone.uuid == uuid:
                return phone
        raise NotFoundError("no such phone", where="phone")

    def decision(self) -> Decision:
        """A decision about any phone: it is in grace."""
        reasons = (Reason("grace", "the term has ended; grace runs", NOW),)
        return Decision(State.GRACE, (Flag.FENCED,), Action.NONE, NOW + timedelta(hours=1), State.DUE, reasons, due_at=NOW + timedelta(hours=1))
